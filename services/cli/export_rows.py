"""What `sps export` writes: the columns with their units, and the rows as the recorder hands them out, piece by piece."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.recorder.columns import COLUMNS, NAMES
from services.recorder.series import SERIES

STEPS_S = {"minute": 60, "quarter": 900, "hour": 3600}
RAW = "raw"
RESOLUTIONS = (RAW, *STEPS_S)
TIME = "time"
ROWS = 5_000
"""In one answer of the recorder."""
STEPS = 2_000
MOMENT = timedelta(milliseconds=1)
"""The shortest there is: the last reading belongs to a span that ends with it."""

Row = tuple[datetime, list[float | None]]
"""When, in UTC (a step's beginning), and the values in the order of the columns; None is unknown."""
Ask = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column of an exported file."""

    name: str
    unit: str
    meaning: str


_POSITIONS = {
    "p1": "grid to load (P1)",
    "p2": "grid to battery (P2)",
    "p3": "battery to load (P3)",
    "p4": "PV to battery (P4)",
    "ac_in": "into the power station's AC input",
    "ac_out": "out of its AC outlets",
    "dc_in": "into its DC input",
    "dc_out": "out of its DC outlets",
    "load": "taken by the load (P1 + P3)",
    "import": "taken from the grid (P1 + P2)",
}
_KINDS = {"_w": "power", "_v": "voltage", "_wh": "the device's own running counter of energy; it may start again from nought"}
_OTHERS = {
    "soc_pct": "state of charge, as the power station says",
    "estimate_pct": "state of charge, as the observer reckons it",
    "ac_output_on": "1 while its AC outlets are on",
    "eco_mode": "1 while it switches itself off when little is drawn",
}


def column(name: str) -> ExportColumn:
    """The column `name` of the journal, or of a series."""
    unit = COLUMNS[name].unit if name in COLUMNS else "W"
    if name in _OTHERS:
        return ExportColumn(name, unit or "0 or 1", _OTHERS[name])
    place, _, kind = name.rpartition("_")
    return ExportColumn(name, unit, f"{_KINDS[f'_{kind}']}, {_POSITIONS[place]}")


def columns_of(resolution: str, names: Sequence[str]) -> list[ExportColumn]:
    """The columns after the time; beside each mean stands the share of the step that it covers."""
    if resolution == RAW:
        return [column(name) for name in names]
    pairs = ((name, column(name)) for name in names)
    return [
        made
        for name, one in pairs
        for made in (
            ExportColumn(name, one.unit, f"mean {one.meaning}"),
            ExportColumn(f"{name}_covered", "share, 0 to 1", f"share of the step in which {name} is known"),
        )
    ]


def choices(resolution: str) -> tuple[str, ...]:
    """What can be exported at a resolution."""
    return NAMES if resolution == RAW else SERIES


def raw_rows(ask: Ask, base: str, names: Sequence[str], start: datetime | None, end: datetime, late: list[datetime]) -> Iterator[list[Row]]:
    """The readings themselves, in order. What came in meanwhile behind what has been written is noted in `late`, and not repeated."""
    query = {"limit": str(ROWS)} | ({} if start is None else {"start": start.isoformat()})
    written = start or datetime.min.replace(tzinfo=UTC)
    first = True
    while True:
        answer = ask(f"{base}/api/rows", **query)
        places = [answer["columns"].index(name) for name in names]
        rows: list[Row] = []
        over = False
        for values in answer["rows"]:
            ts = datetime.fromtimestamp(values[0] / 1000, UTC)
            if ts >= end:
                over = True
            elif ts > written or (first and ts == written):
                written, first = ts, False
                wanted = [values[place] for place in places]
                if any(value is not None for value in wanted):
                    rows.append((ts, wanted))
            elif start is None or ts >= start:
                late.append(ts)
        yield rows
        if over or not answer["more"]:
            return
        query = {"limit": str(ROWS), "after": answer["cursor"]}


def stepped_rows(ask: Ask, base: str, names: Sequence[str], step_s: int, start: datetime, end: datetime) -> Iterator[list[Row]]:
    """Means over steps; a step in which nothing is known has no row."""
    first_s, last_s = int(start.timestamp() // step_s) * step_s, -int(-end.timestamp() // step_s) * step_s
    for begin_s in range(first_s, last_s, STEPS * step_s):
        stop_s = min(begin_s + STEPS * step_s, last_s)
        span = {"start": datetime.fromtimestamp(begin_s, UTC).isoformat(), "end": datetime.fromtimestamp(stop_s, UTC).isoformat()}
        answer = ask(f"{base}/api/series", names=",".join(names), step_s=str(step_s), covered="true", **span)
        rows: list[Row] = []
        for i, time_s in enumerate(answer["times"]):
            values: list[float | None] = []
            for name in names:
                # Where nothing was measured the answer may have bridged a short gap, for the eye; a file keeps the gap.
                covered = answer["covered"][name][i]
                values += [answer["series"][name][i] if covered else None, covered]
            if any(values[::2][j] is not None for j in range(len(names))):
                rows.append((datetime.fromtimestamp(time_s, UTC), values))
        yield rows


def first_reading(ask: Ask, base: str) -> datetime | None:
    """When the oldest reading that is kept was taken."""
    rows = ask(f"{base}/api/rows", limit="1")["rows"]
    return datetime.fromtimestamp(rows[0][0] / 1000, UTC) if rows else None


def first_known(ask: Ask, base: str, until: datetime) -> datetime | None:
    """The beginning of the first day of which anything is known, also where only rollups are left."""
    days = ask(f"{base}/api/energy", by="day", start=(until - timedelta(days=366 * 19)).isoformat(), end=until.isoformat())
    known = [day["start"] for day in days if any(day["covered"].values())]
    return datetime.fromisoformat(known[0]) if known else None
