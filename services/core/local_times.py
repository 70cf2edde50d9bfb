"""Local times without an offset, as a file has them line by line, turned into instants: also through the hours that clocks are changed."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


class NoSuchTime(ValueError):
    """A local time that clocks never showed: they were put forward over it."""


@dataclass(slots=True)
class Overlap:
    """An hour (as a rule) that came twice because clocks were put back."""

    day: date
    lines: int = 0
    told_apart: bool = False
    """The times went back in the middle, so the first pass and the second are known from one another."""


class LocalTimes:
    """Follows one file's times, in the order in which they stand there."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._last: datetime | None = None
        self._spacing = timedelta(0)
        self._second = False
        self.overlaps: dict[date, Overlap] = {}
        """By day, those in which there were times."""

    def resolve(self, local: datetime) -> datetime:
        """The instant, in UTC. Raises NoSuchTime.

        A time that came twice is the first of the two, until times go back by about as much as clocks did: from there on
        it is the second. Where they never go back nothing tells the two apart; `overlaps` says so.
        """
        first, second = (local.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        before, after = first.utcoffset() or timedelta(0), second.utcoffset() or timedelta(0)
        if before < after:
            raise NoSuchTime(f"in {self._zone.key} clocks were put forward over {local:%Y-%m-%d %H:%M}; is this the right time zone?")
        if before == after:
            self._second = False
            self._follow(local)
            return first.astimezone(UTC)
        overlap = self.overlaps.setdefault(local.date(), Overlap(local.date()))
        overlap.lines += 1
        if self._went_back(local, before - after):
            self._second = overlap.told_apart = True
        self._follow(local)
        return (second if self._second else first).astimezone(UTC)

    def _went_back(self, local: datetime, shift: timedelta) -> bool:
        """Whether clocks were put back between the last time and this; a few lines out of order are less, or far more, than that."""
        if self._last is None:
            return False
        back = self._last - local
        spacing = self._spacing if shift / 2 <= self._spacing <= shift else shift / 2
        return max(shift - spacing, timedelta(0)) <= back <= shift

    def _follow(self, local: datetime) -> None:
        if self._last is not None and local > self._last:
            self._spacing = local - self._last
        self._last = local
