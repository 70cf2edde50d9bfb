from datetime import UTC, datetime, timedelta

import pytest

from services.bus.messages.devices import BatteryEstimate, BatteryReadingMessage, PositionReading
from services.recorder import intake as module
from services.recorder.columns import COLUMNS, INDEX
from services.recorder.intake import Batch, Intake

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def reading(power_w, ts=NOW, **values):
    return PositionReading(ts=ts, power_w=power_w, device="x", **values)


def take(into, position, message):
    return into.position(position, message, now=NOW, speed=1.0)


def values(batch):
    """The batch as {ms from now: {name: value}}."""
    return {
        ts - NOW_MS: {name: COLUMNS[name].decode(stored) for name, i in INDEX.items() if (stored := row[i]) is not None}
        for ts, row in batch.rows.items()
    }


def test_readings_of_one_time_become_one_row() -> None:
    intake = Intake()
    take(intake, "p1", reading(93.4, voltage_v=229.9, energy_wh=12.0))
    take(intake, "p2", reading(0.0))
    intake.battery(BatteryReadingMessage(ts=NOW, soc_pct=71.5, ac_out_w=50, ac_output_on=True, device="x"), now=NOW, speed=1)
    expected = {"p1_w": 93.4, "p1_v": 229.9, "p1_wh": 12.0, "p2_w": 0.0, "soc_pct": 71.5, "ac_out_w": 50.0, "ac_output_on": 1.0}
    assert values(intake.take()) == {0: expected}
    assert not intake.take()


def test_unknown_is_not_zero() -> None:
    intake = Intake()
    take(intake, "p1", reading(None))
    take(intake, "p2", reading(0.0))
    assert values(intake.take()) == {0: {"p2_w": 0.0}}


def test_a_repeated_reading_is_dropped_and_a_late_one_kept() -> None:
    intake = Intake()
    take(intake, "p1", reading(5.0))
    intake.take()
    take(intake, "p1", reading(5.0))
    assert not intake.take()
    take(intake, "p1", reading(4.0, NOW - timedelta(hours=3)))
    assert values(intake.take()) == {-3 * 3600 * 1000: {"p1_w": 4.0}}


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("p1_w", reading(93_000.0)),
        ("p1_w", reading(-31_000.0)),
        ("p1_v", reading(1.0, voltage_v=2300.0)),
        ("p1_wh", reading(1.0, energy_wh=1e12)),
        ("ts", reading(1.0, NOW + timedelta(minutes=2))),
    ],
)
def test_absurd_values_are_refused_by_name_with_the_limits(field, message) -> None:
    intake = Intake()
    refusal = take(intake, "p1", message)
    assert refusal is not None
    assert refusal.field == field
    assert "check the device" in refusal.remedy or "clock" in refusal.remedy
    assert not intake.take()


def test_a_position_that_does_not_exist_is_refused() -> None:
    refusal = take(Intake(), "p9", reading(1.0))
    assert refusal is not None
    assert (refusal.field, refusal.value) == ("position", "p9")


def test_the_estimate_is_kept_when_it_moves() -> None:
    intake = Intake()
    for i, soc_pct in enumerate((50.0, 50.04, 50.2, 50.2)):
        ts = NOW + timedelta(seconds=i)
        intake.estimate(BatteryEstimate(ts=ts, soc_pct=soc_pct, low=0, high=100), now=ts, speed=1)
    assert values(intake.take()) == {0: {"estimate_pct": 50.0}, 2000: {"estimate_pct": 50.2}}


def test_a_state_is_kept_when_it_changes_and_asks_for_a_commit() -> None:
    urgent = []
    intake = Intake(urgent=lambda: urgent.append(1))
    for content in ("a", "a", "b", "a"):
        intake.state("controller/state", NOW, f'"{content}"', {"phase": content})
    assert [state.payload for state in intake.take().states] == ['"a"', '"b"', '"a"']
    assert len(urgent) == 3


def test_what_the_journal_already_knows_is_no_news() -> None:
    intake = Intake()
    intake.remember("preferences", {"a": 1})
    intake.state("preferences", NOW, "{}", {"a": 1})
    assert not intake.take()


def test_what_could_not_be_written_comes_back_with_what_came_since() -> None:
    intake = Intake()
    take(intake, "p1", reading(1.0))
    intake.state("a", NOW, "1", {"a": 1})
    failed = intake.take()
    take(intake, "p2", reading(2.0))
    intake.state("a", NOW, "2", {"a": 2})
    assert intake.put_back(failed) == 0
    batch = intake.take()
    assert values(batch) == {0: {"p1_w": 1.0, "p2_w": 2.0}}
    assert [state.payload for state in batch.states] == ["1", "2"]


def test_the_backlog_is_bounded_and_loses_the_oldest(monkeypatch) -> None:
    monkeypatch.setattr(module, "BACKLOG_ROWS", 10)
    intake = Intake()
    for i in range(25):
        take(intake, "p1", reading(float(i), NOW - timedelta(seconds=i)))
    assert intake.put_back(Batch()) == 15
    assert {row["p1_w"] for row in values(intake.take()).values()} == {float(i) for i in range(10)}


def test_a_new_journal_gets_the_states_that_hold() -> None:
    intake = Intake()
    intake.state("a", NOW, "1", {"a": 1})
    intake.state("a", NOW, "2", {"a": 2})
    intake.take()
    intake.states_again()
    assert [state.payload for state in intake.take().states] == ["2"]


def watched(intake):
    found = []
    intake.suspected = found.append
    return found


def test_a_device_that_changes_to_kilowatts_is_suspected_once_and_stored_as_it_came() -> None:
    intake = Intake()
    found = watched(intake)
    for i in range(80):
        take(intake, "p1", reading(90.0 + i % 9 if i < 40 else 0.1, NOW - timedelta(seconds=80 - i)))
    assert [(one.field, one.value) for one in found] == [("p1_w", "0.1")]
    assert "about a thousandth of what was usual (93.5)" in found[0].remedy
    assert list(values(intake.take()).values())[-1] == {"p1_w": 0.1}


def test_a_power_that_its_own_voltage_and_current_deny_is_suspected_at_once() -> None:
    intake = Intake()
    found = watched(intake)
    take(intake, "p1", reading(23_000.0, voltage_v=230.0, current_a=0.1))
    assert "about 1000 times voltage times current (23 VA)" in found[0].remedy


def test_an_ordinary_day_is_not_suspected() -> None:
    intake = Intake()
    found = watched(intake)
    for i in range(500):
        take(intake, "p1", reading((0.0, 0.8, 35.0, 240.0, 1400.0)[i * 7 % 5], NOW - timedelta(seconds=500 - i), voltage_v=230.0))
    assert found == []


def test_an_absurd_value_that_a_thousandth_of_could_be_says_so() -> None:
    refusal = take(Intake(), "p1", reading(1.0, voltage_v=230_000.0))
    assert refusal is not None
    assert "a thousandth of it could be" in refusal.remedy
