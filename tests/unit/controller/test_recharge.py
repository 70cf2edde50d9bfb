"""After an event: no settlement interval of the recharge rises above those before, and the battery is full again all the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.backtest.loop import Scenario, simulate
from services.controller import recharge
from services.controller.model import Interval, Memory, Recharge, Settings
from services.controller.view import resolve
from services.core.config.load import parse_station
from services.core.modes import Mode
from services.simulator.plant import PlantParameters, PlantState
from tests.support.sps import SHIPPED
from tests.unit.controller.conftest import NOW, SETTINGS, an_event, snapshot

STATION = parse_station(SHIPPED.read_text(encoding="utf-8"))
HOUR = timedelta(hours=1)


def load_w(now):
    """150 W, with 400 W in the evening hours of every day, and a cycle of a few minutes on top."""
    return 150.0 + (250.0 if 17 <= now.hour < 19 else 0.0) + (80.0 if now.minute % 20 < 6 else 0.0)


def hours_after_an_event(*, slow):
    """Mean import of each hour of the day after an emptied battery, and the highest state of charge. The week's peak is known."""
    settings = Settings.of(STATION)
    settings = replace(settings, control=settings.control.model_copy(update={"slow_recharge": slow}))
    parameters = PlantParameters.of(STATION)
    start = datetime(2026, 7, 1, 20, tzinfo=UTC)
    past = Interval(event_id="e1", start=start - HOUR, end=start, **_even(Interval))
    seen = Recharge(slot=int(start.timestamp() // 3600), day=int(start.timestamp() // 86400), peaks_w=(423.0, *(0.0,) * 6))
    memory = Memory(at=start - timedelta(seconds=30), mode=Mode.BATTERY, interval=past, recharge=seen)
    scenario = Scenario(
        parameters=parameters,
        settings=settings,
        preferences=STATION.preferences.preferences(),
        load_w=load_w,
        pv_w=lambda _: 0.0,
        start=start,
        end=start + 20 * HOUR,
        step_s=30.0,
    )
    hours, highest_pct = {}, 0.0
    for step in simulate(scenario, PlantState.initial(parameters, soc_pct=21.0), memory):
        hour = (step.at - start) // HOUR
        hours[hour] = hours.get(hour, 0.0) + (step.flows.p1_w + step.flows.p2_w) * 30.0 / 3600.0
        highest_pct = max(highest_pct, step.flows.soc_pct)
    return list(hours.values()), highest_pct


def _even(kind):
    # What an interval begins with besides its time is the ongoing phase's own.
    given = {"event_id", "start", "end"}
    fields = {name: field for name, field in kind.__dataclass_fields__.items() if name not in given}
    return {name: 0.0 for name, field in fields.items() if field.default is field.default_factory}


def test_the_recharge_makes_no_new_peak_and_gets_there():
    hours, soc_pct = hours_after_an_event(slow=True)
    assert max(hours[:15]) <= 423.0
    assert soc_pct > 84.0
    fast, _ = hours_after_an_event(slow=False)
    assert max(fast[:15]) > 600.0, "without the bound it would have been a peak"


def follow(memory, now, *, event=None, load_w=200.0, dt_s=60.0, soc_pct=50.0):
    seen = snapshot(load_w=load_w, soc_pct=soc_pct, event=event)
    return recharge.follow(memory, seen, resolve(seen, SETTINGS), now, dt_s, SETTINGS)


def test_a_peak_is_the_mean_of_an_interval_and_lasts_a_week():
    memory = Memory()
    for minute in range(61):
        memory = replace(memory, recharge=follow(memory, NOW + timedelta(minutes=minute), load_w=600.0 if minute < 30 else 200.0))
    assert max(memory.recharge.peaks_w) == pytest.approx(400.0, rel=0.02)
    for day in range(1, 8):
        assert max(memory.recharge.peaks_w) > 0
        memory = replace(memory, recharge=follow(memory, NOW + timedelta(days=day)))
    assert max(memory.recharge.peaks_w) == 0


def test_an_interval_that_was_hardly_metered_is_no_peak():
    memory = Memory()
    for minute in (0, 1, 2, 61):
        memory = replace(memory, recharge=follow(memory, NOW + timedelta(minutes=minute), load_w=900.0))
    assert max(memory.recharge.peaks_w) == 0


def test_the_bound_begins_when_an_event_is_over_and_ends_when_the_battery_is_charged():
    ongoing = Memory(
        interval=Interval(event_id="e1", start=NOW, end=NOW + HOUR, **_even(Interval)), recharge=Recharge(peaks_w=(300.0,) * 7)
    )
    assert follow(ongoing, NOW, event=an_event()).slow_until is None
    after = follow(ongoing, NOW)
    assert after.slow_until is not None
    memory = Memory(recharge=after)
    assert follow(memory, NOW + HOUR, soc_pct=60.0).slow_until is not None
    assert follow(memory, NOW + HOUR, soc_pct=88.0).slow_until is None
    assert follow(memory, NOW + 25 * HOUR).slow_until is None
