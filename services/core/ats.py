"""What a transfer switch does, read from the powers at its two inputs while P1 is opened and closed again. Pure.

With both inputs live the load hangs on the preferred one. P1 is opened, the load must go over to the inverter (P3); P1
is closed, and a switch with grid priority takes the load back after its delay, one with inverter priority never had it
on the grid. The readings are samples, so every time is known only to the sample before and after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from services.core.modes import AtsPriority

CARRYING_W = 10.0
"""Above this a position carries the load, which may change as long as it stays above; below it is the noise of meters."""
COARSEST_S = 5.0
"""Readings further apart say nothing about a gap of milliseconds to seconds."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Power at P1 and P3 at one moment; None where there was no reading."""

    t_s: float
    p1_w: float | None = None
    p3_w: float | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening of P1, on the clock of the samples."""

    asked_s: float
    """When the relay was told to open: until then both inputs were live."""
    opened_s: float
    """When it confirmed it."""
    closed_s: float
    """When it confirmed that it had closed again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the readings show. None is: not resolved by them."""

    priority: AtsPriority
    why: str
    """For a person: what the priority was read from, or why it could not be."""
    delay_s: float | None = None
    """From P1 live until the load is back on it; the transfer's gap is within it."""
    delay_error_s: float | None = None
    """The true delay lies within so much of `delay_s`, as far as this depends on the sampling."""
    gap_s: float | None = None
    """No observed transfer left the load without a source for longer."""


_Series = list[tuple[float, float]]


def evaluate(samples: Sequence[Sample], openings: Sequence[Opening]) -> Finding:
    """The switch that explains `samples`. Unknown, with the reason, rather than guessed."""
    ordered = sorted(samples, key=lambda sample: sample.t_s)
    p1 = [(s.t_s, s.p1_w) for s in ordered if s.p1_w is not None]
    p3 = [(s.t_s, s.p3_w) for s in ordered if s.p3_w is not None]
    if not openings:
        return _unknown("P1 was never opened")
    ends = [*(opening.asked_s for opening in openings[1:]), max((s.t_s for s in ordered), default=0.0)]
    starts = [float("-inf"), *((a.closed_s + b.asked_s) / 2 for a, b in pairwise(openings))]
    verdicts = [_judge(p1, p3, opening, start_s, end_s) for opening, start_s, end_s in zip(openings, starts, ends, strict=True)]
    for verdict in verdicts:
        if verdict.priority is AtsPriority.UNKNOWN:
            return verdict
    if len({verdict.priority for verdict in verdicts}) > 1:
        return _unknown("the load came back to the grid at one opening and not at another")
    first = verdicts[0]
    if first.priority is AtsPriority.INVERTER:
        return first
    delays = [_delay(p1, opening, end_s) for opening, end_s in zip(openings, ends, strict=True)]
    gaps = [_gap(p1, p3, opening, end_s) for opening, end_s in zip(openings, ends, strict=True)]
    known = [gap for gap in gaps if gap is not None]
    return Finding(
        AtsPriority.GRID,
        first.why,
        delay_s=median(delay for delay, _ in delays),
        delay_error_s=max(error for _, error in delays),
        gap_s=max(known) if len(known) == len(gaps) else None,
    )


def _judge(p1: _Series, p3: _Series, opening: Opening, start_s: float, end_s: float) -> Finding:
    """Which input the switch prefers, by one opening."""
    before = _carrier(p1, p3, start_s, opening.asked_s)
    if before is None:
        return _unknown("before P1 was opened no load was seen on P1 or P3 alone; plug in a steady load, such as a lamp")
    while_open = [watts for t_s, watts in p3 if opening.opened_s < t_s <= opening.closed_s]
    if while_open and max(while_open) <= CARRYING_W:
        return _unknown("with P1 open the load did not go over to P3; check the inverter and the wiring of the transfer switch")
    # Long after closing: the last third of what was watched.
    after = _carrier(p1, p3, end_s - (end_s - opening.closed_s) / 3, end_s)
    if after is None:
        return _unknown("after P1 was closed no load was seen on P1 or P3 alone; use a steadier load")
    if before == after == "p1":
        unseen = "" if while_open else " (P3 was not read meanwhile)"
        return Finding(AtsPriority.GRID, f"with both inputs live the load is on the grid, and returns to it{unseen}")
    if before == after == "p3":
        return Finding(AtsPriority.INVERTER, "with both inputs live the load is on the inverter, and stays there")
    if before == "p1":
        return _unknown(f"the load did not return to the grid within {end_s - opening.closed_s:.0f} s; watch longer")
    return _unknown("the load was on the inverter before and on the grid afterwards: the switch keeps no priority")


def _carrier(p1: _Series, p3: _Series, start_s: float, end_s: float) -> str | None:
    """The one position that carries the load throughout; None if none does, or both do."""
    on_p1 = [watts > CARRYING_W for t_s, watts in p1 if start_s <= t_s <= end_s]
    on_p3 = [watts > CARRYING_W for t_s, watts in p3 if start_s <= t_s <= end_s]
    if on_p1 and all(on_p1) and not any(on_p3):
        return "p1"
    return "p3" if on_p3 and all(on_p3) and not any(on_p1) else None


def _delay(p1: _Series, opening: Opening, end_s: float) -> tuple[float, float]:
    """The delay, and how far off it may be: halfway between the last sample without the load and the first with it."""
    after = [(t_s, watts > CARRYING_W) for t_s, watts in p1 if opening.closed_s < t_s <= end_s]
    back_s = next(t_s for t_s, carries in after if carries)
    last_s = max((t_s for t_s, carries in after if t_s < back_s), default=opening.closed_s)
    return (back_s + last_s) / 2 - opening.closed_s, (back_s - last_s) / 2


def _gap(p1: _Series, p3: _Series, opening: Opening, end_s: float) -> float | None:
    """An upper bound of the time without a source, at the transfer to P3 and at the one back."""
    on_p3 = [t_s for t_s, watts in p3 if opening.opened_s < t_s <= end_s and watts > CARRYING_W]
    on_p1 = [t_s for t_s, watts in p1 if opening.closed_s < t_s <= end_s and watts > CARRYING_W]
    if not on_p3:
        return None
    longest_s = max(on_p3[0] - opening.opened_s, on_p1[0] - on_p3[-1], 0.0)
    return longest_s if longest_s <= COARSEST_S else None


def _unknown(why: str) -> Finding:
    return Finding(AtsPriority.UNKNOWN, why)
