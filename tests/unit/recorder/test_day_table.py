"""Energy of local days from the table that is kept ready: always what the hours say, whatever happens to them."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.recorder import day_table
from services.recorder.journal import FILE_NAME
from services.recorder.keeping import keep_up

PARIS, KOLKATA = ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Kolkata")
FIRST = date(2026, 3, 28)  # Paris puts its clocks forward on the 29th
DAYS = 4
LAST = FIRST + timedelta(days=DAYS)
GAP_S = 150.0


def keep(journal, zone):
    while keep_up(journal, GAP_S, 150_000):
        pass
    slices = 0
    while day_table.keep_days(journal, zone):
        slices += 1
    return slices


def told(history, zone):
    return {day: one.flows["load"] for day, one in history.days(FIRST, LAST, zone, GAP_S).items()}


@pytest.fixture
def begun(rolled_up, tmp_path):
    """A hundred watts, from UTC's 27 to 31 March."""
    rolled_up("2026-03-27T00:00", 5 * 1440, {"p1_w": 60.0, "p2_w": 0.0, "p3_w": 40.0}, tmp_path / FILE_NAME)


@pytest.mark.parametrize(("zone", "hours"), [(PARIS, [24, 23, 24]), (KOLKATA, [24, 24, 24])])
def test_days_are_as_long_as_the_wall_clock_makes_them(journal, history, zone, hours) -> None:
    before = told(history, zone)
    assert keep(journal, zone) == 1
    assert [one.energy_wh for one in list(told(history, zone).values())[:3]] == [pytest.approx(100 * length) for length in hours]
    assert {day: one.energy_wh for day, one in told(history, zone).items()} == {
        day: pytest.approx(one.energy_wh, abs=0.02) for day, one in before.items()
    }


def test_a_reading_that_comes_late_changes_its_day(journal, history, fill) -> None:
    keep(journal, PARIS)
    before = told(history, PARIS)
    fill("2026-03-29T10:00", 60, lambda i: {"p1_w": 160.0})
    assert keep(journal, PARIS) == 1
    after = told(history, PARIS)
    assert after[date(2026, 3, 29)].energy_wh == pytest.approx(before[date(2026, 3, 29)].energy_wh + 100, abs=2)
    assert {day for day in after if after[day] != before[day]} == {date(2026, 3, 29)}


def test_another_time_zone_has_other_days(journal, history) -> None:
    keep(journal, PARIS)
    fresh = told(history, KOLKATA)
    assert keep(journal, KOLKATA) == 1
    assert told(history, KOLKATA) == fresh
    assert keep(journal, KOLKATA) == 0


def test_the_running_day_is_told_up_to_its_last_reading(journal, history) -> None:
    keep(journal, PARIS)
    last = told(history, PARIS)[LAST - timedelta(days=1)]
    end = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
    assert last.covered == 1.0
    assert last.energy_wh == pytest.approx(2400)
    journal.append_rows((end + timedelta(minutes=i), {"p1_w": 60.0, "p2_w": 0.0, "p3_w": 40.0}) for i in range(1, 60))
    today = history.days(LAST, LAST + timedelta(days=1), PARIS, GAP_S)[LAST].flows["load"]
    assert today.energy_wh == pytest.approx(100 * 178 / 60, abs=1)


def test_a_day_without_readings_is_unknown_and_is_not_looked_for_again(journal, history, fill) -> None:
    fill("2026-04-05T00:00", 120, lambda i: {"p1_w": 1.0})
    assert keep(journal, PARIS) == 1
    empty = history.days(date(2026, 4, 2), date(2026, 4, 3), PARIS, GAP_S)[date(2026, 4, 2)]
    assert (empty.flows["load"].energy_wh, empty.flows["load"].covered, empty.metered) == (None, 0.0, 0.0)
    assert keep(journal, PARIS) == 0
