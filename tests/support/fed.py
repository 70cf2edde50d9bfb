"""The fortnight in InfluxDB, put there by the recorder's own feed."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from services.bus.clock import SystemClock
from services.bus.messages.devices import BatteryEstimate
from services.bus.messages.state import ServiceVitals
from services.core.config.station import InfluxFeed, Station
from services.recorder.history import History
from services.recorder.influx_feed import Feed
from services.recorder.influx_hours import BatteryScale
from services.recorder.influx_present import Present
from services.recorder.influx_writer import InfluxWriter
from services.recorder.journal import FILE_NAME, StateRow
from tests.support import fortnight
from tests.support.influx import LONG, RAW, Influx, influx, write_bridge
from tests.support.waiting import wait_for

TOKEN = "the-recorders"
PRESENT_FROM = timedelta(hours=30)
PRESENT_EVERY = timedelta(minutes=2)


@dataclass(frozen=True)
class Fed:
    """A server with the fortnight in it, and where it came from."""

    server: Influx
    station: Station
    history: History
    end: datetime
    told: list[str]


class At(SystemClock):
    """A clock that stands where it is put."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    @property
    def known(self) -> bool:
        return True


@contextlib.contextmanager
def fed(folder: Path) -> Iterator[Fed]:
    """A fortnight up to this minute."""
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    station, var = fortnight.priced_station(), folder / "var"
    journal = fortnight.journal(var / "recorder" / FILE_NAME, station, end)
    (folder / "secrets" / "influx").mkdir(parents=True)
    (folder / "secrets" / "influx" / "recorder.token").write_text(f"{TOKEN}\n")
    history = History(journal.path)
    states = [StateRow(topic, ts_ms, payload) for topic, ts_ms, payload in journal.ask("SELECT topic, ts, payload FROM state ORDER BY ts")]
    newest_ms = journal.last_reading_ms()
    journal.close()
    with influx(folder / "influx") as server, write_bridge(server, {"station": RAW, "station_long": LONG}, TOKEN) as url:
        settings = InfluxFeed(url=url, org="home", bucket="station", long_bucket="station_long", token_file="influx/recorder.token")
        told: list[str] = []
        asyncio.run(_carry(settings, station, var, history, newest_ms or 0, told))
        InfluxWriter(settings, var).write(list(_present(station, history, states, end)))
        yield Fed(server, station, history, end, told)


async def _carry(settings: InfluxFeed, station: Station, var: Path, history: History, newest_ms: int, told: list[str]) -> None:
    feed = Feed(
        settings,
        station.station,
        var,
        history,
        SystemClock(),
        Random(1),
        settled_ms=lambda: 0,
        health=lambda problem: told.append(problem) if problem else None,
        tell=told.append,
        scale=BatteryScale.of(station),
    )
    task = asyncio.create_task(feed.run())
    await wait_for(
        lambda: task.done() or (feed.cursor is not None and feed.cursor.ts_ms == newest_ms), 60, what="the feed to come to its end"
    )
    await wait_for(lambda: task.done() or (feed.hours and not history.follow_hours(feed.hours, 1).hours), 20, what="the hours")
    await wait_for(lambda: task.done() or (feed.state_number and not history.states_after(feed.state_number, 1)), 20, what="the states")
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _present(station: Station, history: History, states: list[StateRow], end: datetime) -> Iterator[str]:
    """What the recorder would have told every two minutes of the last thirty hours."""
    clock = At(end - PRESENT_FROM)
    present = Present(station, history, clock, committed_until=lambda: clock.now() - timedelta(seconds=4), connected=lambda: True)
    waiting = iter(states)
    following = next(waiting, None)
    while clock.at <= end:
        while following is not None and following.ts_ms <= clock.at.timestamp() * 1000:
            present.state(following.topic, datetime.fromtimestamp(following.ts_ms / 1000, UTC), following.payload)
            following = next(waiting, None)
        for i, name in enumerate(fortnight.SERVICES):
            present.vitals(name, ServiceVitals(ts=clock.at, rss_bytes=40_000_000 + 3_000_000 * i))
        present.estimate(BatteryEstimate(ts=clock.at, soc_pct=60, low=56, high=63))
        yield from present.lines()
        clock.at += PRESENT_EVERY
