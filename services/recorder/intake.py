"""From what the bus tells to rows of the journal: refuses the absurd, drops what is known, folds equal times together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.bus.messages.devices import BatteryEstimate, BatteryReadingMessage, PositionReading
from services.core.positions import Position
from services.recorder.columns import COLUMNS, INDEX, Row, empty_row
from services.recorder.journal import StateRow, to_ms
from services.recorder.units import UnitWatch, of_one_reading

BACKLOG_ROWS = 20_000
"""About two hours at one reading a second from each device, in about 10 MB: what is kept while the disk refuses."""
BACKLOG_STATES = 2_000
FUTURE_S = 60.0
"""How far ahead of the station's clock, in real seconds, a reading may be stamped."""
ESTIMATE_STEP_PCT = 0.1
"""The observer's estimate is kept when it has moved by this much: it comes with every decision."""

_POSITIONS = frozenset(Position)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reading that cannot be true, and is not stored; or that is suspected, and is stored all the same."""

    field: str
    value: str
    remedy: str


@dataclass(slots=True)
class Batch:
    """What is to be written in one transaction."""

    rows: dict[int, Row] = field(default_factory=dict)
    states: list[StateRow] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.rows or self.states)


class Intake:
    """Collects between two commits. `now` and `speed` describe the station's clock at the time of the call."""

    def __init__(self, *, urgent: Callable[[], None] = lambda: None) -> None:
        self._batch = Batch()
        self._urgent = urgent
        self._newest: dict[str, tuple[int, tuple[float | None, ...]]] = {}
        self._content: dict[str, Mapping[str, Any]] = {}
        self._latest: dict[str, StateRow] = {}
        self._estimate_pct: float | None = None
        self._watches: dict[str, UnitWatch] = {}
        self.suspected: Callable[[Refusal], None] = lambda _: None
        """Hears of a reading that seems to come in another unit. It is stored as it came."""

    def position(self, position: str, message: PositionReading, *, now: datetime, speed: float) -> Refusal | None:
        """Take a position's reading."""
        if position not in _POSITIONS:
            return Refusal("position", position, f"there are only {', '.join(sorted(_POSITIONS))}")
        names = (f"{position}_w", f"{position}_v", f"{position}_wh")
        refusal = self._reading(position, message.ts, names, (message.power_w, message.voltage_v, message.energy_wh), now, speed)
        if refusal is None:
            self._suspect(names[0], message.power_w, of_one_reading(message.power_w, message.voltage_v, message.current_a))
            self._suspect(names[1], message.voltage_v, None)
        return refusal

    def _suspect(self, name: str, value: float | None, why: str | None) -> None:
        if value is not None and (why := self._watches.setdefault(name, UnitWatch()).suspect(value) or why) is not None:
            remedy = f"it is stored as it came, but it is {why}: does the device report another unit than {COLUMNS[name].unit}?"
            self.suspected(Refusal(name, f"{value:g}", remedy))

    def battery(self, message: BatteryReadingMessage, *, now: datetime, speed: float) -> Refusal | None:
        """Take the power station's reading."""
        names = ("soc_pct", "ac_in_w", "ac_out_w", "dc_in_w", "dc_out_w", "ac_output_on", "eco_mode")
        values = tuple(getattr(message, name) for name in names)
        return self._reading("battery", message.ts, names, values, now, speed)

    def estimate(self, message: BatteryEstimate, *, now: datetime, speed: float) -> Refusal | None:
        """Take the observer's state of charge, if it has moved."""
        if self._estimate_pct is not None and abs(message.soc_pct - self._estimate_pct) < ESTIMATE_STEP_PCT:
            return None
        self._estimate_pct = message.soc_pct
        return self._reading("estimate", message.ts, ("estimate_pct",), (message.soc_pct,), now, speed)

    def _reading(
        self, source: str, ts: datetime, names: tuple[str, ...], values: tuple[float | None, ...], now: datetime, speed: float
    ) -> Refusal | None:
        for name, value in zip(names, values, strict=True):
            if value is not None and not COLUMNS[name].possible(value):
                return Refusal(name, f"{value:g}", COLUMNS[name].refusal(value))
        if ts - now > timedelta(seconds=FUTURE_S * speed):
            return Refusal("ts", ts.isoformat(), f"it lies ahead of the station's clock ({now:%Y-%m-%dT%H:%M:%SZ}); set the device's clock")
        ts_ms = to_ms(ts)
        if self._newest.get(source) == (ts_ms, values):
            return None
        self._newest[source] = (ts_ms, values)
        if all(value is None for value in values):
            return None
        row = self._batch.rows.setdefault(ts_ms, empty_row())
        for name, value in zip(names, values, strict=True):
            if value is not None:
                row[INDEX[name]] = COLUMNS[name].encode(value)
        return None

    def remember(self, topic: str, content: Mapping[str, Any]) -> None:
        """Take `content` for the last that is known under `topic`."""
        self._content[topic] = content

    def state(self, topic: str, ts: datetime, payload: str, content: Mapping[str, Any]) -> None:
        """Take a state if its `content`, what matters of it, differs from the last under its topic."""
        if self._content.get(topic) == content:
            return
        self._content[topic] = content
        self._latest[topic] = StateRow(topic, to_ms(ts), payload)
        self._batch.states.append(self._latest[topic])
        self._urgent()

    def states_again(self) -> None:
        """Take the last state under each topic once more: a new journal has been begun."""
        self._batch.states[:0] = [state for state in self._latest.values() if state not in self._batch.states]

    def take(self) -> Batch:
        """What has come since the last call."""
        taken, self._batch = self._batch, Batch()
        return taken

    def put_back(self, failed: Batch) -> int:
        """Keep what could not be written. The oldest goes when there is too much; returns how many readings are lost."""
        for ts_ms, newer in self._batch.rows.items():
            older = failed.rows.setdefault(ts_ms, newer)
            failed.rows[ts_ms] = [old if new is None else new for old, new in zip(older, newer, strict=True)]
        excess = max(len(failed.rows) - BACKLOG_ROWS, 0)
        for ts_ms in sorted(failed.rows)[:excess]:
            del failed.rows[ts_ms]
        self._batch = Batch(failed.rows, (failed.states + self._batch.states)[-BACKLOG_STATES:])
        return excess
