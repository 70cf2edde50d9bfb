"""`sps import`, `sps export` and `sps energy` against a recorder in a process of its own."""

import csv
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
import requests
import yaml
from pyarrow import parquet
from typer.testing import CliRunner

from services.cli.main import app
from tests.support.ports import free_port
from tests.support.recorder import start_process
from tests.support.sps import real_text
from tests.support.waiting import wait_until

PARIS = ZoneInfo("Europe/Paris")
START_S = 60


class Rig:
    """A station file, and its recorder, which needs no broker to answer."""

    def __init__(self, folder):
        self.var = folder / "var"
        self.port = free_port()
        body = yaml.safe_load(real_text())
        body |= {"clock": "system", "recorder": {"api": {"port": self.port}}}
        body["broker"] |= {"port": free_port(), "start": False}
        body["positions"]["p4"] = {"sensor": "station"}
        body["battery"] |= {"price": 700, "capacity_wh": 1000}
        self.config = folder / "station.yaml"
        self.config.write_text(yaml.safe_dump(body), encoding="utf-8")
        self.process = None

    def start(self):
        self.process = start_process(self.config, self.var)
        wait_until(self.answers, START_S, what="the recorder to answer")

    def answers(self):
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=1).ok
        except requests.ConnectionError:
            return False

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def sps(self, *arguments):
        return CliRunner().invoke(
            app, [*map(str, arguments), "--config", str(self.config)], env={"SPS_VAR": str(self.var), "COLUMNS": "200"}
        )


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path)
    try:
        yield made
    finally:
        made.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One recorder for many tests, each with days of its own."""
    made = Rig(tmp_path_factory.mktemp("rig"))
    try:
        made.start()
        yield made
    finally:
        made.stop(signal.SIGKILL)


TODAY = datetime.now(PARIS).replace(hour=0, minute=0, second=0, microsecond=0)


def house(ts):
    """By night charged with 500 W for two hours, from 18 to 20 the battery carries 200 W, else the grid does."""
    charging, giving = 1 <= ts.hour < 3, 18 <= ts.hour < 20
    return {
        "p1_w": 0.0 if giving else 200.0,
        "p2_w": 500.0 if charging else 0.0,
        "p3_w": 200.0 if giving else 0.0,
        "p4_w": 0.0,
        "soc_pct": 50,
    }


def a_day(n):
    """The midnight that begins the n-th last day on which clocks are not changed."""
    plain = (day for i in range(2, 60) if (day := TODAY - timedelta(days=i)).utcoffset() == (day + timedelta(days=1)).utcoffset())
    return next(islice(plain, n, None))


def write_day(path, day):
    """A day, a line a minute, its columns by other names; the last line is the next midnight's."""
    lines = ["timestamp,grid,charge,battery,sun,soc"]
    for minute in range(1441):
        ts = day + timedelta(minutes=minute)
        lines.append(f"{ts:%Y-%m-%d %H:%M:%S},{','.join(f'{value:g}' for value in house(ts).values())}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


MAPPING = [part for one in ("p1_w=grid", "p2_w=charge", "p3_w=battery", "p4_w=sun", "soc_pct=soc") for part in ("--map", one)]
MAPPED = [*MAPPING, "--time", "timestamp", "--tz", "Europe/Paris"]


def test_a_day_imported_is_there_in_energy_and_comes_out_again_as_it_went_in(running, tmp_path) -> None:
    day = a_day(9)
    day_file = write_day(tmp_path / "day.csv", day)
    done = running.sps("import", day_file, *MAPPED)
    assert (done.exit_code, "1441 lines: 1441 times added" in done.output) == (0, True), done.output
    again = running.sps("import", day_file, *MAPPED)
    assert "1441 lines: 0 times added, 1441 there already" in again.output

    found = json.loads(running.sps("energy", "--day", day.date(), "--json").output)
    total, battery = found["total"], found["battery"]
    # A minute's ramp at either end of each change: 200 W x 1 min / 2 more or less.
    assert (total["p1_wh"], total["p2_wh"], total["p3_wh"]) == (
        pytest.approx(4400, abs=4),
        pytest.approx(1000, abs=9),
        pytest.approx(400, abs=4),
    )
    assert total["covered"]["metered"] == 1.0
    assert battery["avoided"] == {"value": pytest.approx(-600, abs=12), "covered": 1.0}
    assert battery["round_trip"] == pytest.approx(0.4, abs=0.005)
    assert battery["cycles"]["value"] == pytest.approx(400 / (1000 * 0.85), abs=0.01)
    assert battery["wear"]["value"] == pytest.approx(400 / (1000 * 0.85) * 700 / 3500, abs=0.002)
    assert len(found["steps"]) in (23, 24, 25)

    out = tmp_path / "out.csv"
    assert running.sps("export", out, "--from", day.date(), "--to", day.date(), "--series", "p1_w,p2_w,soc_pct").exit_code == 0
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 1440  # the last of the 1441 is the next midnight's
    for row in rows[::97]:
        want = house(datetime.fromisoformat(row["time"]).astimezone(PARIS))
        assert {name: float(row[name]) for name in ("p1_w", "p2_w", "soc_pct")} == {
            name: want[name] for name in ("p1_w", "p2_w", "soc_pct")
        }
    back = running.sps("import", out)
    assert "1440 lines: 0 times added, 1440 there already" in back.output  # our own files need no mapping


def test_means_with_their_coverage_in_parquet(running, tmp_path) -> None:
    day = a_day(6)
    day_file = write_day(tmp_path / "day.csv", day)
    lines = day_file.read_text(encoding="utf-8").splitlines(keepends=True)
    day_file.write_text("".join(lines[: 1 + 60 * 5] + lines[1 + 60 * 7 :]), encoding="utf-8")  # nothing from 05:00 to 07:00
    running.sps("import", day_file, *MAPPED)
    out = tmp_path / "out.parquet"
    done = running.sps("export", out, "--from", day.date(), "--to", day.date(), "--resolution", "quarter", "--series", "p1_w,load_w")
    assert done.exit_code == 0, done.output
    table = parquet.read_table(out)
    assert table.schema.field("p1_w").metadata == {b"unit": b"W", b"meaning": b"mean power, grid to load (P1)"}
    rows = {row["time"].astimezone(PARIS).replace(tzinfo=None): row for row in table.to_pylist()}
    at = day.replace(tzinfo=None)
    assert rows[at + timedelta(hours=4)]["load_w"] == pytest.approx(200.0)
    assert rows[at + timedelta(hours=4)]["load_w_covered"] == 1.0
    assert at + timedelta(hours=6) not in rows  # a gap is a gap
    steps = json.loads(running.sps("energy", "--day", day.date(), "--json").output)["steps"]
    assert (steps[6]["p1_wh"], steps[6]["covered"]["p1"]) == (None, 0.0)
    assert (tmp_path / "out.parquet.part").exists() is False


def test_a_broken_line_is_named_and_the_rest_imported(running, tmp_path) -> None:
    day = a_day(3)
    day_file = write_day(tmp_path / "day.csv", day)
    lines = day_file.read_text(encoding="utf-8").splitlines()
    lines[10] = lines[10][:14]
    lines[20] = lines[20].replace(",200,", ",200000,")
    ahead = datetime.now(PARIS) + timedelta(days=2)
    lines.append(f"{ahead:%Y-%m-%d %H:%M:%S},1,1,1,1,1")
    day_file.write_text("\n".join(lines), encoding="utf-8")
    done = running.sps("import", day_file, *MAPPED)
    assert done.exit_code == 0, done.output
    assert "1442 lines: 1440 times added, 2 line(s) left out, 1 value(s) flagged" in done.output
    assert "line 11: it has 1 columns instead of 6: is it cut off?" in done.output
    assert "line 21: p1_w cannot be 200000" in done.output
    assert f"line 1443: its time {ahead.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC was refused" in done.output


def test_an_import_cut_off_by_a_kill_is_completed_by_the_same_import(rig, tmp_path) -> None:
    day = a_day(1)
    day_file = write_day(tmp_path / "day.csv", day)
    rig.start()
    half = day_file.with_name("half.csv")
    half.write_text("\n".join(day_file.read_text(encoding="utf-8").splitlines()[:701]), encoding="utf-8")
    assert "700 times added" in rig.sps("import", half, *MAPPED).output
    rig.stop(signal.SIGKILL)
    gone = rig.sps("import", day_file, *MAPPED)
    assert (gone.exit_code, "start the station with `sps run`, or the recorder alone with `sps run --only recorder`" in gone.output) == (
        1,
        True,
    )
    rig.start()
    assert "741 times added, 700 there already" in rig.sps("import", day_file, *MAPPED).output


def test_writing_needs_the_token_and_reading_does_not(running) -> None:
    url = f"http://127.0.0.1:{running.port}/api/readings"
    body = {"columns": ["p1_w"], "rows": [[1_700_000_000_000, 5.0]]}
    assert requests.post(url, json=body, timeout=5).status_code == 401
    assert requests.post(url, json=body, headers={"Authorization": "Bearer wrong"}, timeout=5).status_code == 401
    token = (running.var / "recorder" / "api.token").read_text(encoding="ascii")
    good = {"Authorization": f"Bearer {token}"}
    assert requests.post(url, json={"columns": ["p9"], "rows": []}, headers=good, timeout=5).status_code == 400
    assert requests.post(url, data=b"{" * 3_000_000, headers=good, timeout=5).status_code == 413
    assert requests.get(f"http://127.0.0.1:{running.port}/api/rows", timeout=5).ok
    assert requests.post(url, json=body, headers=good, timeout=5).json()["added"] == 1


def test_a_dry_run_stores_nothing_and_needs_no_recorder(rig, tmp_path) -> None:
    day = a_day(1)
    day_file = write_day(tmp_path / "day.csv", day)
    done = rig.sps("import", day_file, *MAPPED, "--dry-run")
    assert (done.exit_code, "1441 times could be added" in done.output) == (0, True)
    assert not rig.var.exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["export", "out.xlsx"], "ends in .csv or .parquet"),
        (["export", "out.csv", "--resolution", "second"], "choose from raw, minute, quarter, hour"),
        (["export", "out.csv", "--series", "p9_w"], "p9_w cannot be exported"),
        (["export"], "name a file to write to"),
        (["import", "nowhere.csv"], "there is no file nowhere.csv"),
        (["energy", "--day", "noon"], "--day noon: write a day such as 2026-07-01"),
        (["energy", "--month", "July"], "--month July: write a month such as 2026-07"),
        (["energy", "--month", "this", "--day", "today"], "choose one span"),
        (["energy", "--by", "week"], "choose from hour, day, month"),
        (["energy", "--from", "2026-07-02", "--to", "2026-07-01"], "must not lie after --to"),
        (["energy", "--day", "2199-01-01"], "has not begun yet"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_is_right(running, arguments, why) -> None:
    done = running.sps(*arguments)
    assert done.exit_code in (1, 2)
    assert why in done.output


def test_the_picture_and_the_table_show_gaps_as_gaps(running, tmp_path) -> None:
    day = a_day(12)
    file = tmp_path / "gap.csv"
    lines = [f"{day + timedelta(minutes=i):%Y-%m-%d %H:%M},5" for i in (*range(100), *range(1200, 1300))]
    file.write_text("\n".join(["time,p1_w", *lines]), encoding="utf-8")
    assert "200 times added" in running.sps("import", file).output
    picture = tmp_path / "energy.svg"
    done = running.sps("energy", "--day", day.date(), "--plot", picture)
    assert done.exit_code == 0, done.output
    assert "<svg" in picture.read_text(encoding="utf-8")
    rows = {line.split()[2]: line.split()[3:] for line in done.output.splitlines() if line.startswith(f" {day:%d %b}")}
    assert rows["00:00"] == ["5", "(100", "%)", "-", "-", "-", "-", "-", "0"]  # P1 alone is known, and nothing of what a settlement needs
    assert rows["12:00"] == ["-", "-", "-", "-", "-", "-", "0"]


def test_csv_goes_to_standard_output_too(running) -> None:
    command = [sys.executable, "-m", "services.cli", "export", "-", "--series", "p1_w", "--config", str(running.config)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"SPS_VAR": str(running.var)}, timeout=60, check=True)
    assert done.stdout.splitlines()[0] == "time,p1_w"


def test_without_pyarrow_the_remedy_is_said(running, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = running.sps("export", tmp_path / "out.parquet")
    assert (done.exit_code, "pip install 'smart-power-station[parquet]', or write a .csv" in done.output) == (1, True)
    assert list(tmp_path.iterdir()) == []
