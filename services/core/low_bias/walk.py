"""Walking forward through a home's past: what each candidate would have said of each day before it came."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import cos, pi, sin

from services.core.low_bias.days import Past
from services.core.low_bias.features import Known, Window, described
from services.core.low_bias.ridge import Ridge

Row = Sequence[float]
Predict = Callable[[Sequence[Row]], Sequence[float]]
Learn = Callable[[Sequence[Row], Sequence[float]], Predict]
"""Makes a predictor from rows and what came true; for gradient boosting, which core does not import."""
ENOUGH_ROWS = 400
"""Boosted trees are not tried on less."""

USUAL, RECENT, REGRESSION, TREES, BLEND = "mean_of_last_20", "recent_mean", "regression", "boosted_trees", "regression_and_trees"
PLAINEST_FIRST = (USUAL, RECENT, REGRESSION, TREES, BLEND)


@dataclass(frozen=True, slots=True)
class Trial:
    """A day that has come true, beside what was said of it with nothing but the days before it."""

    day: date
    restful: bool
    actual_wh: tuple[float, ...]
    """By hour of the window."""
    said_wh: Mapping[str, tuple[float, ...]]
    """By candidate."""
    scale_wh: tuple[float, ...]
    """How uncertain each hour looked beforehand: the unit of its residual."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The trials of one window, the earliest first, and what the candidates say of the day asked for."""

    trials: tuple[Trial, ...]
    said_wh: Mapping[str, tuple[float, ...]]
    """Empty where the past holds too few days alike."""
    scale_wh: tuple[float, ...]
    restful: bool


def walk(past: Past, window: Window, target: date, *, day_of: bool, learn: Learn | None = None) -> Walk:
    """Every day before `target` as a trial, and the candidates for `target`, the last day of `past` that counts.

    The regression learns a day at a time, trees anew each calendar month: so whoever walks to another target finds
    the same trials. Raises ValueError when `target` lies outside the past.
    """
    last = (target - past.days[0].day).days if past.days else -1
    if not 0 <= last < len(past.days):
        raise ValueError(f"{target} lies outside the past that is known")
    candidates = _Candidates(learn)
    trials = []
    for i in range(last):
        known = described(past, i, window, day_of=day_of)
        actual = [load for hour in window.hours if (load := past.load_wh(i, hour)) is not None]
        # The end of a window over midnight on the day before lies after this one's begin.
        if known is None or len(actual) < len(known) or i + (window.last - 1) // 24 >= last:
            continue
        day = past.days[i]
        said = candidates.say(known, window, day.day, restful=day.restful)
        trials.append(Trial(day.day, day.restful, tuple(actual), said, _scale(known)))
        candidates.learn(known, window, day.day, actual, restful=day.restful)
    restful = past.days[last].restful
    known = described(past, last, window, day_of=day_of)
    if known is None:
        return Walk(tuple(trials), {}, (), restful)
    return Walk(tuple(trials), candidates.say(known, window, target, restful=restful), _scale(known), restful)


class _Candidates:
    """All that is tried; learns as it walks."""

    def __init__(self, learn: Learn | None) -> None:
        self._learn_trees = learn
        self._regressions: dict[bool, Ridge] = {}
        self._rows: list[Row] = []
        self._targets: list[float] = []
        self._trees: Predict | None = None
        self._month: tuple[int, int] | None = None

    def say(self, known: Sequence[Known], window: Window, day: date, *, restful: bool) -> dict[str, tuple[float, ...]]:
        """What each candidate expects of the window, in Wh an hour."""
        level = known[0].level_wh
        regression = self._regressions.get(restful)
        said = {USUAL: tuple(one.usual_wh for one in known), RECENT: tuple(one.recent_wh for one in known)}
        if regression is not None:
            said[REGRESSION] = tuple(max(0.0, regression.predict(one.values) * level) for one in known)
        self._renew(day)
        if self._trees is not None and regression is not None:
            grown = self._trees([_row(one, hour, day) for one, hour in zip(known, window.hours, strict=True)])
            said[TREES] = tuple(max(0.0, float(value) * level) for value in grown)
            said[BLEND] = tuple((one + other) / 2 for one, other in zip(said[REGRESSION], said[TREES], strict=True))
        return said

    def learn(self, known: Sequence[Known], window: Window, day: date, actual: Sequence[float], *, restful: bool) -> None:
        """Take in what came true."""
        level = known[0].level_wh
        if restful not in self._regressions:
            # The first guess: half the usual load, half the recent one.
            self._regressions[restful] = Ridge([0.0, 0.5, 0.5, *(0.0 for _ in known[0].values[3:])])
        relative = [load / level for load in actual]
        self._regressions[restful].learn([one.values for one in known], relative)
        if self._learn_trees is not None:
            self._rows += [_row(one, hour, day) for one, hour in zip(known, window.hours, strict=True)]
            self._targets += relative

    def _renew(self, day: date) -> None:
        if self._learn_trees is not None and len(self._rows) >= ENOUGH_ROWS and self._month != (day.year, day.month):
            self._month = (day.year, day.month)
            self._trees = self._learn_trees(self._rows, self._targets)


def _row(known: Known, hour: int, day: date) -> Row:
    season = 2 * pi * day.timetuple().tm_yday / 365.25
    return (*known.values, float(hour), float(day.weekday()), sin(season), cos(season))


def _scale(known: Sequence[Known]) -> tuple[float, ...]:
    # A home that was even for weeks may still be surprising: a tenth of its level is the least.
    return tuple(one.spread_wh + 0.1 * one.level_wh for one in known)
