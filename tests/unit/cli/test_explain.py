"""`sps explain` against a real recorder API: what was decided when, and why."""

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.core.config.load import parse_station
from services.recorder.journal import FILE_NAME, Journal, StateRow, to_ms
from tests.support.recorder import event
from tests.unit.cli.test_report import END, START, serving
from tests.unit.cli.test_report import config as config  # noqa: PLC0414 - a fixture

TOLD = (
    (-30, "upcoming", 2, "full_for_event", "ready for event e1", None, None),
    (0, "ongoing", 5, "holding", "event: battery at 90 %, holding 80 W", 80.0, 0.9),
    (10, "ongoing", 5, "holding", "event: battery at 88 %, holding 80 W", 80.0, 0.8),
    (50, "ongoing", 2, "interval_met", "event: this interval's reduction is met", 80.0, 0.0),
)


@pytest.fixture
def station(tmp_path, config):
    path = tmp_path / FILE_NAME
    journal = Journal(path)
    journal.append_rows(
        (START + timedelta(minutes=minute), {"p1_w": 20.0, "p2_w": 0.0, "p3_w": 80.0, "p4_w": 0.0, "soc_pct": 90.0 - minute / 6})
        for minute in range(-60, 120)
    )
    states = [StateRow("event/e1", 1, event("e1", START, END, "completed"))]
    for minute, phase, mode, code, reason, goal_w, duty in TOLD:
        said = {
            "phase": phase,
            "mode_commanded": mode,
            "reason": reason,
            "reason_code": code,
            "goal_w": goal_w,
            "duty": duty,
            "event_id": "e1",
        }
        states.append(StateRow("controller/state", to_ms(START + timedelta(minutes=minute)), json.dumps(said)))
    other = {"phase": "normal", "mode_commanded": 2, "reason": "resting", "reason_code": "resting", "event_id": None}
    states.append(StateRow("controller/state", to_ms(START - timedelta(minutes=50)), json.dumps(other)))
    journal.write({}, states)
    journal.close()
    with serving(path, parse_station(config.read_text(encoding="utf-8"))):
        yield


def explain(config, *arguments):
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, ["explain", *arguments, "--config", str(config)])


def test_each_change_stands_on_the_time_line_with_its_reason_and_figures(station, config):
    found = explain(config, "e1")
    assert found.exit_code == 0, found.output
    rows = [line.split() for line in found.output.splitlines()]
    assert ["15:30:00", "2", "-", "-", "95", "ready", "for", "event", "e1"] in rows
    assert any(row[:5] == ["16:00:00", "5", "80", "90", "90"] for row in rows)
    assert any(row[:4] == ["16:50:00", "2", "80", "0"] for row in rows)
    assert "16:10:00" not in found.output
    assert "resting" not in found.output


def test_every_decision_when_asked_for(station, config):
    assert "16:10:00" in explain(config, "e1", "--all").output


def test_json_for_programs_and_a_picture_for_people(station, config, tmp_path):
    found = json.loads(explain(config, "e1", "--json").stdout)
    assert [(entry["code"], entry["mode"]) for entry in found["entries"]] == [("full_for_event", 2), ("holding", 5), ("interval_met", 2)]
    assert explain(config, "e1", "--plot", str(tmp_path / "why.png")).exit_code == 0
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_event_and_a_wrong_file_name_are_said(station, config):
    unknown = explain(config, "e2")
    assert (unknown.exit_code, "no such event" in unknown.output) == (1, True)
    wrong = explain(config, "e1", "--plot", "why.txt")
    assert (wrong.exit_code, ".png" in wrong.output) == (2, True)


def test_a_station_that_does_not_run_says_how_to_start_it(config):
    found = explain(config, "e1")
    assert (found.exit_code, "sps run" in found.output) == (1, True)
