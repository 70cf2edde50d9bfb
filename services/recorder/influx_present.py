"""What is so just now, told to InfluxDB once a minute: it lies in no journal, and what was not told is a gap there.

What stands (relays, services, the controller's mode) is told again, so that it is seen in any span of time, for as long as the service
that said it is there to say otherwise; beside it the band of the state of charge, each service's memory, and how far the journal lies
behind.
"""

import json
import logging
from collections.abc import Callable
from datetime import datetime

from services.bus.clock import Clock
from services.bus.idle import unused
from services.bus.messages.devices import BatteryEstimate
from services.bus.messages.state import ServiceVitals
from services.core.config.load import ConfigError
from services.core.config.station import Station
from services.recorder import influx_season
from services.recorder.history import History
from services.recorder.influx_states import STANDING, StateRow, estimate, standing, vitals
from services.recorder.journal import JournalError, to_ms

log = logging.getLogger(__name__)

SEASON_S = 600.0
"""Real seconds between two tellings of the season's months."""


class Present:
    """Hears what is said on the bus, and puts it into points when asked."""

    def __init__(
        self,
        station: Station,
        history: History,
        clock: Clock,
        *,
        committed_until: Callable[[], datetime | None],
        connected: Callable[[], bool],
    ) -> None:
        """`connected` says whether the broker is there: without it nobody knows what stands."""
        self._station = station
        self._history = history
        self._clock = clock
        self._until = committed_until
        self._connected = connected
        self._states: dict[str, tuple[int, str]] = {}
        self._vitals: dict[str, ServiceVitals] = {}
        self._estimate: BatteryEstimate | None = None
        self._season_at = float("-inf")

    def state(self, topic: str, ts: datetime, payload: str) -> None:
        """A message under `topic`, below the station's root."""
        if topic.rpartition("/")[2] in STANDING:
            self._states[topic] = (to_ms(ts), payload)

    def vitals(self, service: str, message: ServiceVitals) -> None:
        """How a service fares."""
        self._vitals[service] = message

    def estimate(self, message: BatteryEstimate) -> None:
        """The controller's view of the state of charge."""
        self._estimate = message

    def lines(self) -> list[str]:
        """The points of now, in line protocol. Precision: milliseconds. Blocks; in any thread. Nothing while the time is unknown."""
        if not self._clock.known:
            return []
        name, now = self._station.station, self._clock.now()
        found: list[str | None] = []
        heard, self._vitals = self._vitals, {}
        for service, message in heard.items():
            memory_mb = None if message.rss_bytes is None else message.rss_bytes / 1e6
            found.append(vitals(name, service, to_ms(message.ts), memory_mb=memory_mb))
        if (until := self._until()) is not None:
            lag_s = max(0.0, (now - until).total_seconds()) / self._clock.speed
            found.append(vitals(name, "recorder", to_ms(now), journal_lag_s=round(lag_s, 3)))
        seen, self._estimate = self._estimate, None
        if seen is not None:
            found.append(estimate(name, to_ms(seen.ts), seen.soc_pct, seen.low, seen.high))
        if self._connected():
            found += standing(self._stand(), name, to_ms(now))
        return [*(one for one in found if one is not None), *self._season(now)]

    def _stand(self) -> list[StateRow]:
        """What was said and still holds: not what a service said that has gone since, nor of one that the station has no use for."""
        states = dict(self._states)  # a copy: the bus is heard in another thread
        found = []
        for topic, (ts_ms, payload) in states.items():
            owner = _owner(topic.split("/"), self._station)
            _, status = states.get(f"service/{owner}/status", (0, "{}"))
            away = json.loads(status).get("state") == "offline" and not topic.startswith("service/")
            if not away and unused(owner, self._station) is None:
                found.append((topic, ts_ms, payload))
        return found

    def _season(self, now: datetime) -> list[str]:
        if self._clock.monotonic() < self._season_at:
            return []
        try:
            found = list(influx_season.lines(self._station, self._history, now))
        except (ConfigError, JournalError) as error:  # the journal may not be there yet: again in a minute
            log.info("the season's months are not told to InfluxDB for now: %s", error)
            return []
        self._season_at = self._clock.monotonic() + SEASON_S
        return found


def _owner(topic: list[str], station: Station) -> str:
    """The service that says what stands under `topic`."""
    match topic:
        case ["service", service, _]:
            return service
        case ["battery", _]:
            return "bluetti_bridge"
        case ["relay", "p3", _] if station.positions.output_switched:
            return "bluetti_bridge"
        case ["relay" | "load", _, _]:
            return "relay_bridge"
        case _:
            return "controller"
