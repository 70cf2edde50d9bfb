"""Windows of real load in which policies are compared: event by event, each with a full battery at its start."""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.backtest.trace import Trace, packaged

WINDOW_S = 4 * 3600.0
LEAST_MEAN_W = 80.0
PLUG_SCALE = 0.2
"""Of a whole house, to what may hang at one plug."""
SUMMER_FILE = "ausgrid_customer12_2011-2012_load_pv.csv.gz"
SUMMER_MONTHS = (12, 1, 2)
"""In Sydney."""
SUMMER_SCALE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A trace as mere rows of equal length, without the few that are missing, and the label of its source."""

    load_w: NDArray[np.float64]
    step_s: float
    label: str


@dataclass(frozen=True, slots=True)
class Window:
    """The rows [first, last) of `rows`: an event's load."""

    rows: Rows
    first: int
    last: int

    @property
    def load_w(self) -> NDArray[np.float64]:
        """The load of each row."""
        return self.rows.load_w[self.first : self.last]

    @property
    def mean_w(self) -> float:
        """The mean load."""
        return float(self.load_w.mean())


def one_minute(scale: float = PLUG_SCALE) -> Rows:
    """The packaged winter trace, minute by minute: the whole of it, its four missing minutes cut out."""
    return rows_of(packaged().scaled(scale), "winter, one minute")


def rows_of(trace: Trace, label: str) -> Rows:
    """The known rows of any trace."""
    load_w = np.array(trace.load_w)
    return Rows(load_w[~np.isnan(load_w)], trace.step_s, label)


def half_hourly_summer(folder: Path, scale: float = SUMMER_SCALE) -> Rows:
    """One house in Sydney, December to February, half-hourly, from the shared data in `folder`. Raises OSError when it is not there."""
    with gzip.open(folder / SUMMER_FILE, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    # Energies of half an hour in kWh.
    load_w = [float(gc) * 2000.0 * scale for time, gc, _ in rows if datetime.fromisoformat(time).month in SUMMER_MONTHS]
    return Rows(np.array(load_w), 1800.0, "summer, half-hourly")


def cut(rows: Rows, *, least_mean_w: float = LEAST_MEAN_W, window_s: float = WINDOW_S) -> Sequence[Window]:
    """Consecutive windows from the first row on, those with less than `least_mean_w` left out."""
    length = round(window_s / rows.step_s)
    windows = [Window(rows, first, first + length) for first in range(0, len(rows.load_w) - length + 1, length)]
    return [window for window in windows if window.mean_w >= least_mean_w]


def some(windows: Sequence[Window], count: int) -> Sequence[Window]:
    """At most `count` of them, evenly chosen."""
    return windows if len(windows) <= count else [windows[i * len(windows) // count] for i in range(count)]


def held_out(window: Window) -> bool:
    """Whether `window` begins on an odd day of its trace: the controller's weightiest constants were chosen by the even ones."""
    return int(window.first * window.rows.step_s // 86_400.0) % 2 == 1
