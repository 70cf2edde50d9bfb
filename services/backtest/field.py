"""Many windows, many policies, over all cores: what the benchmarks run."""

import multiprocessing as mp
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.backtest import trial
from services.backtest.policies import POLICIES
from services.backtest.trial import Result
from services.backtest.windows import Window
from services.controller.model import Memory
from services.core.config.station import Station
from services.core.goals import Goal, GoalKind

OURS = "ours"
Told = Callable[[int, int], None]
"""Gets how many of how many runs are done."""


@dataclass(frozen=True, slots=True)
class Field:
    """The windows and the station that all policies share."""

    windows: Sequence[Window]
    station: Station
    memories: Mapping[int, Memory]
    pledged_share: float | None = None
    """Pledge this share of each window's mean load; None minimises."""

    def goal(self, window: Window) -> Goal:
        """What is asked in `window`."""
        if self.pledged_share is None:
            return Goal(GoalKind.MINIMIZE)
        return Goal(GoalKind.PLEDGE, self.pledged_share * window.mean_w)


_field: Field | None = None
"""In a worker."""


def play(field: Field, policies: Sequence[str], told: Told = lambda _, __: None, *, workers: int | None = None) -> dict[str, list[Result]]:
    """The results of each of `policies`, window by window."""
    jobs = [(policy, index) for policy in policies for index in range(len(field.windows))]
    found: dict[str, list[Result]] = {policy: [] for policy in policies}
    # The workers inherit the field by forking: nothing of it is sent.
    with mp.get_context("fork").Pool(workers or mp.cpu_count(), initializer=_begin, initargs=(field,)) as pool:
        for done, (job, result) in enumerate(zip(jobs, pool.imap(_play, jobs, chunksize=2), strict=True), start=1):
            found[job[0]].append(result)
            told(done, len(jobs))
    return found


def _begin(field: Field) -> None:
    global _field  # noqa: PLW0603 - a pool hands what its workers share over in no other way
    _field = field


def _play(job: tuple[str, int]) -> Result:
    policy, index = job
    if _field is None:
        raise RuntimeError("a worker plays only in a pool that `play` made")
    window = _field.windows[index]
    chosen = None if policy == OURS else POLICIES[policy]
    return trial.play(window, _field.station, chosen, _field.memories[window.first], goal=_field.goal(window))
