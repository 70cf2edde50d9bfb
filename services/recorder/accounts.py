"""Keeps baseline and performance of every event on the bus: what is due, when, and what is final."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.bus.clock import Clock
from services.bus.messages.base import Telemetry
from services.bus.messages.events import EventBaseline, EventMessage, EventPerformance
from services.core.config.station import Station
from services.core.events import OPEN_STATUSES
from services.recorder import payments, reckoning
from services.recorder.estimates import Estimates
from services.recorder.history import History
from services.recorder.journal import JournalError
from services.recorder.trees import learner

log = logging.getLogger(__name__)

TICK_S = 1.0
REFRESH_BASELINE_S = 60.0
CALM_S = 5.0
"""Real seconds after news of an event before its load is estimated: the relays go first, and some events are gone by then …"""
ESTIMATING = 0.05
"""… and estimating takes at most so much of the time, for the sake of whoever shares the interpreter."""
SWEEP_S = 60.0
"""How long after the start an event may take to turn up on the bus."""
PERFORMANCE_S = 10.0
"""Real seconds between two figures of a running event …"""
PERFORMANCE_STATION = timedelta(minutes=1)
"""… that also are so far apart in station time."""
REVISE_S = 600.0
"""How often final figures are looked at again: readings may come late, or be imported."""
REVISE_BACK = timedelta(days=92)
"""How far back events that are gone from the bus are."""


@dataclass(slots=True)
class Account:
    """What has been reckoned of one event."""

    event: EventMessage
    baseline: EventBaseline | None = None
    performance: EventPerformance | None = None
    loaded: bool = False
    """Whether the journal has been asked for what an earlier run left."""
    refresh_at: float = 0.0
    perform_at: float = 0.0
    estimate_at: float = 0.0
    performed_until: datetime | None = None
    refreshed_at: datetime | None = None
    """Station time of the last baseline: at some moments a better one is due."""
    revise_at: float = 0.0


class Accounts:
    """The accounts of all events that are on the bus."""

    def __init__(
        self,
        station: Station,
        clock: Clock,
        history: History,
        *,
        committed_until: Callable[[], datetime | None],
        publish: Callable[[EventBaseline | EventPerformance], None],
        withdraw: Callable[[str], None],
        keep: Callable[[EventPerformance], None] = lambda _: None,
        health: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        """`publish` is also to keep every baseline, and a performance that is final; `withdraw` empties an event's topics.

        `keep` only keeps, for events that are gone from the bus; `health` is told what is wrong with the programme's holidays.
        """
        self._station = station
        self._clock = clock
        self._history = history
        self._committed_until = committed_until
        self._publish = publish
        self._withdraw = withdraw
        self._keep = keep
        self._health = health
        self._estimates = Estimates(history, learner())
        self._revise_at = clock.monotonic() + REVISE_S
        self._accounts: dict[str, Account] = {}
        self._left_over: set[str] = set()
        self._sweep_at = clock.monotonic() + SWEEP_S
        self._wake = asyncio.Event()

    def heard(self, event: EventMessage) -> None:
        """An event appeared or changed."""
        account = self._accounts.setdefault(event.id, Account(event))
        if not _same(event, account.event):
            account.event = event
            account.refresh_at = account.perform_at = 0.0
        account.estimate_at = self._clock.monotonic() + CALM_S
        self._wake.set()

    def archived(self, event_id: str) -> None:
        """An event is gone from the bus."""
        self._accounts.pop(event_id, None)
        self._estimates.forget(event_id)
        self._withdraw(event_id)

    def found_on_bus(self, event_id: str) -> None:
        """Figures of an event are retained on the bus; should the event itself not turn up, they are withdrawn."""
        self._left_over.add(event_id)

    def account(self, event_id: str) -> Account | None:
        """What has been reckoned of an event that is on the bus; the journal may not hold the last of it yet."""
        return self._accounts.get(event_id)

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._attend_all(), name="accounts: baselines and performances")
            group.create_task(self._estimate_all(), name="accounts: low-bias estimates")

    async def _estimate_all(self) -> None:
        # Apart from the rest: a year of hours takes its time, and the controller waits for the programme's baseline only.
        while True:
            for account in list(self._accounts.values()) if self._clock.known else ():
                began = self._clock.monotonic()
                try:
                    await self._estimate(account, self._clock.now())
                except JournalError as error:
                    log.warning("event %s: %s", account.event.id, error)
                await self._clock.sleep((self._clock.monotonic() - began) / ESTIMATING)
            await self._clock.sleep(TICK_S)

    async def _estimate(self, account: Account, now: datetime) -> None:
        event, found = account.event, account.baseline
        if found is None or self._clock.monotonic() < account.estimate_at or not reckoning.fits(found, event, self._station):
            return
        if event.status not in OPEN_STATUSES and not reckoning.took_place(event):
            return
        if found.frozen and found.load_method and self._estimates.kept(event) is None:
            return  # an earlier run has made it
        if self._estimates.due(event, now):
            holidays, intervals = reckoning.holidays_around(self._station, event.start), reckoning.intervals_for(event, self._station)
            await asyncio.to_thread(self._estimates.make, event, intervals, now, holidays, self._station.zone, self._gap_s())
        load = self._estimates.kept(event)
        if load is not None and account.baseline is found and found != (fresh := reckoning.with_load(found, load)):
            account.baseline = fresh
            account.perform_at = 0.0
            self._publish(fresh)

    async def _attend_all(self) -> None:
        while True:
            self._wake.clear()
            for account in list(self._accounts.values()) if self._clock.known else ():
                try:
                    await self._attend(account)
                except JournalError as error:
                    log.warning("event %s: %s", account.event.id, error)
            self._sweep()
            await self._revise_archived()
            # Not wait_for, which in Python 3.11 may swallow a cancellation.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()

    def _sweep(self) -> None:
        if self._clock.monotonic() >= self._sweep_at:
            for event_id in self._left_over - self._accounts.keys():
                self._withdraw(event_id)
            self._left_over.clear()

    async def _attend(self, account: Account) -> None:
        if not account.loaded:
            await self._load(account)
        event, now, monotonic = account.event, self._clock.now(), self._clock.monotonic()
        if event.status not in OPEN_STATUSES and not reckoning.took_place(event):
            return
        found = account.baseline
        # The first one made from the start on is the last: it rests on nothing that happens afterwards, whenever it is made.
        frozen = found is not None and found.frozen and reckoning.fits(found, event, self._station)
        if not frozen and (monotonic >= account.refresh_at or self._better_due(account, now)):
            account.refresh_at = monotonic + REFRESH_BASELINE_S
            await self._refresh_baseline(account)
        if now >= event.start and account.baseline is not None and monotonic >= account.perform_at:
            account.perform_at = monotonic + PERFORMANCE_S
            await self._perform(account, account.baseline, now)

    def _better_due(self, account: Account, now: datetime) -> bool:
        """Whether more is known than at the last refresh: the adjustment's hours are over, or the event begins."""
        event, last = account.event, account.refreshed_at
        moments = [event.start]
        if (adjusted_at := reckoning.adjusted_at(event, self._station)) is not None:
            # The readings of the last moments are still on their way to the disk.
            moments.append(adjusted_at + timedelta(seconds=2 * self._station.recorder.commit_every_s * self._clock.speed))
        return last is not None and any(last < moment <= now for moment in moments)

    async def _load(self, account: Account) -> None:
        event = account.event
        found = await asyncio.gather(
            *(asyncio.to_thread(self._history.last_state, f"event/{event.id}{part}") for part in ("", "/baseline", "/performance"))
        )
        account.loaded = True
        # The controller stamps an event anew after its restart; the journal knows since when it was so.
        if found[0] is not None and _same(earlier := EventMessage.model_validate(found[0]), event):
            account.event = event = earlier
        if found[1] is not None and reckoning.fits(earlier_baseline := EventBaseline.model_validate(found[1]), event, self._station):
            account.baseline = earlier_baseline
            self._publish(earlier_baseline)
        if found[2] is not None:
            account.performance = EventPerformance.model_validate(found[2])
            self._publish(account.performance)

    async def _refresh_baseline(self, account: Account) -> None:
        now = self._clock.now()
        account.refreshed_at = now
        fresh = await asyncio.to_thread(reckoning.baseline, account.event, now, self._station, self._history, self._gap_s())
        if (load := self._estimates.kept(account.event)) is not None:
            fresh = reckoning.with_load(fresh, load)
        self._health(reckoning.holidays_around(self._station, account.event.start).problem)
        if account.baseline is None or not _same(fresh, account.baseline):
            account.baseline = fresh
            self._publish(fresh)

    async def _perform(self, account: Account, against: EventBaseline, now: datetime) -> None:
        event, gap_s, end = account.event, self._gap_s(), reckoning.end_of(account.event)
        before = account.performance
        settled = before is not None and before.final and before.intervals[-1].end == end
        if before is not None and settled and (before.intervals[0].load_estimate_wh is not None or not against.load_method):
            if self._clock.monotonic() >= account.revise_at:
                account.revise_at = self._clock.monotonic() + REVISE_S
                if (revision := await self._revision(event, against, before, now)) is not None:
                    account.performance = revision
                    self._publish(revision)
            return
        until = self._committed_until()
        final = self._nothing_can_come(end, until, now, gap_s)
        upto = end if final or until is None else min(until, end)
        recent = account.performed_until is not None and upto - account.performed_until < PERFORMANCE_STATION
        if not final and (until is None or recent):
            return
        figures = await asyncio.to_thread(self._settled, event, against, upto, now, final=final)
        if figures is not None:
            if before is not None and settled:  # only the estimate has come late
                figures = figures.model_copy(update={"ts": before.ts, "revision": before.revision, "changed": before.changed})
            account.performance, account.performed_until = figures, upto
            self._publish(figures)

    def _settled(
        self, event: EventMessage, against: EventBaseline, upto: datetime, now: datetime, *, final: bool
    ) -> EventPerformance | None:
        return reckoning.performance(event, against, upto, self._history, self._gap_s(), ts=now, final=final, station=self._station)

    async def _revision(
        self, event: EventMessage, against: EventBaseline, before: EventPerformance, now: datetime
    ) -> EventPerformance | None:
        """The final figures reckoned anew, if readings that came late have changed them."""
        fresh = await asyncio.to_thread(self._settled, event, against, before.intervals[-1].end, now, final=True)
        return None if fresh is None else payments.revised(fresh, before)

    async def _revise_archived(self) -> None:
        """Look at the events that are gone from the bus, too: an import may have filled their gaps."""
        if not self._clock.known or self._clock.monotonic() < self._revise_at:
            return
        self._revise_at = self._clock.monotonic() + REVISE_S
        now = self._clock.now()
        try:
            for body in await asyncio.to_thread(self._history.events):
                event = EventMessage.model_validate(body)
                if event.id not in self._accounts and reckoning.took_place(event) and event.end > now - REVISE_BACK:
                    await self._revise_one(event, now)
        except JournalError as error:
            log.warning("events of the past: %s", error)

    async def _revise_one(self, event: EventMessage, now: datetime) -> None:
        found = [await asyncio.to_thread(self._history.last_state, f"event/{event.id}/{part}") for part in ("baseline", "performance")]
        if found[0] is None or found[1] is None or not (before := EventPerformance.model_validate(found[1])).final:
            return
        if (revision := await self._revision(event, EventBaseline.model_validate(found[0]), before, now)) is not None:
            self._keep(revision)

    def _nothing_can_come(self, end: datetime, until: datetime | None, now: datetime, gap_s: float) -> bool:
        """Whether no reading that is still to be committed could be joined to the time before `end`."""
        gap = timedelta(seconds=gap_s)
        lag = timedelta(seconds=2 * self._station.recorder.commit_every_s * self._clock.speed)
        return (until is not None and until >= end + gap) or now >= end + 2 * gap + lag

    def _gap_s(self) -> float:
        return reckoning.max_gap_s(self._station, self._clock.speed)


def _same(one: Telemetry, other: Telemetry) -> bool:
    """Whether two messages differ in nothing but the time at which they were sent."""
    return one.model_copy(update={"ts": other.ts}) == other
