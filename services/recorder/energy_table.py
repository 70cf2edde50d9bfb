"""Energy of every position over any time, from the cheapest table: hours, quarters and minutes inside, readings at ragged ends.

What is not rolled up yet is integrated from the readings, so that an answer never depends on how far the rollups have come.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.core.energy import TERMS, UNKNOWN, Energy, Flows
from services.core.positions import Position
from services.recorder import keeping, samples, schema
from services.recorder.rollups import FLOWS, HOUR, HOUR_S, LEVELS, METERED, MINUTE, MINUTE_S, QUANTITIES, SUMMED, Level, RolledRow

Span = tuple[float, float]
"""From and to, in epoch seconds."""
Sums = tuple[float | None, ...]
"""In the order of `rollups.SUMMED`, which is that of `SUMS`."""
SUMS = ", ".join([*(f"sum({flow}_j), sum(?3 - {flow}_lack_ms)" for flow in FLOWS), f"sum(?3 - {METERED}_lack_ms)"])
NOTHING: Sums = (None,) * len(SUMMED)
_NAMES = tuple(str(flow) for flow in FLOWS)
_METERED = (Position.P1, Position.P2, Position.P3)


@dataclass(frozen=True, slots=True)
class Energies:
    """What a time came to."""

    start_s: float
    end_s: float
    flows: Mapping[str, Energy]
    """By position (`p1` …) and quantity (`import`, `load`, `avoided`)."""
    metered: float
    """Share of the time in which P1, P2 and P3 are all known."""


class Tally:
    """Joules and known milliseconds of each flow, summed up piece by piece."""

    def __init__(self) -> None:
        self.joules = [0.0] * len(FLOWS)
        self.known_ms = [0.0] * (len(FLOWS) + 1)

    def add(self, sums: Sequence[float | None], share: float = 1.0) -> None:
        """`sums` are those of `SUMS`."""
        for i in range(len(FLOWS)):
            self.joules[i] += (sums[2 * i] or 0) * share
            self.known_ms[i] += (sums[2 * i + 1] or 0) * share
        self.known_ms[-1] += (sums[-1] or 0) * share

    def energies(self, start_s: float, end_s: float) -> Energies:
        """What the time from `start_s` to `end_s` came to."""
        return energies_of(self.sums(), start_s, end_s)

    def sums(self) -> Sums:
        """In the form of `SUMS`."""
        return (*(figure for i in range(len(FLOWS)) for figure in (self.joules[i], self.known_ms[i])), self.known_ms[-1])


def energies_of(sums: Sequence[float | None], start_s: float, end_s: float) -> Energies:
    """From sums in the form of `SUMS`."""
    length_ms = (end_s - start_s) * 1000
    flows = {}
    for name, joules, known_ms in zip(_NAMES, sums[::2], sums[1::2], strict=False):
        share = known_ms / length_ms if known_ms else 0.0
        flows[name] = Energy((joules or 0.0) / HOUR_S, share if share < 1 else 1.0) if share else UNKNOWN
    return Energies(start_s, end_s, flows, min((sums[-1] or 0.0) / length_ms, 1.0))


def of_spans(db: sqlite3.Connection, spans: Sequence[Span], max_gap_s: float) -> list[Energies]:
    """The energies of each span. Raises sqlite3.Error."""
    rolled_until_s = schema.meta(db, schema.ROLLED_UNTIL) or 0
    dropped_s = (schema.meta(db, schema.DROPPED_UNTIL) or 0) / 1000
    minutes: dict[float, Flows] = {}

    def around(begin_s: float, stop_s: float) -> Flows:
        """The readings of a piece; those of one minute are asked for once, for where one span ends the next one begins."""
        minute_s = begin_s // MINUTE_S * MINUTE_S
        if stop_s > minute_s + MINUTE_S:
            return samples.flows(db, round(begin_s * 1000), round(stop_s * 1000), max_gap_s)
        if minute_s not in minutes:
            minutes[minute_s] = samples.flows(db, round(minute_s * 1000), round((minute_s + MINUTE_S) * 1000), max_gap_s)
        return minutes[minute_s]

    found = []
    for start_s, end_s in spans:
        tally = Tally()
        for begin_s, stop_s, level in _pieces(start_s, end_s, rolled_until_s, len(LEVELS) - 1):
            if level is not None:
                _add_table(db, tally, level, int(begin_s) // level.width_s, int(stop_s) // level.width_s)
            elif stop_s <= dropped_s:
                minute = int(begin_s // MINUTE.width_s)
                _add_table(db, tally, MINUTE, minute, minute + 1, (stop_s - begin_s) / MINUTE.width_s)
            else:
                tally.add(_integrated(around(begin_s, stop_s), begin_s, stop_s))
        found.append(tally.energies(start_s, end_s))
    return found


def _pieces(start_s: float, end_s: float, rolled_until_s: int, coarsest: int) -> Iterator[tuple[float, float, Level | None]]:
    """Cut a span into what each table holds whole; None is for what only the readings know, at most a minute where rolled up."""
    if end_s <= start_s:
        return
    if start_s >= rolled_until_s or coarsest < 0:
        yield start_s, end_s, None
        return
    if end_s > rolled_until_s:
        yield from _pieces(start_s, rolled_until_s, rolled_until_s, coarsest)
        yield rolled_until_s, end_s, None
        return
    width_s = LEVELS[coarsest].width_s
    first, last = -(-start_s // width_s) * width_s, end_s // width_s * width_s
    if first < last:
        yield first, last, LEVELS[coarsest]
        yield from _pieces(start_s, first, rolled_until_s, coarsest - 1)
        yield from _pieces(last, end_s, rolled_until_s, coarsest - 1)
    elif coarsest == 0 and first == last and start_s < first < end_s:  # the ends of two minutes
        yield start_s, first, None
        yield first, end_s, None
    else:
        yield from _pieces(start_s, end_s, rolled_until_s, coarsest - 1)


def _add_table(db: sqlite3.Connection, tally: Tally, level: Level, first: int, last: int, share: float = 1.0) -> None:
    query = f"SELECT {SUMS} FROM {level.table} WHERE key >= ?1 AND key < ?2"  # noqa: S608 - fixed names
    tally.add(db.execute(query, (first, last, level.width_s * 1000)).fetchone(), share)


def _integrated(flows: Flows, begin_s: float, stop_s: float) -> Sums:
    """From the readings, in the form of `SUMS`."""
    length_ms = (stop_s - begin_s) * 1000
    energies = [flows.energy(position, begin_s, stop_s) for position in Position]
    if all(energies[i].covered >= 1 for i, position in enumerate(Position) if position in _METERED):
        # All of it is known, as nearly always: the sums are those of their parts, and nothing is left to lay over one another.
        joules = {position: (energy.energy_wh or 0.0) * HOUR_S for position, energy in zip(Position, energies, strict=True)}
        sums = [figure for one in energies for figure in (_joules(one), one.covered * length_ms)]
        for quantity in QUANTITIES:
            sums += (sum(sign * joules[position] for position, sign in TERMS[quantity]), length_ms)
        return (*sums, length_ms)
    energies += [flows.quantity(quantity, begin_s, stop_s) for quantity in QUANTITIES]
    sums = [figure for one in energies for figure in (_joules(one), one.covered * length_ms)]
    return (*sums, flows.covered(_METERED, begin_s, stop_s) * length_ms)


def _joules(energy: Energy) -> float | None:
    return None if energy.energy_wh is None else energy.energy_wh * HOUR_S


def not_rolled_up(db: sqlite3.Connection, start_s: int, end_s: int, level: Level, max_gap_s: float) -> Iterator[tuple[int, Sums]]:
    """Each step of `level` that only the readings know as yet: its key and its sums. Raises sqlite3.Error."""
    for hour in keeping.pending(db, start_s, end_s):
        flows = samples.flows(db, hour * HOUR_S * 1000, (hour + 1) * HOUR_S * 1000, max_gap_s)
        for begin_s in range(hour * HOUR_S, (hour + 1) * HOUR_S, level.width_s):
            if start_s <= begin_s < end_s:
                yield begin_s // level.width_s, _integrated(flows, begin_s, begin_s + level.width_s)


def by_hour(db: sqlite3.Connection, first: int, last: int, max_gap_s: float, *, known: bool = False) -> list[Energies]:
    """Every hour from `first` up to before `last` (counted since the epoch). Raises sqlite3.Error.

    With `known` the hours before the first that holds anything are left out.
    """
    stored = db.execute("SELECT * FROM hour WHERE key >= ? AND key < ?", (first, last))
    rows: dict[int, Sums] = {key: known_of(tuple(row), HOUR) for key, *row in stored}
    rows |= dict(not_rolled_up(db, first * HOUR_S, last * HOUR_S, HOUR, max_gap_s))
    if known:
        first = min(rows, default=last)
    return [energies_of(rows.get(hour, NOTHING), hour * HOUR_S, (hour + 1) * HOUR_S) for hour in range(first, last)]


def known_of(row: RolledRow, level: Level) -> Sums:
    """A rolled row in the form of `SUMS`."""
    width_ms = level.width_s * 1000
    energies = [None if (value := row[i]) is None else value if i % 2 == 0 else width_ms - value for i in range(2 * len(FLOWS))]
    metered = row[2 * len(FLOWS)]
    return (*energies, None if metered is None else width_ms - metered)


def joined(parts: Sequence[Energies]) -> Energies:
    """Consecutive times as one: a month of its days."""
    tally = Tally()
    for part in parts:
        length_ms = (part.end_s - part.start_s) * 1000
        sums: list[float | None] = []
        for flow in FLOWS:
            energy = part.flows[str(flow)]
            sums += [None if energy.energy_wh is None else energy.energy_wh * HOUR_S, energy.covered * length_ms]
        tally.add([*sums, part.metered * length_ms])
    return tally.energies(parts[0].start_s, parts[-1].end_s)
