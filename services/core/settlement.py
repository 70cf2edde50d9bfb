"""What an event came to, in two figures side by side: metered, and against the baseline (design section 7)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.core.baseline import MIN_COVERED, Interval
from services.core.energy import UNKNOWN, Energy, Flows, Quantity
from services.core.positions import Position


@dataclass(frozen=True, slots=True)
class Metered:
    """What the meters say of one interval."""

    imported: Energy
    """P1 + P2."""
    avoided: Energy
    """P3 - P2, signed."""
    pv: Energy
    """P4."""
    given: Energy
    """P3."""
    covered: float
    """Share of the interval in which P1, P2 and P3 are all known."""


def metered(intervals: Iterable[Interval], flows: Flows) -> list[Metered]:
    """Each interval from the power samples themselves."""
    found = []
    for interval in intervals:
        span = (interval.start.timestamp(), interval.end.timestamp())
        found.append(
            Metered(
                flows.quantity(Quantity.IMPORT, *span),
                flows.quantity(Quantity.AVOIDED, *span),
                flows.energy(Position.P4, *span) if Position.P4 in flows.series else UNKNOWN,
                flows.energy(Position.P3, *span),
                flows.covered((Position.P1, Position.P2, Position.P3), *span),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Settled:
    """One settlement interval. None is unknown, and what is computed from an unknown figure is unknown."""

    start: datetime
    end: datetime
    baseline_wh: float | None
    """Estimated import, for the whole interval."""
    import_wh: float | None
    """P1 + P2, over the time in which both are known."""
    avoided_wh: float | None
    """Metered: the integral of P3 - P2, signed. A measurement; needs no baseline."""
    pv_wh: float | None
    """P4, apart: the battery may have given on what the sun gave it."""
    reduction_wh: float | None
    """Baseline minus import. For time without readings nothing is claimed: the baseline counts for the covered share."""
    covered: float
    """Share of the interval in which P1, P2 and P3 are all known."""
    import_covered: float
    """Share in which P1 and P2 are: for so much of it a reduction can be claimed."""
    given_wh: float | None
    """P3, for the battery's wear."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """An event's intervals and their totals. A total with an unknown part is unknown."""

    intervals: tuple[Settled, ...]
    avoided_wh: float | None
    reduction_wh: float | None
    pv_wh: float | None
    given_wh: float | None
    covered: float


def settle(intervals: Sequence[Interval], baseline_wh: Sequence[float | None], found: Sequence[Metered]) -> Settlement:
    """Settle an event, or the part of it that is over (see `elapsed`).

    `baseline_wh` holds the estimated import of each interval. A figure of which less than nine tenths of the
    interval are covered is unknown.
    """
    settled = tuple(_settle(interval, wh, one) for interval, wh, one in zip(intervals, baseline_wh, found, strict=True))
    seconds = [(one.end - one.start).total_seconds() for one in settled]
    return Settlement(
        intervals=settled,
        avoided_wh=_total(settled, lambda one: one.avoided_wh),
        reduction_wh=_total(settled, lambda one: one.reduction_wh),
        pv_wh=_total(settled, lambda one: one.pv_wh),
        given_wh=_total(settled, lambda one: one.given_wh),
        covered=sum(one.covered * s for one, s in zip(settled, seconds, strict=True)) / sum(seconds) if settled else 0.0,
    )


def elapsed(
    intervals: Iterable[Interval], baseline_wh: Iterable[float | None], until: datetime
) -> tuple[list[Interval], list[float | None]]:
    """The intervals as far as they lie before `until`, the running one with its baseline in proportion."""
    cut: list[Interval] = []
    shares: list[float | None] = []
    for interval, wh in zip(intervals, baseline_wh, strict=True):
        if interval.start >= until:
            break
        part = replace(interval, end=min(interval.end, until))
        cut.append(part)
        shares.append(None if wh is None else wh * ((part.end - part.start) / (interval.end - interval.start)))
    return cut, shares


def _settle(interval: Interval, baseline_wh: float | None, found: Metered) -> Settled:
    import_wh = _known(found.imported)
    return Settled(
        start=interval.start,
        end=interval.end,
        baseline_wh=baseline_wh,
        import_wh=import_wh,
        avoided_wh=_known(found.avoided),
        pv_wh=_known(found.pv),
        reduction_wh=None if import_wh is None or baseline_wh is None else baseline_wh * found.imported.covered - import_wh,
        covered=found.covered,
        import_covered=found.imported.covered,
        given_wh=_known(found.given),
    )


def _known(energy: Energy) -> float | None:
    return energy.energy_wh if energy.covered >= MIN_COVERED else None


def _total(settled: Sequence[Settled], figure: Callable[[Settled], float | None]) -> float | None:
    figures = [figure(one) for one in settled]
    known = [wh for wh in figures if wh is not None]
    return sum(known) if known and len(known) == len(figures) else None
