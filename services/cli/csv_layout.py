"""Which column of somebody's CSV file is which of the journal's: known layouts, and what a person maps by hand. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.recorder.columns import COLUMNS, NAMES

SEPARATORS = (",", ";", "\t")
_MAPPING = re.compile(r"(?P<column>\w+)=(?P<names>[^*]+)(\*(?P<factor>[0-9.eE+-]+))?")


class LayoutError(ValueError):
    """A file or mapping that cannot be made sense of; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a column of the journal comes from."""

    column: str
    names: tuple[str, ...]
    """Of the file's columns the first that has a value counts."""
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read a file."""

    name: str
    time: str
    sources: tuple[Source, ...]
    currents: Mapping[str, str] = field(default_factory=dict)
    """By the journal's power column: the file's column of amperes, which is not kept but tells whether the power is in watts."""

    def used(self) -> set[str]:
        """The file's columns that are read."""
        return {self.time, *self.currents.values(), *(name for source in self.sources for name in source.names)}


UPSTREAM = Layout(
    name="the daily file of the smartPowerStation project",
    time="datetime",
    sources=(
        Source("soc_pct", ("powerstation_percentage",)),
        Source("ac_in_w", ("powerstation_inputWAC",)),
        Source("ac_out_w", ("powerstation_outputWAC",)),
        Source("dc_in_w", ("powerstation_inputWDC",)),
        Source("dc_out_w", ("powerstation_outputWDC",)),
        Source("p1_w", ("relay1_power",)),
        Source("p2_w", ("relay2_power",)),
        # There P3 is what a relay or the power station measures, and P4 always the station's own direct-current input.
        Source("p3_w", ("relay3_power", "powerstation_outputWAC")),
        Source("p4_w", ("powerstation_inputWDC",)),
        *(Source(f"p{i}_v", (f"relay{i}_voltage",)) for i in (1, 2, 3)),
    ),
    currents={f"p{i}_w": f"relay{i}_current" for i in (1, 2, 3)},
)
OWN_TIME = "time"


def parse_mapping(text: str) -> Source:
    """From `p1_w=grid_power`, `p1_w=grid_kw*1000` or `p3_w=relay3|output` (the first that has a value). Raises LayoutError."""
    found = _MAPPING.fullmatch(text.strip())
    if found is None:
        raise LayoutError(f"--map {text}: write COLUMN=NAME, such as p1_w=grid_power, or p1_w=grid_kw*1000 for another unit")
    column = found["column"]
    if column not in COLUMNS:
        raise LayoutError(f"--map {text}: {column!r} is not recorded; choose from {', '.join(NAMES)}")
    try:
        factor = float(found["factor"] or 1)
    except ValueError:
        raise LayoutError(f"--map {text}: {found['factor']!r} is no factor; write one such as 1000") from None
    if not 0 < abs(factor) < 1e9:
        raise LayoutError(f"--map {text}: a factor must not be nought, nor beyond 1e9")
    return Source(column, tuple(name.strip() for name in found["names"].split("|")), factor)


def layout_of(header: Sequence[str], mappings: Sequence[Source], time: str | None) -> Layout:
    """How to read a file with this header: by `mappings` if there are any, else as one of the known. Raises LayoutError."""
    has = set(header)
    if mappings:
        layout = Layout("a mapping", time or _guess_time(header), tuple(mappings))
        if missing := sorted(layout.used() - has - _alternatives(mappings, has)):
            raise LayoutError(f"there is no column {', '.join(map(repr, missing))}; there are {', '.join(header)}")
        if twice := [source.column for i, source in enumerate(mappings) if source.column in {one.column for one in mappings[:i]}]:
            raise LayoutError(f"--map: {twice[0]} is mapped twice")
        return layout
    if UPSTREAM.time in has and any(source.names[0] in has for source in UPSTREAM.sources):
        return _of_those_there(UPSTREAM, has)
    if (time or OWN_TIME) in has and has & set(NAMES):
        own = Layout("a file of `sps export`", time or OWN_TIME, tuple(Source(name, (name,)) for name in NAMES))
        return _of_those_there(own, has)
    raise LayoutError(
        f"its columns are of no known layout: {', '.join(header)[:300]}. Say which is which, such as --time {header[0]} --map p1_w=NAME"
    )


def _of_those_there(layout: Layout, has: set[str]) -> Layout:
    sources = [Source(one.column, tuple(name for name in one.names if name in has), one.factor) for one in layout.sources]
    currents = {power: name for power, name in layout.currents.items() if name in has}
    return Layout(layout.name, layout.time, tuple(one for one in sources if one.names), currents)


def _alternatives(mappings: Sequence[Source], has: set[str]) -> set[str]:
    """Names that may be missing because another of the same mapping is there."""
    return {name for source in mappings if has & set(source.names) for name in source.names}


def _guess_time(header: Sequence[str]) -> str:
    for name in ("time", "timestamp", "datetime", "ts", "date"):
        if name in header:
            return name
    raise LayoutError(f"say which column is the time with --time; there are {', '.join(header)}")


def separator_of(header: str) -> str:
    """What parts the columns in a heading: comma, semicolon or tab, whichever stands there most often."""
    return max(SEPARATORS, key=header.count)
