"""What outlives the simulator's process: the house, its devices and its time."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from services.bus.clock import Rate
from services.bus.state_file import read_state, write_atomic
from services.simulator.devices.shelly_switch import SavedSwitch
from services.simulator.master_clock import to_millisecond
from services.simulator.plant import PlantState

FLOWS_ON_S = 60.0
"""After a pause shorter than this (real seconds), station time goes on as if there had been none."""


class BadState(ValueError):
    """A state file that cannot be used."""


class SavedRate(BaseModel):
    """A `Rate`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    epoch_wall: AwareDatetime
    epoch_station: AwareDatetime
    speed: Annotated[float, Field(ge=1, le=3600)]


def _plant(value: dict[str, Any]) -> dict[str, Any]:
    try:
        PlantState.from_dict(value)
    except TypeError as error:
        raise ValueError(str(error)) from None
    return value


class Saved(BaseModel):
    """The state file."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    station_time: AwareDatetime
    plant: Annotated[dict[str, Any], AfterValidator(_plant)]
    """A PlantState."""
    saved_wall: AwareDatetime | None = None
    rate: SavedRate | None = None
    """How time ran; None when no simulator has run on this state yet."""
    relays: dict[str, SavedSwitch] = {}
    """By position."""
    ac_output_on: bool = True
    grid_ok: bool = True

    def plant_state(self) -> PlantState:
        """The plant in the system's own form."""
        return PlantState.from_dict(self.plant)


def _path(state_dir: Path) -> Path:
    return state_dir / "state.json"


def load(state_dir: Path) -> Saved | None:
    """The saved state; None if there is none. Raises BadState, or OSError."""
    path = _path(state_dir)
    data = read_state(path)
    if data is None:
        return None
    try:
        return Saved.model_validate_json(data)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise BadState(f"{path}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None


def save(state_dir: Path, saved: Saved) -> None:
    """Replace the saved state. Raises OSError."""
    write_atomic(_path(state_dir), saved.model_dump_json().encode())


def save_initial(state_dir: Path, plant: PlantState, station_time: datetime) -> None:
    """Make the next simulator start with `plant` as it was at `station_time`. No simulator may be running. Raises OSError."""
    state_dir.mkdir(parents=True, exist_ok=True)
    save(state_dir, Saved(station_time=station_time, plant=plant.to_dict()))


@dataclass(frozen=True, slots=True)
class Resumption:
    """How a simulator goes on."""

    rate: Rate
    house_since: datetime
    """The station time at which the house is in the saved state."""


def resume(saved: Saved | None, wall: datetime, speed: float) -> Resumption:
    """How station time runs from `wall` on. It never goes back and never starts before the wall clock.

    After a short pause the house lives through it; after a long one it goes on from where it stopped.
    """
    anchor = to_millisecond(wall)
    if saved is None:
        return Resumption(Rate(anchor, wall, speed), wall)
    if saved.rate is not None and saved.saved_wall is not None and 0.0 <= (wall - saved.saved_wall).total_seconds() < FLOWS_ON_S:
        before = Rate(saved.rate.epoch_wall, saved.rate.epoch_station, saved.rate.speed)
        flowed_on = before.at(wall)
        if flowed_on >= max(saved.station_time, wall):
            return Resumption(before if before.speed == speed else Rate(anchor, flowed_on, speed), saved.station_time)
    start = max(saved.station_time, wall)
    return Resumption(Rate(anchor, start, speed), start)
