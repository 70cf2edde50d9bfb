"""Past days for a station that starts for the first time: simulated, journalled, and handed over to the live one."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from services.backtest.loop import Meters, Scenario, Step, simulate
from services.controller import store
from services.controller.model import Settings
from services.core.config.station import Station
from services.recorder.journal import FILE_NAME, Journal
from services.simulator.plant import PlantParameters, PlantState
from services.simulator.state import save_initial
from services.simulator.sun import Panel
from services.simulator.trace import LoadTrace

STEP_S = 60.0
"""The trace's own resolution."""
TOLD_BY_NOBODY: Mapping[str, float | None] = {"soc_pct": None, "ac_output_on": None}
"""What is not known of a power station without a data link."""


def seed(station: Station, var: Path, *, end: datetime, progress: Callable[[float], None]) -> None:
    """Simulate the `simulation.seed_days` before `end` into an empty journal under `var`.

    The plant and the controller go on from where the past days leave them. `progress` is called with the share
    done. The journal appears under its name only once it is whole. Raises OSError, JournalError.
    """
    begin = end - timedelta(days=station.simulation.seed_days)
    parameters = PlantParameters.of(station)
    scenario = Scenario(
        parameters=parameters,
        settings=Settings.of(station),
        preferences=station.preferences.preferences(),
        load_w=LoadTrace.of(station).load_w,
        pv_w=Panel.of(station).pv_w,
        start=begin,
        end=end,
        step_s=STEP_S,
        meters=Meters(data_link=station.battery.has_data_link),
    )
    last: Step | None = None

    def rows() -> Iterator[tuple[datetime, Mapping[str, float | None]]]:
        nonlocal last
        for count, last in enumerate(simulate(scenario, PlantState.initial(parameters))):
            if count % 1440 == 0:
                progress((last.at - begin) / (end - begin))
            reading = reading_of(last)
            yield last.at, reading if station.battery.has_data_link else {**reading, **TOLD_BY_NOBODY}

    folder = var / "recorder"
    unfinished = folder / f"{FILE_NAME}.seeding"
    unfinished.unlink(missing_ok=True)
    journal = Journal(unfinished)
    try:
        journal.append_rows(rows())
    finally:
        journal.close()
    if last is not None:
        save_initial(var / "simulator", last.plant, end)
        (var / "controller").mkdir(parents=True, exist_ok=True)
        store.save(var / "controller" / "state.json", store.State(memory=last.decision.memory))
    unfinished.rename(folder / FILE_NAME)
    progress(1.0)


def reading_of(step: Step) -> dict[str, float | None]:
    """A step as the journal's columns."""
    flows, plant = step.flows, step.plant
    return {
        "p1_w": flows.p1_w,
        "p2_w": flows.p2_w,
        "p3_w": flows.p3_w,
        "p4_w": flows.p4_w,
        "p1_v": flows.grid_v,
        "p2_v": flows.grid_v,
        "p1_wh": plant.p1_wh,
        "p2_wh": plant.p2_wh,
        "soc_pct": flows.soc_pct,
        "ac_output_on": float(flows.ac_output_on),
    }
