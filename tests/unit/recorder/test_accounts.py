"""When baselines are published: well before the start, better once more is known, frozen at the start; and revised figures."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.bus.clock import ManualClock
from services.bus.messages.events import EventBaseline, EventPerformance
from services.bus.programmes import enrolled
from services.core.config.enrolment import Enrolment
from services.core.events import EventStatus
from services.recorder import accounts as module
from services.recorder.accounts import Accounts
from services.recorder.estimates import Estimates
from services.recorder.journal import FILE_NAME, StateRow
from tests.support.waiting import wait_for
from tests.unit.recorder.test_reckoning import event

START = datetime(2026, 7, 1, 18, tzinfo=UTC)  # a Wednesday, 14:00 in New York
END = START + timedelta(hours=2)


class Bus:
    """What was published, and what was only kept."""

    def __init__(self):
        self.baselines: list[EventBaseline] = []
        self.performances: list[EventPerformance] = []
        self.kept: list[EventPerformance] = []
        self.problems: list[Any] = []

    def publish(self, figures):
        (self.baselines if isinstance(figures, EventBaseline) else self.performances).append(figures)


@pytest.fixture
def coned(station):
    enrolment = Enrolment(name="coned-csrp-weather", pledge_w=100)
    return enrolled(station.model_copy(update={"programme": enrolment, "timezone": "America/New_York", "clock": "system"}))


@pytest.fixture
def begun(rolled_up, tmp_path):
    """Six days of 100 W, up to the start."""
    rolled_up("2026-06-25T00:00", 6 * 1440 + 18 * 60, {"p1_w": 100.0, "p2_w": 0.0, "p3_w": 0.0, "p4_w": 0.0}, tmp_path / FILE_NAME)


class HeldClock(ManualClock):
    """Station time and timers move by hand; waiting takes a moment."""

    async def sleep(self, seconds):
        await asyncio.sleep(min(seconds, 0.02))


@contextlib.asynccontextmanager
async def accounting(station, history, now, bus, monkeypatch, *, calm_s=0.0):
    monkeypatch.setattr(module, "TICK_S", 0.02)
    monkeypatch.setattr(module, "CALM_S", calm_s)
    clock = HeldClock(now)
    made = Accounts(
        station,
        clock,
        history,
        committed_until=clock.now,
        publish=bus.publish,
        withdraw=lambda _: None,
        keep=bus.kept.append,
        health=bus.problems.append,
    )
    task = asyncio.create_task(made.run())
    try:
        yield made, clock
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_baseline_is_early_then_better_then_frozen(coned, history, fill, monkeypatch) -> None:
    bus = Bus()
    async with accounting(coned, history, START - timedelta(hours=20), bus, monkeypatch) as (accounts, clock):
        accounts.heard(event(start=START, status=EventStatus.SCHEDULED))
        await wait_for(lambda: bus.baselines, 20)
        first = bus.baselines[0]
        assert ([one.import_wh for one in first.intervals], first.factor, first.frozen) == ([100.0, 100.0], None, False)
        assert "at 12:00" in first.note
        await wait_for(lambda: bus.baselines[-1].load_method, 30)
        assert [one.load_wh for one in bus.baselines[-1].intervals] == [100.0, 100.0]

        # The two hours that begin 4 h before the start are over, and on disk: no waiting for the next refresh.
        clock.step(timedelta(hours=18, seconds=11))
        adjusted = (await wait_for(lambda: [b for b in bus.baselines if b.factor is not None], 20))[0]
        assert (adjusted.factor, adjusted.frozen, adjusted.note.startswith("rests on")) == (1.0, False, True)

        clock.step(timedelta(hours=2))
        frozen = (await wait_for(lambda: [b for b in bus.baselines if b.frozen], 20))[0]
        accounts.heard(event(start=START))
        fill("2026-07-01T18:00", 130, lambda i: {"p1_w": 20.0, "p2_w": 0.0, "p3_w": 80.0, "p4_w": 0.0})
        clock.step(timedelta(minutes=30))
        clock.advance(100.0)
        await wait_for(lambda: bus.performances, 20)
        assert [b.intervals[0].import_wh for b in bus.baselines if b.frozen] == [frozen.intervals[0].import_wh] * sum(
            b.frozen for b in bus.baselines
        )
        accounts.heard(event(start=START, status=EventStatus.COMPLETED))
        clock.step(timedelta(hours=2))
        clock.advance(100.0)
        await wait_for(lambda: any(p.final for p in bus.performances), 20)
        final = bus.performances[-1]
        assert (final.reduction_wh, final.performance_factor, final.payment) == (160.0, 0.8, 0.16)
        assert final.estimate_reduction_wh == pytest.approx(160.0)
        assert set(bus.problems) == {None}


async def test_the_load_is_estimated_once_the_relays_have_had_their_turn_and_not_for_what_is_cancelled(coned, history, monkeypatch) -> None:
    made, make = [], Estimates.make

    def noted(self, event, *rest):
        made.append((event.id, clock.monotonic()))
        return make(self, event, *rest)

    monkeypatch.setattr(Estimates, "make", noted)
    bus = Bus()
    async with accounting(coned, history, START - timedelta(hours=20), bus, monkeypatch, calm_s=5.0) as (accounts, clock):
        accounts.heard(event("gone", start=START, status=EventStatus.SCHEDULED))
        accounts.heard(event("stays", start=START, status=EventStatus.SCHEDULED))
        heard_at = clock.monotonic()
        await wait_for(lambda: {one.event_id for one in bus.baselines} == {"gone", "stays"}, 20)
        accounts.heard(event("gone", start=START, status=EventStatus.CANCELLED, ts=START - timedelta(hours=20)))
        await wait_for(lambda: clock.advance(0.5) or [one for one in bus.baselines if one.load_method], 20)
        assert [event_id for event_id, _ in made] == ["stays"]
        assert made[0][1] - heard_at >= 5.0


async def test_an_event_that_starts_now_has_its_baseline_at_once_and_frozen(coned, history, monkeypatch) -> None:
    bus = Bus()
    async with accounting(coned, history, START + timedelta(seconds=5), bus, monkeypatch) as (accounts, _):
        accounts.heard(event(start=START))
        first = (await wait_for(lambda: bus.baselines, 20))[0]
        assert (first.frozen, first.factor, first.intervals[0].import_wh) == (True, 1.0, 100.0)


async def test_late_readings_revise_final_figures_on_the_bus_and_in_the_journal(coned, history, fill, journal, monkeypatch) -> None:
    fill("2026-07-01T18:00", 90, lambda i: {"p1_w": 20.0, "p2_w": 0.0, "p3_w": 80.0, "p4_w": 0.0})
    bus, done = Bus(), event(start=START, status=EventStatus.COMPLETED)
    async with accounting(coned, history, END + timedelta(hours=1), bus, monkeypatch) as (accounts, clock):
        accounts.heard(done)
        await wait_for(lambda: bus.baselines and bus.baselines[-1].load_method, 30)
        clock.advance(module.PERFORMANCE_S)
        await wait_for(lambda: bus.performances and bus.performances[-1].final and bus.performances[-1].intervals[0].load_estimate_wh, 20)
        assert bus.performances[-1].reduction_wh is None
        stored = {
            f"event/{done.id}": done,
            f"event/{done.id}/baseline": bus.baselines[-1],
            f"event/{done.id}/performance": bus.performances[-1],
        }
        fill("2026-07-01T19:30", 40, lambda i: {"p1_w": 20.0, "p2_w": 0.0, "p3_w": 80.0, "p4_w": 0.0})
        clock.advance(module.REVISE_S)
        revision = (await wait_for(lambda: [p for p in bus.performances if p.revision], 20))[-1]
        assert (revision.revision, revision.reduction_wh) == (1, 160.0)
        assert "reduction unknown → 160.0 Wh" in revision.changed

        # The same once the event is gone from the bus: an import has filled its gap.
        journal.write({}, [StateRow(topic, 1, body.model_dump_json()) for topic, body in stored.items()])
        accounts.archived(done.id)
        clock.advance(module.REVISE_S)
        kept = (await wait_for(lambda: bus.kept, 20))[0]
        assert (kept.revision, kept.reduction_wh) == (1, 160.0)


async def test_a_missing_holiday_file_is_told(station, history, monkeypatch, tmp_path) -> None:
    rules = enrolled(station).programme.rules
    assert rules is not None
    lost = rules.model_copy(update={"holidays": rules.holidays.model_copy(update={"file": str(tmp_path / "gone.txt")})})
    enrolment = Enrolment(name="recent-days", rules=lost)
    bus = Bus()
    async with accounting(station.model_copy(update={"programme": enrolment}), history, START, bus, monkeypatch) as (accounts, _):
        accounts.heard(event(start=START))
        assert "gone.txt cannot be read" in (await wait_for(lambda: bus.baselines, 20))[0].note
        assert "put it there" in (await wait_for(lambda: bus.problems, 20))[0]
