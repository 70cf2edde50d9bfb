"""A whole run of a crowd: connect, register, upload what is past, answer what comes, upload what was, and sum up."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from services.bus.clock import Clock, SystemClock
from services.bus.uplink.batches import EventBatch, HourBatch
from services.bus.uplink.messages import AggregatorEvent
from services.bus.uplink.signing import public_key
from services.simulator.fleet.crowd import Credentials, Crowd, LightStation
from services.simulator.fleet.home import Span, full_hours
from services.simulator.fleet.memory import Done, recall, remember
from services.simulator.fleet.records import hours, registration, settled
from services.simulator.fleet.uploads import Uploads

TELL_EVERY_S = 5.0
REMEMBER_EVERY_S = 60.0
AN_HOUR = timedelta(hours=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Play:
    """What to play, and against whom."""

    credentials: Sequence[Credentials]
    network: str
    broker: tuple[str, int]
    url: str
    keys: Mapping[str, str]
    """Public keys by id; empty: unsigned events are believed."""
    history_hours: int = 24
    opt_out: float = 0.0
    seed: int = 1
    tls: bool = False
    ca_file: Path | None = None
    """Whose certificates broker and API must show; None: those the system believes."""
    seconds: float | None = None
    """How long; None until cancelled."""
    memory: Path | None = None
    """Where the next run finds what this one did; None: it finds nothing."""


async def play(plan: Play, say: Callable[[str], None]) -> None:
    """Run until the time is over or it is cancelled; always ends with a summary."""
    clock = SystemClock()
    uploads = Uploads(plan.url, ca_file=plan.ca_file)

    def over(station: LightStation, event: AggregatorEvent, span: Span) -> None:
        record = settled(station.home, event, span)
        uploads.add(station.credentials, EventBatch(kind="event", network=plan.network, cursor=event.id, records=(record,)))

    crowd = Crowd(
        plan.credentials,
        plan.network,
        plan.broker,
        {kid: public_key(text) for kid, text in plan.keys.items()},
        clock,
        random=Random(plan.seed),  # noqa: S311 - who opts out is no secret
        opt_out=plan.opt_out,
        tls=ssl.create_default_context(cafile=plan.ca_file) if plan.tls else None,
        settled=over,
    )
    for station in crowd.stations if plan.memory is not None and (past := recall(plan.memory, plan.network)) else ():
        if (done := past.get(station.credentials.name)) is not None:
            station.spans, station.hours_until = done.spans, done.sent_until
            if done.sent_until is not None:
                uploads.sent.hours_until[station.credentials.name] = done.sent_until
    total = len(crowd.stations)
    started = clock.monotonic()
    try:
        async with asyncio.timeout(plan.seconds):
            await crowd.connect(_seldom(say, clock))
            say(f"{crowd.counts.online} of {total} online after {clock.monotonic() - started:.1f} s")
            remembered_s = clock.monotonic()
            for station in crowd.stations:
                uploads.add(station.credentials, registration(station.home, plan.network))
            hour = _hour(clock.now())
            _add_hours(crowd, uploads, plan.network, hour - plan.history_hours * AN_HOUR, hour)
            while True:
                await clock.sleep(TELL_EVERY_S)
                if (until := _hour(clock.now())) > hour:
                    _add_hours(crowd, uploads, plan.network, hour, until)
                    hour = until
                if clock.monotonic() - remembered_s >= REMEMBER_EVERY_S:
                    remembered_s = clock.monotonic()
                    await _remember(plan, crowd, uploads)
                say(_line(crowd, uploads))
    except TimeoutError:
        pass
    finally:
        await crowd.close()
        await asyncio.to_thread(uploads.close)
        await _remember(plan, crowd, uploads)
        say(f"ended after {clock.monotonic() - started:.0f} s: {_line(crowd, uploads)}")


def _seldom(say: Callable[[str], None], clock: Clock) -> Callable[[int, int], None]:
    """Tells how many are connected, every few seconds."""
    told_s = clock.monotonic()

    def progress(online: int, total: int) -> None:
        nonlocal told_s
        if online < total and clock.monotonic() - told_s >= TELL_EVERY_S:
            told_s = clock.monotonic()
            say(f"connecting: {online} of {total}")

    return progress


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _add_hours(crowd: Crowd, uploads: Uploads, network: str, since: datetime, until: datetime) -> None:
    """Of each station the hours that it has not handed over yet."""
    for station in crowd.stations:
        starts = full_hours(max(since, station.hours_until or since), until)
        station.hours_until = max(until, station.hours_until or until)
        if starts:
            records = tuple(hours(station.home, starts, tuple(station.spans.values())))
            cursor = f"{starts[-1].timestamp():.0f}"
            uploads.add(station.credentials, HourBatch(kind="hourly", network=network, cursor=cursor, records=records))


async def _remember(plan: Play, crowd: Crowd, uploads: Uploads) -> None:
    if plan.memory is None:
        return
    done = {one.credentials.name: Done.of(one.spans, uploads.sent.hours_until.get(one.credentials.name)) for one in crowd.stations}
    try:
        await asyncio.to_thread(remember, plan.memory, plan.network, done)
    except OSError as error:
        log.warning("%s cannot be written, and the next run sends past hours anew: %s", plan.memory, error.strerror)


def _line(crowd: Crowd, uploads: Uploads) -> str:
    counts, sent = crowd.counts, uploads.sent
    text = f"{counts.online} online, {counts.events} events heard, {counts.answered} answers"
    text += f", {sent.records} records sent, {uploads.left} uploads wait"
    troubles = {"connections lost": counts.lost, "messages refused": counts.refused, "uploads failed": sent.failed}
    return ", ".join([text, *(f"{count} {what}" for what, count in troubles.items() if count)])
