"""What is known of an hour before it comes, as numbers relative to the home's own level, so that every home is learnt alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.core.low_bias.days import Past, known_mean

ALIKE_DAYS = 20
"""Days of the same kind (working or restful) that make the usual load."""
FEWEST_DAYS = 3
RECENT = 0.8
"""Weight of each earlier day of the same kind against the one after it, in the recent mean: a half-life of three days."""
PRE_HOURS = 3
WARM_C, COLD_C = 20.0, 15.0
"""Beyond these a home cools or heats."""


@dataclass(frozen=True, slots=True)
class Window:
    """Whole local hours of a day; from 24 on the next day's. Raises ValueError unless first < last."""

    first: int
    last: int
    """The hour after the window's last."""

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.last <= 48:
            raise ValueError(f"a window runs from an hour of the day to a later one, not from {self.first} to {self.last}")

    @property
    def hours(self) -> range:
        """The hours in it."""
        return range(self.first, self.last)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one hour of one day before its window begins."""

    values: tuple[float, ...]
    """Relative to the level; in the order that `described` builds them."""
    usual_wh: float
    """The mean of this hour over the days alike."""
    recent_wh: float
    spread_wh: float
    """Its standard deviation over the days alike."""
    level_wh: float
    """The home's mean hour over those days: the unit of `values`."""


def alike(past: Past, i: int, window: Window) -> list[int]:
    """The latest days before `i` of its kind with every hour of the window known, the latest first."""
    found = []
    for j in range(i - 1, max(-1, i - 1 - 4 * ALIKE_DAYS), -1):
        # A window over midnight ends on the day after: the day before `i` may not be over when `i` begins.
        if past.days[j].restful is past.days[i].restful and j + (window.last - 1) // 24 < i and _whole(past, j, window.hours):
            found.append(j)
            if len(found) == ALIKE_DAYS:
                break
    return found


def described(past: Past, i: int, window: Window, *, day_of: bool) -> list[Known] | None:
    """Each hour of the window on day `i`; None with too few days alike. `day_of`: the load up to the start is known, too."""
    days = alike(past, i, window)
    if len(days) < FEWEST_DAYS:
        return None
    level = known_mean([past.load_wh(j, h) for j in days for h in range(24)])
    if level is None or level <= 0.0:
        return None
    weights = [RECENT**n for n in range(len(days))]
    usual = {h: _mean(past, days, h) for h in window.hours}
    recent = {h: sum(w * (past.load_wh(j, h) or 0.0) for w, j in zip(weights, days, strict=True)) / sum(weights) for h in window.hours}
    usual_window, recent_window = (sum(one.values()) / len(one) for one in (usual, recent))
    latest = known_mean([past.load_wh(days[0], h) for h in window.hours]) or 0.0
    yesterday = _deviation(past, i - 1, days, range(24))
    common = [usual_window, recent_window, latest - usual_window, yesterday]
    if day_of:
        before = range(window.first - PRE_HOURS, window.first)
        common += [_deviation(past, i, days, hours) for hours in (before, before[-1:], range(window.first))]
    found = []
    for hour in window.hours:
        loads = [past.load_wh(j, hour) or 0.0 for j in days]
        week_ago = past.load_wh(i - 7, hour) if i >= 7 else None
        own = [usual[hour], recent[hour], loads[0] - usual[hour], 0.0 if week_ago is None else week_ago - usual[hour]]
        values = [1.0, *(value / level for value in (*own, *common)), *_weather(past, i, days, hour)]
        spread = (sum((load - usual[hour]) ** 2 for load in loads) / len(loads)) ** 0.5
        found.append(Known(tuple(values), usual[hour], recent[hour], spread, level))
    return found


def _weather(past: Past, i: int, days: Sequence[int], hour: int) -> list[float]:
    """How much warmer or colder than on the days alike, in tens of degrees; zeros where it is not known."""
    now = past.temperature_c(i, hour)
    then = known_mean([past.temperature_c(j, hour) for j in days])
    if now is None or then is None:
        return [0.0, 0.0]
    return [(max(0.0, now - WARM_C) - max(0.0, then - WARM_C)) / 10, (max(0.0, COLD_C - now) - max(0.0, COLD_C - then)) / 10]


def _deviation(past: Past, i: int, days: Sequence[int], hours: range) -> float:
    """How far day `i` lay from the days alike over `hours`, in Wh an hour; 0 where that is not known: nothing to learn from."""
    differences = []
    for hour in hours:
        now = past.load_wh(i, hour) if i >= 0 else None
        then = known_mean([past.load_wh(j, hour) for j in days])
        differences.append(None if now is None or then is None else now - then)
    return known_mean(differences) or 0.0


def _whole(past: Past, i: int, hours: range) -> bool:
    return all(past.load_wh(i, hour) is not None for hour in hours)


def _mean(past: Past, days: Sequence[int], hour: int) -> float:
    return sum(past.load_wh(j, hour) or 0.0 for j in days) / len(days)
