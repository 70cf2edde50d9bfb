"""Holidays of a region and of a file; what is missing is told, and the rest is used."""

from datetime import date

from services.core.programme import Holidays
from services.recorder import holiday_days

YEARS = (2026,)


def holidays_of(rule, years):
    return holiday_days.holidays_of(rule, years)


def test_holidays_of_a_region() -> None:
    found = holidays_of(Holidays(country="US", subdivision="NY"), YEARS)
    assert {date(2026, 7, 3), date(2026, 11, 26)} <= found.days  # Independence Day as observed, Thanksgiving
    assert found.problem is None


def test_an_unknown_region_is_told_and_no_fault() -> None:
    found = holidays_of(Holidays(country="US", subdivision="Nowhere"), YEARS)
    assert (found.days, "US, Nowhere is not known" in found.problem) == (frozenset(), True)


def test_a_file_adds_to_the_region_and_a_broken_line_is_named(tmp_path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("# ours\n2026-08-14 company holiday\n14.8.2026\n\n2026-08-17, bridge\n", encoding="utf-8")
    found = holidays_of(Holidays(country="US", file=str(path)), YEARS)
    assert {date(2026, 8, 14), date(2026, 8, 17), date(2026, 7, 4)} <= found.days
    assert found.problem == f"holiday file {path}, line 3: '14.8.2026' does not begin with a date such as 2026-07-03"


def test_a_missing_file_is_told_with_the_remedy_and_the_region_still_counts(tmp_path) -> None:
    found = holidays_of(Holidays(country="US", file=str(tmp_path / "gone.txt")), YEARS)
    assert date(2026, 12, 25) in found.days
    assert "gone.txt cannot be read (No such file or directory): put it there" in found.problem
