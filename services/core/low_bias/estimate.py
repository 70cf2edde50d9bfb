"""From trials to an estimate: the candidate that did best on this home, its bias taken out, and its interval."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.core.low_bias.band import Band, Said
from services.core.low_bias.walk import PLAINEST_FIRST, Trial, Walk

JUDGED_ON = 90
"""The latest trials of the same kind of day, on which candidates are compared."""
FEWEST_TO_JUDGE = 15
BETTER_BY = 0.98
"""A candidate must beat a plainer one's error by 2 %: else its lead may be luck."""
CENTRED_ON = 60
CENTRE_PULL = 20
"""How many trials without bias the correction starts from."""
CENTRE_MOST = 0.25


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the load would be, by hour of the window. The interval holds nine times in ten; None: not enough days to know."""

    method: str
    load_wh: tuple[float, ...]
    low_wh: tuple[float, ...] | None
    high_wh: tuple[float, ...] | None
    total_wh: float
    total_low_wh: float | None
    total_high_wh: float | None
    """Of the whole window: narrower than the hours' sum, because they err in different directions."""
    trials: int
    """Days of the home's own past on which the method was validated."""
    error: float | None
    """Its relative error there: the mean absolute error of the window's total, over the mean total."""
    bias: float | None
    """Its relative bias there, before it was taken out."""


class Judge:
    """Follows the trials of one kind of day in order; at any point it can say what it would estimate next."""

    def __init__(self) -> None:
        self._trials: list[Trial] = []
        self._hourly = Band()
        self._total = Band()

    def heard(self, trial: Trial) -> None:
        """A day came true."""
        _, said = self._centred(trial.said_wh)
        self._hourly.heard([Said(*one) for one in zip(said, trial.actual_wh, trial.scale_wh, strict=True)])
        self._total.heard([Said(sum(said), sum(trial.actual_wh), sum(trial.scale_wh))])
        self._trials.append(trial)

    def estimate(self, said_wh: Mapping[str, tuple[float, ...]], scale_wh: tuple[float, ...]) -> Estimate:
        """The estimate for a day of which the candidates say this."""
        method, load = self._centred(said_wh)
        ends = [self._hourly.around(wh, scale) for wh, scale in zip(load, scale_wh, strict=True)]
        bands = [end for end in ends if end is not None]
        whole = self._total.around(sum(load), sum(scale_wh))
        judged = [trial for trial in self._trials[-JUDGED_ON:] if method in trial.said_wh]
        return Estimate(
            method=method,
            load_wh=load,
            low_wh=tuple(low for low, _ in bands) if bands else None,
            high_wh=tuple(high for _, high in bands) if bands else None,
            total_wh=sum(load),
            total_low_wh=whole[0] if whole else None,
            total_high_wh=whole[1] if whole else None,
            trials=len(judged),
            error=_error(judged, method),
            bias=_bias(judged, method),
        )

    def _centred(self, said_wh: Mapping[str, tuple[float, ...]]) -> tuple[str, tuple[float, ...]]:
        method = self._best(said_wh)
        latest = [trial for trial in self._trials[-CENTRED_ON:] if method in trial.said_wh]
        actual, said = (sum(sum(one) for one in column) for column in ([t.actual_wh for t in latest], [t.said_wh[method] for t in latest]))
        pull = CENTRE_PULL * sum(said_wh[method])
        factor = (actual + pull) / (said + pull) if said + pull > 0.0 else 1.0
        factor = min(1.0 + CENTRE_MOST, max(1.0 - CENTRE_MOST, factor))
        return method, tuple(wh * factor for wh in said_wh[method])

    def _best(self, said_wh: Mapping[str, tuple[float, ...]]) -> str:
        """The candidate to trust now: the plainest that no other has beaten on this home."""
        names = [name for name in PLAINEST_FIRST if name in said_wh]
        best, least = names[0], _error(self._trials[-JUDGED_ON:], names[0])
        for name in names[1:]:
            judged = [trial for trial in self._trials[-JUDGED_ON:] if name in trial.said_wh]
            error = _error(judged, name)
            if error is not None and least is not None and error < least * BETTER_BY:
                best, least = name, error
        return best


def estimate(walked: Walk) -> Estimate | None:
    """The estimate for the day walked to, judged on the trials of its kind; None with too few days alike to say anything."""
    if not walked.said_wh:
        return None
    judge = Judge()
    for trial in walked.trials:
        if trial.restful is walked.restful:
            judge.heard(trial)
    return judge.estimate(walked.said_wh, walked.scale_wh)


def _error(trials: list[Trial], method: str) -> float | None:
    total = sum(sum(trial.actual_wh) for trial in trials)
    if len(trials) < FEWEST_TO_JUDGE or total <= 0.0:
        return None
    return sum(abs(sum(trial.said_wh[method]) - sum(trial.actual_wh)) for trial in trials) / total


def _bias(trials: list[Trial], method: str) -> float | None:
    total = sum(sum(trial.actual_wh) for trial in trials)
    return (sum(sum(trial.said_wh[method]) for trial in trials) - total) / total if len(trials) >= FEWEST_TO_JUDGE and total > 0.0 else None
