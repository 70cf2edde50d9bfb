"""Reads a CSV file line by line: each gives readings, or says by its number what is wrong with it. Pure."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from zoneinfo import ZoneInfo

from services.cli.csv_layout import Layout
from services.core.local_times import LocalTimes
from services.recorder.columns import COLUMNS
from services.recorder.units import UnitWatch, of_one_reading

NOTHING = frozenset({"", "nan", "none", "null", "na", "n/a", "-", "unknown", "unavailable"})
FLAGS = {"true": 1.0, "false": 0.0, "on": 1.0, "off": 0.0}
_EPOCH_S, _EPOCH_MS = (1e8, 1e11), (1e11, 1e14)
ENOUGH = 20
"""So many readings of a power that are not nought before its unit is judged."""
ENOUGH_SIZES = 5_000
SHOWN = 20
"""So many lines with something wrong are named; the rest is counted."""
KILOWATT_PEAK, KILOWATT_USUAL = 30.0, 1.5
"""Powers that never reach the one, and lie as a rule below the other, are those of a home in kW."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a line. `lost` says whether all of it is left out."""

    line: int
    what: str
    lost: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """What a line says, in the journal's columns and units."""

    line: int
    ts: datetime
    values: dict[str, float]


@dataclass(slots=True)
class _Unit:
    """What is known of the unit of one power."""

    watch: UnitWatch = field(default_factory=UnitWatch)
    sizes: list[float] = field(default_factory=list)
    """The first few thousand that are not nought."""
    peak: float = 0.0
    said: bool = False


class CsvReader:
    """Reads the lines of one file after its header, in order."""

    def __init__(self, header: Sequence[str], layout: Layout, separator: str, zone: ZoneInfo, time_format: str | None = None) -> None:
        """`zone` is for times without an offset; `time_format` (as of strptime) for those that are not ISO 8601 or epoch."""
        self._header = list(header)
        self._layout = layout
        self._separator = separator
        self._times = LocalTimes(zone)
        self._time_format = time_format
        self._units: dict[str, _Unit] = {}
        self._last: datetime | None = None
        self.troubles: list[Trouble] = []
        """The first SHOWN of them."""
        self.lost = 0
        """Lines that are left out whole."""
        self.flagged = 0
        """Values that are left out, or suspected."""
        self.out_of_order = 0
        """Lines whose time lies before that of the line before."""

    def read(self, line: int, text: str) -> Reading | None:
        """What a line says; None if it says nothing, and then `troubles` may say why."""
        if not text.strip() or text.strip("\r\n") == self._separator.join(self._header):
            return None
        try:
            cells = next(csv.reader([text], delimiter=self._separator, strict=True))
            if len(cells) != len(self._header):
                raise ValueError(f"it has {len(cells)} columns instead of {len(self._header)}: is it cut off?")  # noqa: TRY301 - one place
            cell = dict(zip(self._header, cells, strict=True))
            ts = self._time(cell[self._layout.time].strip())
        except (ValueError, csv.Error, StopIteration) as error:
            self.trouble(Trouble(line, str(error) or "it is empty"))
            return None
        if self._last is not None and ts < self._last:
            self.out_of_order += 1
        self._last = ts
        values = self._values(line, cell)
        return Reading(line, ts, values) if values else None

    def trouble(self, found: Trouble) -> None:
        """Take note of something that is wrong with a line."""
        self.lost += found.lost
        self.flagged += not found.lost
        if len(self.troubles) < SHOWN:
            self.troubles.append(found)

    def notes(self) -> list[str]:
        """What to tell of the file as a whole."""
        said = []
        for overlap in self._times.overlaps.values():
            how = (
                "the times go back in it, so the two passes were told apart"
                if overlap.told_apart
                else "nothing tells the two apart: all were taken for the first"
            )
            said.append(f"{overlap.lines} line(s) lie in the hour that came twice on {overlap.day}; {how}")
        if self.out_of_order:
            said.append(f"{self.out_of_order} line(s) are older than the one before; they were sorted in")
        for name, unit in self._units.items():
            if len(unit.sizes) >= ENOUGH and unit.peak < KILOWATT_PEAK and median(unit.sizes) < KILOWATT_USUAL:
                said.append(
                    f"{name} is never above {unit.peak:g} W: is it in kW? It was taken as it is; "
                    f"with --map {name}=NAME*1000 it would be converted"
                )
        return said

    def _time(self, text: str) -> datetime:
        if self._time_format is not None:
            found = datetime.strptime(text, self._time_format)  # noqa: DTZ007 - the zone follows
        else:
            try:
                number = float(text)
            except ValueError:
                number = 0.0
            if _EPOCH_S[0] <= number < _EPOCH_S[1]:
                return datetime.fromtimestamp(number, UTC)
            if _EPOCH_MS[0] <= number < _EPOCH_MS[1]:
                return datetime.fromtimestamp(number / 1000, UTC)
            try:
                found = datetime.fromisoformat(text)
            except ValueError:
                how = "say how to read it, such as --time-format '%d/%m/%Y %H:%M'"
                raise ValueError(f"its time {text[:40]!r} is neither ISO 8601 nor epoch seconds; {how}") from None
        return found.astimezone(UTC) if found.tzinfo is not None else self._times.resolve(found)

    def _values(self, line: int, cell: dict[str, str]) -> dict[str, float]:
        values: dict[str, float] = {}
        for source in self._layout.sources:
            text = next((found for name in source.names if (found := cell.get(name, "").strip()).lower() not in NOTHING), None)
            if text is None:
                continue
            value = self._number(text)
            if value is None:
                self.trouble(Trouble(line, f"{source.names[0]} is no number: {text[:40]!r}", lost=False))
                continue
            value *= source.factor
            if COLUMNS[source.column].possible(value):
                values[source.column] = value
            else:
                remedy = COLUMNS[source.column].refusal(value)
                self.trouble(Trouble(line, f"{source.column} cannot be {value:g}: {remedy}", lost=False))
        for name in values:
            if name.endswith("_w"):
                self._suspect(line, name, values, cell)
        return values

    def _number(self, text: str) -> float | None:
        if text.lower() in FLAGS:
            return FLAGS[text.lower()]
        if self._separator != ",":
            text = text.replace(",", ".")
        try:
            return float(text)
        except ValueError:
            return None

    def _suspect(self, line: int, name: str, values: dict[str, float], cell: dict[str, str]) -> None:
        """Say of a power that seems to come in another unit; it is taken as it is."""
        unit = self._units.setdefault(name, _Unit())
        value = values[name]
        unit.peak = max(unit.peak, abs(value))
        if value and len(unit.sizes) < ENOUGH_SIZES:
            unit.sizes.append(abs(value))
        current = self._number(cell.get(self._layout.currents.get(name, ""), "").strip())
        why = unit.watch.suspect(value)
        if why is None and not unit.said:
            why = of_one_reading(value, values.get(name.removesuffix("_w") + "_v"), current)
        if why is not None:
            unit.said = True
            self.trouble(Trouble(line, f"{name} is {why}, from here on: is it in another unit? It was taken as it is", lost=False))
