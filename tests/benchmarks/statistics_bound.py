"""How well a pledge could be held by a policy that is optimal for the load's own statistics, and knows nothing of what comes.

The load, over the goal, is a Markov chain on a logarithmic scale, with the transitions of the very windows in which the policy is then
measured: it has learnt by heart how often a load rises, and only not when. Dynamic programming over the place in the interval, what was
given in it, the relay with its dwell, and the load gives the best that a decision every half minute can do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from services.backtest.windows import Window

STEP_S = 30.0
EDGES = np.concatenate([[0.0], np.geomspace(0.25, 14.0, 17), [np.inf]])
"""Of the classes of load over goal."""
GRID = 0.05
"""What was given, over what was asked of the interval, is told apart so finely."""
MOST_GIVEN = 5.0
CYCLES = 6
"""Intervals after which the beginning of the first no longer matters."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A window's load over its goal, step by step."""

    loads: NDArray[np.float64]
    goal_w: float
    """What the battery can hold of `asked_w`."""
    asked_w: float

    @property
    def classes(self) -> NDArray[np.intp]:
        """What is known at each step: the load of the one before."""
        seen = np.concatenate([self.loads[:1], self.loads[:-1]])
        return np.searchsorted(EDGES, seen, side="right") - 1


def course(window: Window, asked_w: float, most_w: float) -> Course:
    """`window` with a pledge of `asked_w`, of which the battery can hold `most_w` to its end."""
    goal_w = min(asked_w, most_w)
    return Course(np.repeat(window.load_w, round(window.rows.step_s / STEP_S)) / goal_w, goal_w, asked_w)


def learnt(courses: Sequence[Course]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The transitions between classes, and the mean load of the step at whose beginning a class is seen."""
    count = len(EDGES) - 1
    moves, sums, seen = np.zeros((count, count)), np.zeros(count), np.zeros(count)
    for each in courses:
        classes = each.classes
        np.add.at(moves, (classes[:-1], classes[1:]), 1.0)
        np.add.at(sums, classes, each.loads)
        np.add.at(seen, classes, 1.0)
    for empty in np.flatnonzero(moves.sum(axis=1) == 0.0):
        moves[empty, empty] = 1.0
    middles = np.minimum(EDGES[1:], 2.0 * EDGES[-2])
    return moves / moves.sum(axis=1, keepdims=True), np.where(seen > 0.0, sums / np.maximum(seen, 1.0), middles)


def optimal(courses: Sequence[Course], interval_s: float, dwell_s: float) -> NDArray[np.bool_]:
    """Whether to be on, by step of the interval, what was given, state of the relay, and class.

    The relay's states are on for 0, 1, ... steps up to the dwell, then off for as many.
    """
    moves, loads = learnt(courses)
    steps, dwell = round(interval_s / STEP_S), round(dwell_s / STEP_S)
    given = np.arange(0.0, MOST_GIVEN + GRID / 2.0, GRID)
    cost = (given[:, None] - np.minimum(1.0, loads)[None, :]) ** 2
    after = np.clip((given[:, None] + loads[None, :] / steps) / GRID, 0.0, len(given) - 1.001)
    below = after.astype(int)
    share, columns = after - below, np.arange(len(loads))[None, :]
    value = np.zeros((len(given), 2 * dwell + 2, len(loads)))
    wishes = np.zeros((steps, *value.shape), dtype=bool)
    for t in list(range(steps - 1, -1, -1)) * CYCLES:
        expected = value @ moves.T
        if t == steps - 1:
            expected = expected[:1] + cost[:, None, :]
        given_more = expected[below, :, columns] * (1.0 - share)[..., None] + expected[below + 1, :, columns] * share[..., None]
        value = np.empty_like(value)
        for held in range(dwell + 1):
            on, off = held, dwell + 1 + held
            stays_on, stays_off = given_more[..., min(held + 1, dwell)], expected[:, dwell + 1 + min(held + 1, dwell)]
            free = held == dwell
            goes_off, goes_on = expected[:, dwell + 2], given_more[..., 1]
            value[:, on] = np.minimum(stays_on, goes_off) if free else stays_on
            value[:, off] = np.minimum(stays_off, goes_on) if free else stays_off
            wishes[t, :, on] = stays_on <= goes_off if free else True
            wishes[t, :, off] = goes_on < stays_off if free else False
        value -= value.min()
    return wishes


def played(each: Course, wishes: NDArray[np.bool_]) -> tuple[float, int]:
    """The mean square error of `each` over what was asked, and the operations."""
    steps, dwell = wishes.shape[0], wishes.shape[2] // 2 - 1
    state, operations, given, errors = 2 * dwell + 1, 0, 0.0, []
    for t, (load, seen) in enumerate(zip(each.loads.tolist(), each.classes.tolist(), strict=True)):
        into = t % steps
        given = 0.0 if into == 0 else given
        on = bool(wishes[into, min(round(given / GRID), wishes.shape[1] - 1), state, seen])
        if on is not (state <= dwell):
            operations, state = operations + 1, 1 if on else dwell + 2
        else:
            state = min(state + 1, dwell if on else 2 * dwell + 1)
        given += load / steps if on else 0.0
        if into == steps - 1:
            mean = float(each.loads[t - into : t + 1].mean())
            errors.append(given * each.goal_w / each.asked_w - min(1.0, mean * each.goal_w / each.asked_w))
    return float(np.mean(np.square(errors))), operations + (state <= dwell)


def best(courses: Sequence[Course], interval_s: float, dwell_s: float) -> tuple[float, float]:
    """The error (RMS over all intervals, over what was asked) and the operations of that policy, in the windows it has learnt from."""
    wishes = optimal(courses, interval_s, dwell_s)
    found = [played(each, wishes) for each in courses]
    return sqrt(sum(square for square, _ in found) / len(found)), sum(operations for _, operations in found) / len(found)
