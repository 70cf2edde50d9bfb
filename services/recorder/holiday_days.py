"""The holidays that a programme's rules speak of: by region from the `holidays` library, and from a file of one's own."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from services.core.programme import Holidays


@dataclass(frozen=True, slots=True)
class HolidayDays:
    """Dates, and what is wrong with where they come from."""

    days: frozenset[date]
    problem: str | None = None
    """What could not be read, and the remedy: without it a baseline may take a holiday for an ordinary day."""


@lru_cache(maxsize=16)
def holidays_of(rule: Holidays, years: tuple[int, ...]) -> HolidayDays:
    """The holidays of `years`. Never raises: what is missing is told in `problem`, and the rest is used."""
    days: set[date] = set()
    problems: list[str] = []
    if rule.country is not None:
        try:
            days |= _of_region(rule, years)
        except ImportError:
            problems.append("holidays are not known: install them with: pip install 'smart-power-station[recorder]'")
        except NotImplementedError:
            where = rule.country if rule.subdivision is None else f"{rule.country}, {rule.subdivision}"
            problems.append(f"holidays.country: {where} is not known to the holidays library; see its list of countries and subdivisions")
    if rule.file is not None:
        found, wrong = _of_file(Path(rule.file))
        days |= found
        problems += wrong
    return HolidayDays(frozenset(days), "; ".join(problems) or None)


def _of_region(rule: Holidays, years: tuple[int, ...]) -> set[date]:
    from holidays import country_holidays  # noqa: PLC0415 - takes a tenth of a second, and only some programmes ask for it

    return set(country_holidays(rule.country or "", subdiv=rule.subdivision, years=years))


def _of_file(path: Path) -> tuple[set[date], list[str]]:
    try:
        lines: Iterable[str] = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return set(), [f"holiday file {path} cannot be read ({why}): put it there, or take holidays.file out of the programme"]
    days: set[date] = set()
    wrong = []
    for number, line in enumerate(lines, 1):
        if not (text := line.partition("#")[0].strip()):
            continue
        try:
            days.add(date.fromisoformat(text.split()[0].rstrip(",;")))
        except ValueError:
            wrong.append(f"holiday file {path}, line {number}: {text[:40]!r} does not begin with a date such as 2026-07-03")
    return days, wrong
