"""The low-bias estimate of an event's load, from the hours in the journal; kept until it can be better known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.bus.messages.events import EventMessage
from services.core.baseline import MIN_COVERED, Interval
from services.core.energy import Quantity
from services.core.goals import Method
from services.core.low_bias.days import Hour, past_of
from services.core.low_bias.estimate import Estimate, estimate
from services.core.low_bias.features import Window
from services.core.low_bias.walk import Learn, walk
from services.recorder.history import History
from services.recorder.holiday_days import HolidayDays

LEARNT_FROM = timedelta(days=400)
"""A year and a month: a summer is learnt from the last one, too."""
SHORTLY_BEFORE = timedelta(minutes=5)
"""So long before the start the load of the hours before it is known, but for these minutes."""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class LoadEstimate:
    """An estimate brought onto an event's settlement intervals. None is unknown."""

    method: str
    load_wh: tuple[float, ...]
    low_wh: tuple[float | None, ...]
    high_wh: tuple[float | None, ...]
    total_wh: float
    total_low_wh: float | None
    total_high_wh: float | None
    trials: int
    error: float | None


class Estimates:
    """Makes estimates. Each takes a part of a second for a year of hours, so the last one of an event is kept."""

    def __init__(self, history: History, learn: Learn | None = None) -> None:
        self._history = history
        self._learn = learn
        self._kept: dict[str, _Kept] = {}

    def kept(self, event: EventMessage) -> LoadEstimate | None:
        """The last estimate, if it was made for the event as it is now."""
        kept = self._kept.get(event.id)
        return kept.found if kept is not None and (kept.start, kept.end) == (event.start, event.end) else None

    def due(self, event: EventMessage, now: datetime) -> bool:
        """Whether a better one can be made: once a day, and once more with the hours before the start."""
        kept = self._kept.get(event.id)
        if kept is None or (kept.start, kept.end) != (event.start, event.end):
            return True
        # What a day adds is little, and nothing that happens from the start on may count.
        return not kept.day_of and (_day_of(event, now) or now - kept.as_of >= timedelta(days=1))

    def make(
        self, event: EventMessage, intervals: Sequence[Interval], as_of: datetime, holidays: HolidayDays, zone: ZoneInfo, gap_s: float
    ) -> LoadEstimate | None:
        """The estimate as it can be known at `as_of`; None with too few days alike. Raises JournalError."""
        day_of = _day_of(event, as_of)
        found = self._reckon(event, intervals, as_of, holidays, zone, gap_s, day_of=day_of)
        self._kept[event.id] = _Kept(event.start, event.end, as_of, day_of, found)
        return found

    def forget(self, event_id: str) -> None:
        """An event is gone."""
        self._kept.pop(event_id, None)

    def _reckon(
        self,
        event: EventMessage,
        intervals: Sequence[Interval],
        as_of: datetime,
        holidays: HolidayDays,
        zone: ZoneInfo,
        gap_s: float,
        *,
        day_of: bool,
    ) -> LoadEstimate | None:
        until = min(as_of, event.start)
        first, last = (int(ts.timestamp() // 3600) for ts in (event.start - LEARNT_FROM, until + _HOUR))
        changed = _changed_load(self._history, event.id)
        hours = []
        for one in self._history.hours(first, last, gap_s, known=True):
            start = datetime.fromtimestamp(one.start_s, UTC)
            # An hour that is not over counts as far as it has come; one in which an event switched the load off was not itself.
            known = start < until and not any(begin < start + _HOUR and start < end for begin, end in changed)
            hours.append(Hour(start, one.flows[Quantity.LOAD].whole_wh(MIN_COVERED) if known else None))
        local = event.start.astimezone(zone)
        window = _window(local, event.end.astimezone(zone))
        past = past_of(hours, zone, local.date(), holidays.days)
        found = estimate(walk(past, window, local.date(), day_of=day_of, learn=self._learn))
        return None if found is None else _on_intervals(found, window, local, intervals)


class _Kept(NamedTuple):
    start: datetime
    end: datetime
    as_of: datetime
    day_of: bool
    found: LoadEstimate | None


def _day_of(event: EventMessage, now: datetime) -> bool:
    return now >= event.start - SHORTLY_BEFORE


def _window(start: datetime, end: datetime) -> Window:
    # By the clock on the wall: over a daylight-saving change an hour is still called what it is called.
    length = end.replace(tzinfo=None) - start.replace(tzinfo=None, minute=0, second=0, microsecond=0)
    return Window(start.hour, min(48, start.hour + max(1, ceil(length / _HOUR))))


def _on_intervals(found: Estimate, window: Window, local: datetime, intervals: Sequence[Interval]) -> LoadEstimate:
    """Hours of the local day shared out over intervals that need not begin on the hour."""
    begin = local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    shares = [_shares(one, begin, len(window.hours)) for one in intervals]

    def mixed(hourly: Sequence[float]) -> tuple[float, ...]:
        return tuple(sum(share * wh for share, wh in zip(row, hourly, strict=True)) for row in shares)

    load = mixed(found.load_wh)
    unknown: tuple[float | None, ...] = (None,) * len(intervals)
    part = sum(load) / found.total_wh if found.total_wh > 0.0 else 1.0
    return LoadEstimate(
        method=found.method,
        load_wh=load,
        low_wh=unknown if found.low_wh is None else mixed(found.low_wh),
        high_wh=unknown if found.high_wh is None else mixed(found.high_wh),
        total_wh=sum(load),
        total_low_wh=None if found.total_low_wh is None else found.total_low_wh * part,
        total_high_wh=None if found.total_high_wh is None else found.total_high_wh * part,
        trials=found.trials,
        error=found.error,
    )


def _shares(interval: Interval, begin: datetime, count: int) -> list[float]:
    """How much of each hour lies in the interval; what reaches beyond the last hour counts as more of it."""
    shares = [max(0.0, (min(interval.end, begin + (i + 1) * _HOUR) - max(interval.start, begin + i * _HOUR)) / _HOUR) for i in range(count)]
    shares[-1] += (interval.end - interval.start) / _HOUR - sum(shares)
    return shares


def _changed_load(history: History, but: str) -> list[tuple[datetime, datetime]]:
    """When events changed the load itself: shifted it, or cut it off."""
    events: Iterable[EventMessage] = (EventMessage.model_validate(body) for body in history.events())
    return [(one.start, one.end) for one in events if one.id != but and set(one.methods) - {Method.REPLACEMENT}]
