"""What a programme pays, and what the battery's wear costs. Notional: a plug is not the utility's meter. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from services.core.programme import PerformanceFactor, Programme, Rates


def performance_factor(mean_reduction_w: float, pledge_w: float, rule: PerformanceFactor) -> float:
    """The mean hourly reduction over the pledge, within the rule's bounds, rounded. Raises ValueError for a pledge of nothing."""
    if pledge_w <= 0.0:
        raise ValueError(f"a factor needs a pledge above zero, not {pledge_w} W")
    return round(min(rule.most, max(rule.least, mean_reduction_w / pledge_w)), rule.decimals)


def event_payment(reduction_wh: float, rates: Rates) -> float:
    """The performance payment of one event. A negative reduction is paid nothing, and costs nothing."""
    return max(0.0, reduction_wh) / 1000 * rates.performance_per_kwh


def wear_per_wh(price: float, cycle_life: int, capacity_wh: float, discharge_efficiency: float) -> float:
    """The battery's price for each watt-hour that it gives at its output: price / (cycles x capacity x efficiency).

    A cycle counts as a full one however it is split; `cycle_life` full cycles wear the battery out.
    """
    return price / (cycle_life * capacity_wh * discharge_efficiency)


@dataclass(frozen=True, slots=True)
class SettledEvent:
    """An event's final figures, as far as they are known."""

    id: str
    day: date
    avoided_wh: float | None
    pv_wh: float | None
    reduction_wh: float | None
    estimate_wh: float | None
    given_wh: float | None
    factor: float | None
    payment: float | None
    covered: float


@dataclass(frozen=True, slots=True)
class Period:
    """A month or a season. A total is of what is known (`unknown` counts the events it may lack), and null when nothing is."""

    first: date
    events: int
    unknown: int
    """Events without a reduction."""
    avoided_wh: float | None
    pv_wh: float | None
    reduction_wh: float | None
    estimate_wh: float | None
    given_wh: float | None
    factor: float | None
    """The mean of the events' factors; of a month without events the last one before it."""
    reservation: float
    performance: float
    wear: float | None
    """Null while the battery's price is not known."""

    @property
    def paid(self) -> float:
        """Both payments."""
        return self.reservation + self.performance


def months(
    events: Sequence[SettledEvent], span: tuple[date, date], today: date, programme: Programme, pledge_w: float | None, wear: float | None
) -> list[Period]:
    """Every month of a season up to today, with what it came to. `wear` is what each watt-hour given costs.

    The reservation of a month is pledge x rate x factor. A month without events takes the last factor before it; before the first
    event there is none, and nothing is counted. Programmes differ in this, and our rule stands from memory.
    """
    found: list[Period] = []
    factor: float | None = None
    rates = programme.rates or Rates()
    for first in _months(span[0], min(span[1], today)):
        own = [event for event in events if (event.day.year, event.day.month) == (first.year, first.month)]
        factors = [event.factor for event in own if event.factor is not None]
        factor = sum(factors) / len(factors) if factors else factor
        reserved = 0.0 if factor is None or pledge_w is None else pledge_w / 1000 * rates.reservation_per_kw_month * factor
        found.append(_period(first, own, factor, reserved, wear))
    return found


def season(found: Sequence[Period], events: Sequence[SettledEvent]) -> Period:
    """The months together. Raises ValueError for none."""
    if not found:
        raise ValueError("a season has at least one month")
    factors = [event.factor for event in events if event.factor is not None]
    return Period(
        first=found[0].first,
        events=sum(month.events for month in found),
        unknown=sum(month.unknown for month in found),
        **{name: _total([getattr(month, name) for month in found if month.events]) for name in _SUMMED},
        factor=sum(factors) / len(factors) if factors else None,
        reservation=sum(month.reservation for month in found),
        performance=sum(month.performance for month in found),
        wear=None if any(month.wear is None for month in found) else sum(month.wear or 0.0 for month in found),
    )


_SUMMED = ("avoided_wh", "pv_wh", "reduction_wh", "estimate_wh", "given_wh")


def _period(first: date, events: Sequence[SettledEvent], factor: float | None, reserved: float, wear: float | None) -> Period:
    sums: Mapping[str, float | None] = {name: _total([getattr(event, name) for event in events]) for name in _SUMMED}
    return Period(
        first=first,
        events=len(events),
        unknown=sum(event.reduction_wh is None for event in events),
        **sums,
        factor=factor,
        reservation=reserved,
        performance=sum(event.payment for event in events if event.payment is not None),
        wear=None if wear is None or sums["given_wh"] is None else sums["given_wh"] * wear,
    )


def _total(values: Sequence[float | None]) -> float | None:
    """The sum of what is known; nothing to add is zero, nothing known is not."""
    known = [value for value in values if value is not None]
    return sum(known) if known or not values else None


def _months(first: date, last: date) -> Iterable[date]:
    year, month = first.year, first.month
    while (year, month) <= (last.year, last.month):
        yield date(year, month, 1)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
