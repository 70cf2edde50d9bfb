"""`sps station learn` against a real recorder API over simulated weeks."""

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from services.backtest.loop import Scenario, simulate
from services.backtest.seed import reading_of
from services.cli.station import app
from services.controller.model import Settings
from services.core.config.load import parse_station
from services.recorder.journal import FILE_NAME, Journal
from services.simulator.plant import PlantParameters, PlantState
from services.simulator.trace import LoadTrace
from tests.unit.cli.test_report import END, config, serving

__all__ = ["config"]


@pytest.fixture
def recorded(tmp_path, config):
    """Writes so many days that end where the recorder's clock stands, and serves them."""
    station = parse_station(config.read_text(encoding="utf-8"))

    def write(days):
        path = tmp_path / FILE_NAME
        journal = Journal(path)
        run = Scenario(
            parameters=PlantParameters.of(station),
            settings=Settings.of(station),
            preferences=station.preferences.preferences(),
            load_w=LoadTrace.of(station).load_w,
            pv_w=lambda _: 0.0,
            start=END - timedelta(days=days),
            end=END,
            step_s=60.0,
        )
        journal.append_rows((step.at, reading_of(step)) for step in simulate(run, PlantState.initial(run.parameters)))
        journal.close()
        return serving(path, station)

    return write


def sps(config, *options):
    return CliRunner().invoke(app, ["learn", "--config", str(config), *options])


def test_three_weeks_give_every_figure_with_its_interval(recorded, config):
    with recorded(21):
        shown, told = sps(config), sps(config, "--json")
    assert shown.exit_code == told.exit_code == 0, shown.output
    found = json.loads(told.stdout)
    for name, true in (("capacity_wh", 1152.0), ("deliverable_wh", 1152.0 * 0.85), ("round_trip", 0.93 * 0.85), ("idle_w", 9.0)):
        value, low, high = found[name]
        assert low <= true <= high, name
        assert low < value < high
    for words in ("battery.capacity_wh", "90 % interval", "charge_efficiency", "Charging from the grid"):
        assert words in shown.stdout


def test_a_short_history_ends_in_one_line(recorded, config):
    with recorded(3):
        result = sps(config)
    assert result.exit_code == 1
    assert "at least 7 are needed" in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_a_recorder_it_says_what_to_start(config):
    result = sps(config)
    assert result.exit_code == 1
    assert "sps run" in result.stderr
