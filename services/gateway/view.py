"""From what was heard to what is shown: pure, and past its limit a reading is unknown, never the old value."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from services.bus.client import Received
from services.bus.contract import M
from services.bus.messages.state import ServiceError
from services.core.config.station import Station
from services.core.events import OPEN_STATUSES
from services.core.positions import Position
from services.core.preferences import Preferences
from services.core.readings import Observed
from services.gateway.heard import Heard
from services.gateway.languages.language import ENGLISH, LANGUAGES, translations
from services.gateway.languages.reasons import in_words
from services.gateway.models import BatteryView, ControllerView, EventView, Notice, PositionView, ServiceView, StateView, TimeView


@dataclass(frozen=True, slots=True)
class Moment:
    """When, and on what terms, the view is taken."""

    now: datetime | None
    """Station time; None while it is not known."""
    speed: float
    monotonic_s: float
    connected: bool
    """Whether the bus is heard. Without it nothing live is known."""


def state_view(heard: Heard, station: Station, preferences: Preferences, moment: Moment) -> StateView:
    """The state of the station at `moment`."""
    positions = {position.value: _position(heard, station, position, moment) for position in Position}
    return StateView(
        station=station.station,
        timezone=station.timezone,
        connected=moment.connected,
        time=TimeView(now=moment.now, speed=moment.speed, simulated=station.clock == "simulated"),
        controller=_controller(heard, moment),
        positions=positions,
        load_w=_sum(positions["p1"], positions["p3"]),
        import_w=_sum(positions["p1"], positions["p2"]),
        battery=_battery(heard, station, preferences, moment),
        services={
            name: ServiceView(state=status.state, health=status.health, detail=status.detail, version=status.version)
            for name, status in sorted(heard.services.items())
            if moment.connected
        },
        notices=tuple(_notice(service, error) for service, error in heard.notices),
    )


def freshness(heard: Heard, station: Station, moment: Moment) -> tuple[bool, ...]:
    """What changes in the state although nothing is heard: the connection, and readings that grow too old."""
    limit_s, battery_limit_s = station.control.stale_after_s, station.control.battery_stale_after_s
    battery = (reading for reading in (heard.battery, heard.estimate) if reading is not None)
    return (
        moment.connected,
        moment.now is not None,
        *(moment.monotonic_s - reading.received_at <= limit_s for reading in heard.positions.values()),
        *(moment.monotonic_s - reading.received_at <= battery_limit_s for reading in battery),
    )


def event_views(heard: Heard) -> list[EventView]:
    """The open events in the order of their start, then the finished ones, the latest first."""
    views = [_event(heard, event_id) for event_id in heard.events]
    first = sorted((view for view in views if is_open(view)), key=lambda view: view.start)
    return first + sorted((view for view in views if not is_open(view)), key=lambda view: view.start, reverse=True)


def is_open(view: EventView) -> bool:
    """Whether the event may still act."""
    return view.status in OPEN_STATUSES


def event_view(heard: Heard, event_id: str) -> EventView | None:
    """One event, or None if it is not known."""
    return _event(heard, event_id) if event_id in heard.events else None


def _event(heard: Heard, event_id: str) -> EventView:
    event, result = heard.events[event_id], heard.performances.get(event_id)
    return EventView(
        id=event_id,
        revision=event.revision,
        start=event.start,
        end=event.end,
        goal=event.goal,
        methods=event.methods,
        priority=event.priority,
        status=event.status,
        status_reason=event.status_reason,
        test=event.test,
        avoided_wh=result.avoided_wh if result else None,
        reduction_wh=result.reduction_wh if result else None,
        covered=result.covered if result else None,
        final=result.final if result else False,
        answer_by=event.answer_by,
        unanswered=event.unanswered,
        flags=event.flags,
        intervals=result.intervals if result else (),
    )


def _position(heard: Heard, station: Station, position: Position, moment: Moment) -> PositionView:
    received = heard.positions.get(position.value)
    reading = _fresh(received, station.control.stale_after_s, moment)
    has_relay = position.value in station.positions.switched()
    # The power station's own output is no relay of the relay bridge's.
    keeper = "relay_bridge" if position.value in station.positions.relays() else "bluetti_bridge"
    relay = heard.relays.get(position.value) if has_relay and moment.connected and not _offline(heard, keeper) else None
    return PositionView(
        present=getattr(station.positions, position.value) is not None,
        power_w=reading.power_w if reading else None,
        voltage_v=reading.voltage_v if reading else None,
        age_s=_age_s(received, moment),
        has_relay=has_relay,
        relay_on=relay.on if relay else None,
        confirmed_by=relay.confirmed_by if relay else None,
        fault=relay.fault if relay else None,
    )


def _battery(heard: Heard, station: Station, preferences: Preferences, moment: Moment) -> BatteryView:
    limit_s = station.control.battery_stale_after_s
    reading = _fresh(heard.battery, limit_s, moment)
    estimate = _fresh(heard.estimate, limit_s, moment)
    measured = reading.soc_pct if reading else None
    return BatteryView(
        soc_pct=measured if measured is not None else estimate.soc_pct if estimate else None,
        low_pct=estimate.low if estimate else None,
        high_pct=estimate.high if estimate else None,
        source="reading" if measured is not None else "estimate" if estimate else None,
        ac_output_on=reading.ac_output_on if reading else None,
        age_s=_age_s(heard.battery, moment),
        capacity_wh=station.battery.capacity_wh,
        floor_pct=station.battery.floor_pct,
        reserve_pct=preferences.backup_reserve_pct,
    )


def _controller(heard: Heard, moment: Moment) -> ControllerView | None:
    state = heard.controller
    if state is None or not moment.connected or _offline(heard, "controller"):
        return None
    return ControllerView(
        phase=state.phase,
        mode_commanded=state.mode_commanded,
        mode_confirmed=state.mode_confirmed,
        reason=state.reason,
        reason_code=state.reason_code,
        reasons={code: in_words(state.reason_code, state.reason, gettext) for code, gettext in _others()},
        goal_w=state.goal_w,
        duty=state.duty,
        event_id=state.event_id,
        next_change=state.next_change,
    )


@cache
def _others() -> tuple[tuple[str, Callable[[str], str]], ...]:
    return tuple((code, translations(code).gettext) for code in LANGUAGES if code != ENGLISH)


def _notice(service: str, error: ServiceError) -> Notice:
    return Notice(ts=error.ts, service=service, message=error.message, field=error.field, value=error.value, remedy=error.remedy)


def _offline(heard: Heard, service: str) -> bool:
    # What an absent service left retained on the bus is of any age. One that never said anything has left nothing to distrust.
    status = heard.services.get(service)
    return status is not None and status.state == "offline"


def _fresh(received: Received[M] | None, limit_s: float, moment: Moment) -> M | None:
    if received is None or not moment.connected:
        return None
    return Observed(received.message, moment.monotonic_s - received.received_at).within(limit_s)


def _age_s(received: Received[M] | None, moment: Moment) -> float | None:
    return None if received is None else round(moment.monotonic_s - received.received_at, 1)


def _sum(first: PositionView, second: PositionView) -> float | None:
    return None if first.power_w is None or second.power_w is None else first.power_w + second.power_w
