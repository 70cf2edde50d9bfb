"""`sps report` against a real recorder API, on figures that can be reckoned by hand."""

import asyncio
import contextlib
import csv
import json
import re
import shutil
import struct
import threading
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
import typer
import yaml
from typer.testing import CliRunner

from services.bus import web
from services.bus.clock import ManualClock
from services.bus.messages.events import EventMessage
from services.bus.programmes import enrolled
from services.bus.recorder_token import make_token
from services.cli import report as module
from services.cli import report_html
from services.core.config.load import parse_station
from services.recorder import reckoning
from services.recorder.api import create_app
from services.recorder.history import History
from services.recorder.journal import FILE_NAME, Journal, StateRow
from tests.support.ports import free_port
from tests.support.recorder import SHIPPED, event

START = datetime(2026, 7, 1, 14, tzinfo=UTC)  # 16:00 in Paris
END = START + timedelta(hours=2)
GAP_S = 150.0

CONED = {"programme": {"name": "coned-csrp", "pledge_w": 100}}

app = typer.Typer()
app.command()(module.report)


@pytest.fixture
def config(tmp_path):
    body = yaml.safe_load(SHIPPED.read_text(encoding="utf-8")) | {"recorder": {"api": {"port": free_port()}}}
    path = tmp_path / "station.yaml"
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    return path


@contextlib.contextmanager
def serving(journal, station, **more):
    loop = asyncio.new_event_loop()
    api = create_app(
        History(journal), ManualClock(END), max_gap_s=lambda: GAP_S, account=lambda _: None, committed_until=lambda: END, **more
    )
    task = loop.create_task(web.serve(api, web.listen(station.recorder.api)))
    thread = threading.Thread(target=run, args=(loop, task))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def run(loop, task):
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """Fifteen days of 100 W; then an event: 20 W from the grid and 80 W from the battery, 15 W of sun in its second hour."""
    shipped = SHIPPED.read_text(encoding="utf-8")
    station = parse_station(shipped)
    path = tmp_path_factory.mktemp("settled") / FILE_NAME
    journal = Journal(path)

    def at(minute):
        ts = START + timedelta(minutes=minute)
        if START <= ts <= END:
            return ts, {"p1_w": 20.0, "p2_w": 0.0, "p3_w": 80.0, "p4_w": 15.0 if minute >= 60 else 0.0, "soc_pct": 90 - minute / 6}
        return ts, {"p1_w": 100.0, "p2_w": 0.0, "p3_w": 0.0, "p4_w": 0.0, "soc_pct": 70.0}

    journal.append_rows(at(minute) for minute in range(-15 * 1440, 240))
    body = event("e1", START, END, "completed")
    journal.write(
        {}, [StateRow("event/e1", 1, body), StateRow("event/later", 2, event("later", END, END + timedelta(hours=1), "scheduled"))]
    )
    message, history = EventMessage.model_validate_json(body), History(path)
    baseline = reckoning.baseline(message, START, station, history, GAP_S)
    paying = enrolled(parse_station(yaml.safe_dump(yaml.safe_load(shipped) | CONED)))
    final = reckoning.performance(message, baseline, END, history, GAP_S, ts=END, final=True, station=paying)
    assert final is not None
    figures = {"event/e1/baseline": baseline, "event/e1/performance": final}
    journal.write({}, [StateRow(topic, 3, figure.model_dump_json()) for topic, figure in figures.items()])
    journal.close()
    return path


@pytest.fixture
def house(settled, tmp_path, config):
    """A recorder's API over a copy of that journal."""
    with serving(shutil.copy(settled, tmp_path / FILE_NAME), parse_station(config.read_text(encoding="utf-8"))):
        yield


def sps_report(config, *arguments):
    return CliRunner().invoke(app, [*arguments, "--config", str(config)], env={"COLUMNS": "100"})


def test_the_table_shows_each_interval_and_the_totals(house, config) -> None:
    result = sps_report(config, "e1")
    assert result.exit_code == 0, result.output
    rows = [
        [cell.strip() for cell in line.strip("│┃| ").replace("┃", "│").split("│")] for line in result.output.splitlines() if "│" in line
    ]
    assert ["16:00 to 17:00", "100.0", "20.0", "80.0", "80.0", "100"] in rows
    assert ["17:00 to 18:00", "100.0", "20.0", "80.0", "80.0", "100"] in rows
    assert ["total", "200.0", "40.0", "160.0", "160.0", "100"] in rows
    assert "Goal: 50 W less than the baseline" in result.output
    notes = " ".join(result.output.split())
    assert "method 'mean_of_recent_days', resting on the days 2026-06-17, 2026-06-18," in notes
    assert "metered" in notes
    assert "notional" in notes
    assert "Meanwhile PV gave 15 Wh" in notes
    assert "Provisional" not in notes


def test_without_an_id_it_is_the_latest_that_has_begun(house, config) -> None:
    result = sps_report(config, "--json")
    assert json.loads(result.output)["event"]["id"] == "e1"


def test_json_holds_the_figures_reckoned_by_hand(house, config) -> None:
    found = json.loads(sps_report(config, "e1", "--json").output)
    performance = found["performance"]
    assert found["final"] is True
    assert (performance["avoided_wh"], performance["reduction_wh"], performance["covered"]) == (2 * 80.0, 2 * (100.0 - 20.0), 1.0)
    # In the minute before 17:00 the sun comes up in a straight line: half a minute's worth of its 15 W.
    assert [one["pv_wh"] for one in performance["intervals"]] == [pytest.approx(15 / 120, abs=1e-3), 15.0]
    assert len(found["baseline"]["days"]) == 10


def test_the_plot_is_a_png_or_an_svg_of_a_legible_size(house, config, tmp_path) -> None:
    png, svg = tmp_path / "e1.png", tmp_path / "e1.svg"
    assert sps_report(config, "e1", "--plot", str(png)).exit_code == 0
    body = png.read_bytes()
    assert body.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", body[16:24]) == (1500, 900)
    assert sps_report(config, "e1", "--plot", str(svg)).exit_code == 0
    assert ET.fromstring(svg.read_text(encoding="utf-8")).tag.endswith("svg")


def test_an_event_that_has_not_begun_says_so(house, config, tmp_path) -> None:
    result = sps_report(config, "later", "--plot", str(tmp_path / "later.png"))
    assert result.exit_code == 0
    assert "no figures yet" in result.output


@pytest.mark.parametrize("event_id", ["nobody", "a b"])
def test_an_unknown_event_is_one_clear_line(house, config, event_id) -> None:
    result = sps_report(config, event_id)
    assert (result.exit_code, result.stderr) == (1, "sps: there is no such event; `sps event list` shows the known ones\n")


def test_a_file_that_is_neither_png_nor_svg_is_wrong_usage(config) -> None:
    result = sps_report(config, "e1", "--plot", "e1.pdf")
    assert (result.exit_code, "ends in .png or .svg" in result.stderr) == (2, True)


def test_a_folder_that_is_not_there_is_one_clear_line(house, config) -> None:
    result = sps_report(config, "e1", "--plot", "/nowhere/e1.png")
    assert (result.exit_code, "cannot write /nowhere/e1.png" in result.stderr) == (1, True)


def test_a_recorder_that_does_not_run_is_one_clear_line_with_the_remedy(config) -> None:
    result = sps_report(config, "e1")
    assert result.exit_code == 1
    assert "the recorder does not answer at http://127.0.0.1:" in result.stderr
    assert "start the station with `sps run`" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_csv_has_a_line_an_interval(house, config) -> None:
    lines = list(csv.DictReader(sps_report(config, "e1", "--csv").output.splitlines()))
    assert [(one["start"], one["baseline_wh"], one["reduction_wh"]) for one in lines] == [
        ("2026-07-01T14:00:00.000Z", "100.0", "80.0"),
        ("2026-07-01T15:00:00.000Z", "100.0", "80.0"),
    ]
    assert {one["load_low_wh"] for one in lines} == {""}  # unknown is an empty cell, not a nought


def test_the_page_stands_alone_and_shows_the_figures(house, config, tmp_path) -> None:
    page = tmp_path / "e1.html"
    result = sps_report(config, "e1", "--html", str(page))
    assert (result.exit_code, f"written to {page}" in result.output.replace("\n", "")) == (0, True)
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "Performance factor 0.80 of 100 W pledged" in text
    assert not re.search(r"<script|<link|src=|https?://(?!www\.w3\.org|purl\.org|creativecommons\.org|matplotlib\.org)", text)


def test_what_came_over_the_bus_is_no_markup_in_the_page() -> None:
    evil = "<script>alert(1)</script>"
    body = json.loads(event("e1", START, END, "cancelled")) | {"status_reason": evil}
    series = {"times": [0, 60], "series": {name: [1.0, 2.0] for name in ("load_w", "import_w", "p3_w", "soc_pct")}}
    found = {"event": body, "baseline": None, "performance": None, "final": False}
    text = report_html.event_page(found, series, ZoneInfo("Europe/Paris"), "a goal")
    assert "&lt;script&gt;" in text
    assert evil not in text


@pytest.fixture
def coned(config):
    body = yaml.safe_load(config.read_text(encoding="utf-8")) | CONED
    body["battery"]["price"] = 700
    config.write_text(yaml.safe_dump(body), encoding="utf-8")
    return config


def test_the_season_by_hand(house, coned) -> None:
    # 160 Wh in two hours are 80 W, of 100 W pledged: factor 0.80. Reservation of July: 0.1 kW x 18 x 0.80 = 1.44; before the first event
    # nothing is counted. Performance: 0.16 kWh x 1 = 0.16. Wear: 160 Wh x 700 / (3500 x 1152 Wh x 0.85) = 0.0327.
    found = json.loads(sps_report(coned, "--season", "2026", "--json").output)
    assert [(month["first"], month["events"], month["reservation"]) for month in found["months"]] == [
        ("2026-05-01", 0, 0),
        ("2026-06-01", 0, 0),
        ("2026-07-01", 1, pytest.approx(1.44)),
    ]
    total = found["total"]
    assert (total["avoided_wh"], total["reduction_wh"], total["factor"]) == (160.0, 160.0, 0.8)
    assert total["performance"] == pytest.approx(0.16)
    assert total["wear"] == pytest.approx(160 * 700 / (3500 * 1152 * 0.85))
    assert found["notional"] is True
    assert "performance_factor" in found["recall"]


def test_the_season_as_table_csv_and_page(house, coned, tmp_path) -> None:
    page = tmp_path / "season.html"
    result = sps_report(coned, "--season", "this", "--html", str(page))
    notes = " ".join(result.output.split())
    assert (result.exit_code, "2026-07" in notes, "[recall]" in notes, "notional" in notes) == (0, True, True, True)
    text = page.read_text(encoding="utf-8")
    assert "1.60 USD, notional" in text  # 1.44 reserved and 0.16 performed
    assert "<svg" in text
    lines = list(csv.DictReader(sps_report(coned, "--season", "2026", "--csv").output.splitlines()))
    assert [line["month"] for line in lines] == ["2026-05", "2026-06", "2026-07"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--season", "summer"], "use a year such as 2026, or 'this'"),
        (["--season", "2027"], "begins on 2027-05-01"),
        (["e1", "--season", "2026"], "takes no ID"),
        (["--json", "--csv"], "choose one form"),
        (["--html", "e1.pdf"], "ends in .html"),
    ],
)
def test_wrong_usage_is_one_clear_line(house, coned, arguments, why) -> None:
    result = sps_report(coned, *arguments)
    assert (result.exit_code, why in result.stderr, len(result.stderr.splitlines())) == (2, True, 1)


def test_the_token_is_read_from_the_folder_that_var_names(settled, tmp_path, config, monkeypatch) -> None:
    monkeypatch.delenv("SPS_VAR", raising=False)
    monkeypatch.chdir(tmp_path)
    token = make_token(tmp_path / "state")
    with serving(shutil.copy(settled, tmp_path / FILE_NAME), parse_station(config.read_text(encoding="utf-8")), token=token):
        assert sps_report(config, "e1", "--csv", "--var", str(tmp_path / "state")).exit_code == 0
        refused = sps_report(config, "e1", "--csv", "--var", str(tmp_path / "elsewhere"))
    assert refused.exit_code == 1
    assert "name that folder with --var" in refused.output
