"""`sps backtest` and `sps explain`, as a person types them."""

import json

import pytest
from typer.testing import CliRunner

from services.cli.main import app

ROWS = "\n".join(f"2026-03-24T{h:02d}:{m:02d},{150 + 100 * (m % 20 < 8)}" for h in range(8, 16) for m in range(60))
SHORT = ("--step", "60", "--every", "days", "12:00", "PT2H", "--policy", "ours")


def run(*args):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(arg) for arg in args])


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "house.csv"
    path.write_text(f"time,load_w\n{ROWS}\n")
    return path


def test_a_trace_gives_a_table_with_the_policies_asked_for(trace):
    found = run("backtest", trace, *SHORT)
    assert found.exit_code == 0, found.output
    assert "ours" in found.output
    assert "greedy" not in found.output
    assert "1 events" in found.output


def test_results_can_be_read_by_programs_and_explained(trace, tmp_path):
    out = tmp_path / "out"
    found = run("backtest", trace, *SHORT, "--goal", "pledge 60", "--out", out, "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["summary"][0]["policy"] == "ours"
    assert {path.name for path in out.iterdir()} == {"results.json", "events.csv", "event-20260324-1200.png"}
    told = run("explain", "20260324-1200", "--from", out, "--plot", out / "why.svg")
    assert told.exit_code == 0, told.output
    assert "12:00:00" in told.output
    assert "battery" in told.output
    assert "<svg" in (out / "why.svg").read_text()
    entries = json.loads(run("explain", "20260324-1200", "--from", out, "--json").stdout)["entries"]
    assert {"at", "mode", "reason", "goal_w", "duty", "soc_pct"} <= set(entries[0])


def test_an_event_that_the_results_do_not_hold_is_named_with_those_they_do(trace, tmp_path):
    assert run("backtest", trace, *SHORT, "--out", tmp_path / "out").exit_code == 0
    found = run("explain", "other", "--from", tmp_path / "out")
    assert found.exit_code == 1
    assert "20260324-1200" in found.output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--policy", "best"), "choose from ours"),
        (("--goal", "win"), "pledge 150"),
        (("--every", "funday", "12:00", "1"), "weekdays"),
        (("--every", "sun", "12:00", "PT2H"), "no event lies whole within the trace"),
        (("--interval", "PT5S"), "whole minutes"),
        (("--events", "/nowhere.csv"), "/nowhere.csv"),
        (("--pv", "/nowhere.csv"), "/nowhere.csv"),
        (("--tradeoff",), "--out"),
    ],
)
def test_what_is_typed_wrong_is_said_with_its_remedy(trace, options, says):
    found = run("backtest", trace, *options)
    assert (found.exit_code, says in found.output) == (2, True), found.output


def test_a_bad_line_is_named_with_its_file(trace):
    trace.write_text("time,load_w\n2026-03-24T08:00,100\n2026-03-24T08:01,much\n")
    found = run("backtest", trace)
    assert found.exit_code == 2
    assert f"{trace}: line 3: load_w is 'much'" in found.output


def test_explaining_without_a_station_says_how_to_start_one(tmp_path):
    found = run("explain", "summer-1", "--from", tmp_path / "nothing")
    assert (found.exit_code, "--out" in found.output) == (2, True)
