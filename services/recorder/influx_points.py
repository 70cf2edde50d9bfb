"""Rows of the journal as points of InfluxDB, in line protocol. Pure.

A position's reading is a point of the measurement `position` with the tags `station` and `position`; all else is a point of
`battery`. Time and tags of a point come from its row alone: sent again, it is the same point.
"""

from collections.abc import Iterable, Iterator, Sequence

from services.core.positions import Position
from services.recorder.columns import NAMES

_FIELDS = {"w": "power_w", "v": "voltage_v", "wh": "energy_wh"}

Group = tuple[str, tuple[tuple[int, str], ...]]


def groups(station: str) -> tuple[Group, ...]:
    """What a row is cut into: the beginning of each line, and the index and field name of what it holds."""
    found = []
    taken = set()
    for position in Position:
        fields = tuple((i, _FIELDS[name.rpartition("_")[2]]) for i, name in enumerate(NAMES) if name[:3] == f"{position}_")
        taken |= {i for i, _ in fields}
        found.append((f"position,position={position},station={station} ", fields))
    rest = tuple((i, name) for i, name in enumerate(NAMES) if i not in taken)
    return (*found, (f"battery,station={station} ", rest))


def lines(rows: Iterable[Sequence[float | None]], cut: Sequence[Group]) -> Iterator[str]:
    """The points of `rows` (time in ms, then values in the columns' units), without those that would be empty. Precision: milliseconds."""
    for ts_ms, *values in rows:
        for head, fields in cut:
            if said := [f"{name}={value}" for i, name in fields if (value := values[i]) is not None]:
                yield f"{head}{','.join(said)} {ts_ms}"
