"""A measured trace on a regular grid of time: load, and where there is any, PV and temperature. A gap is NaN, never zero."""

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from math import isfinite, nan
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

PACKAGED_ZONE = ZoneInfo("Europe/Paris")
TIME_NAMES = ("time", "datetime", "timestamp")
COLUMNS = {
    "load_w": ("load_w", 1.0),
    "load_kw": ("load_w", 1000.0),
    "pv_w": ("pv_w", 1.0),
    "pv_kw": ("pv_w", 1000.0),
    "temperature_c": ("temperature_c", 1.0),
}
"""What a column may be called, what it is, and its factor."""
UNKNOWN = frozenset({"", "?", "na", "nan", "null", "none"})
HELD = 1.4
"""A sample stands until the next one, but for at most so many usual spacings; what lies beyond is a gap."""
LONGEST_SPACING_S = 7200.0
ABSURD = {"load_w": 100_000.0, "pv_w": 100_000.0, "temperature_c": 100.0}


class BadTrace(ValueError):
    """A trace that cannot be used: where, what stands there, and what would be right."""

    def __init__(self, line: int | None, problem: str, remedy: str) -> None:
        super().__init__(f"line {line}: {problem}; {remedy}" if line is not None else f"{problem}; {remedy}")
        self.line = line


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Mean powers of consecutive steps from `start` (aware UTC). NaN is a gap."""

    start: datetime
    step_s: float
    load_w: Sequence[float]
    pv_w: Sequence[float] | None = None
    temperature_c: Sequence[float] | None = None

    @property
    def end(self) -> datetime:
        """When the last step is over."""
        return self.start + timedelta(seconds=self.step_s * len(self.load_w))

    @property
    def covered(self) -> float:
        """Share of the time for which the load is known."""
        return sum(w == w for w in self.load_w) / len(self.load_w)  # noqa: PLR0124 - NaN is what differs from itself

    def scaled(self, scale: float) -> "Trace":
        """The same load times `scale`, such as one circuit of a whole house."""
        return Trace(self.start, self.step_s, [w * scale for w in self.load_w], self.pv_w, self.temperature_c)

    def first_days(self, days: float) -> "Trace":
        """The first `days` of it, or all there is."""
        count = max(1, round(days * 86_400.0 / self.step_s))
        pv_w, temperature_c = (None if values is None else values[:count] for values in (self.pv_w, self.temperature_c))
        return Trace(self.start, self.step_s, self.load_w[:count], pv_w, temperature_c)

    def profile(self, values: Sequence[float] | None) -> Callable[[datetime], float]:
        """`values` by time: NaN in gaps and outside; 0 everywhere where there are none."""
        if values is None:
            return lambda _: 0.0
        start_s, step_s, count = self.start.timestamp(), self.step_s, len(values)

        def at(when: datetime) -> float:
            index = int((when.timestamp() - start_s) // step_s)
            return values[index] if 0 <= index < count else nan

        return at


def packaged() -> Trace:
    """The trace that comes along: 26 winter days of one house, minute by minute (see data/README.md)."""
    text = gzip.decompress(files("services.backtest").joinpath("data/sceaux_26_days.csv.gz").read_bytes()).decode()
    return parse(text.splitlines(), PACKAGED_ZONE)


def beside(load: Trace, pv: Trace) -> Trace:
    """`load` with the panel of `pv`, each step of it at its middle. Raises BadTrace where they share no time."""
    if pv.end <= load.start or load.end <= pv.start:
        raise BadTrace(
            None, f"its times, from {pv.start:%Y-%m-%d} to {pv.end:%Y-%m-%d}, are not those of the load", "use one of the same days"
        )
    at = pv.profile(pv.pv_w)
    middles = (load.start + timedelta(seconds=(i + 0.5) * load.step_s) for i in range(len(load.load_w)))
    return Trace(load.start, load.step_s, load.load_w, [at(middle) for middle in middles], load.temperature_c)


def read(path: Path, zone: ZoneInfo, *, needs: str = "load_w") -> Trace:
    """The trace in a CSV file, gzipped or not; of a file that `needs` only PV the load is a gap. Raises OSError, BadTrace."""
    data = path.read_bytes()
    try:
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile):
        raise BadTrace(None, "the file is neither UTF-8 text nor whole gzip", "export it as CSV in UTF-8") from None
    return parse(text.splitlines(), zone, needs=needs)


def parse(lines: Iterable[str], zone: ZoneInfo, *, needs: str = "load_w") -> Trace:
    """The trace in CSV `lines`: a header, then a time and values a line. Times without an offset are local ones of `zone`.

    Each value is the mean from its time to the next. Raises BadTrace naming the line.
    """
    rows = csv.reader(lines)
    header = [name.strip().lower() for name in next(rows, [])]
    time_at, columns = _columns(header, needs)
    times: list[float] = []
    read_values: dict[str, list[float]] = {name: [] for name, _, _ in columns}
    for line, row in enumerate(rows, start=2):
        if not row or row[0].startswith("#"):
            continue
        if len(row) < len(header):
            raise BadTrace(line, f"{len(row)} values where the header names {len(header)}", "complete or remove the line")
        times.append(_time(row[time_at], zone, times[-1] if times else None, line))
        for name, index, factor in columns:
            read_values[name].append(_value(row[index], name, factor, line))
    if len(times) < 2:
        raise BadTrace(None, f"it holds {len(times)} lines of values", "two at least are needed to tell how far apart they are")
    spacing_s = median(after - before for before, after in pairwise(times))
    if spacing_s > LONGEST_SPACING_S:
        raise BadTrace(None, f"its values are {spacing_s:.0f} s apart", "an event needs values at least every two hours")
    start = datetime.fromtimestamp(times[0], UTC)
    grid = {name: list(_on_grid(times, values, spacing_s)) for name, values in read_values.items()}
    load_w = grid.get("load_w", [nan] * len(next(iter(grid.values()))))
    return Trace(start, spacing_s, load_w, grid.get("pv_w"), grid.get("temperature_c"))


def _columns(header: Sequence[str], needs: str) -> tuple[int, list[tuple[str, int, float]]]:
    time_at = next((index for index, name in enumerate(header) if name in TIME_NAMES), None)
    known = [(COLUMNS[name][0], index, COLUMNS[name][1]) for index, name in enumerate(header) if name in COLUMNS]
    names = [name for name, _, _ in known]
    shown = ", ".join(header)[:120] or "nothing"
    remedy = f"name a column 'time' and one '{needs}'; load_w, load_kw, pv_w, pv_kw and temperature_c are known, not: {shown}"
    if time_at is None or needs not in names:
        raise BadTrace(1, f"the header names no {'time' if time_at is None else needs}", remedy)
    if len(set(names)) < len(names):
        raise BadTrace(1, "the header names the same quantity twice", remedy)
    return time_at, known


def _time(text: str, zone: ZoneInfo, before_s: float | None, line: int) -> float:
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadTrace(line, f"time is {text[:40]!r}", "write it like 2026-07-01T16:00, with an offset such as Z or without") from None
    if when.tzinfo is not None:
        seconds = when.timestamp()
    else:
        when = when.replace(tzinfo=zone)
        seconds = when.timestamp()
        if before_s is not None and seconds <= before_s:
            # In autumn an hour of local time comes twice.
            seconds = when.replace(fold=1).timestamp()
    if before_s is not None and seconds <= before_s:
        raise BadTrace(
            line,
            f"time {text.strip()} is not after the line before it",
            f"sort the lines and remove double ones (times read as {zone.key})",
        )
    return seconds


def _value(text: str, name: str, factor: float, line: int) -> float:
    word = text.strip()
    if word.lower() in UNKNOWN:
        return nan
    try:
        value = float(word) * factor
    except ValueError:
        raise BadTrace(line, f"{name} is {text[:40]!r}", "use a number, or leave it empty where it is not known") from None
    lowest = -ABSURD[name] if name == "temperature_c" else 0.0
    if not isfinite(value) or not lowest <= value <= ABSURD[name]:
        raise BadTrace(line, f"{name} is {word}", f"it must lie between {lowest:.0f} and {ABSURD[name]:.0f}; leave it empty where unknown")
    return value


def _on_grid(times: Sequence[float], values: Sequence[float], spacing_s: float) -> Iterator[float]:
    """The value that stands at each step's middle; NaN where the last sample is too old."""
    index, steps = 0, round((times[-1] - times[0]) / spacing_s) + 1
    for step in range(steps):
        middle_s = times[0] + (step + 0.5) * spacing_s
        while index + 1 < len(times) and times[index + 1] <= middle_s:
            index += 1
        yield values[index] if middle_s - times[index] <= HELD * spacing_s else nan
