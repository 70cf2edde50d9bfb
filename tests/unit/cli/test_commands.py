"""What the commands say and how they end, for what can be judged without a running station."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from tests.support.sps import placed_text, real_text

SHIPPED = Path("config/station.yaml")


@pytest.fixture
def sps():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def quiet_station(tmp_path):
    """A station file whose broker and recorder ports nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        broker, api = first.getsockname()[1], second.getsockname()[1]
    text = placed_text().replace("port: 1883", f"port: {broker}")
    file = tmp_path / "station.yaml"
    file.write_text(f"{text}\nrecorder:\n  api: {{port: {api}}}\n", encoding="utf-8")
    return file


def test_shipped_station_file_is_right_and_its_modes_are_told(sps):
    result = sps("check-config", SHIPPED)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line.split()[1] for line in lines if line.strip().startswith("mode")] == ["0", "1", "2", "3", "4", "5"]
    assert "not possible: needs a relay at P3" in next(line for line in lines if "mode 0" in line)
    assert next(line for line in lines if "mode 5" in line).endswith("possible")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("floor_pct: 20 ", "floor_pct: 200 ", ["battery.floor_pct", "200", "100"]),
        ("port: 8080", "prot: 8080", ["web.prot", "not known"]),
        ("priority: grid", "priority: inverter", ["mode 2", "prefers the inverter"]),
        ('discharge_at: "17:00"', "discharge_at: 17:00", ["normal.discharge_at", "quotation marks"]),
        ("timezone: Europe/Paris", "timezone: Paris", ["timezone", "'Paris'", "IANA"]),
        ("station: demo", "station: [", ["not YAML"]),
    ],
)
def test_wrong_station_file_is_answered_with_line_field_value_and_remedy(sps, tmp_path, old, new, told):
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "station.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    result = sps("check-config", file)
    assert result.exit_code == 2
    assert all(word in result.stderr for word in told), result.stderr
    line = next((number for number, content in enumerate(file.read_text().splitlines(), 1) if new in content), None)
    assert f"line {line}" in result.stderr or old in {"priority: grid", "station: demo"}


def test_missing_station_file_is_told(sps, tmp_path):
    result = sps("check-config", tmp_path / "none.yaml")
    assert (result.exit_code, "--config" in result.stderr) == (2, True)


def test_run_with_a_wrong_station_file_starts_nothing(sps, tmp_path):
    file = tmp_path / "station.yaml"
    file.write_text("station: demo\n", encoding="utf-8")
    result = sps("run", "--config", file, "--var", tmp_path / "var")
    assert result.exit_code == 2
    assert "this field is required" in result.stderr
    assert not (tmp_path / "var").exists()


def test_run_names_the_services_there_are(sps, tmp_path):
    result = sps("run", "--only", "kontroller", "--var", tmp_path / "var")
    assert result.exit_code == 2
    assert "controller" in result.stderr


def test_a_driver_that_another_container_holds_need_not_be_here(sps, monkeypatch):
    monkeypatch.setitem(sys.modules, "services.bus.ble.bumble_backend", None)
    alone = sps("check-config", SHIPPED)
    assert (alone.exit_code, "needs bumble" in alone.stderr) == (2, True)
    monkeypatch.setenv("SPS_BROKER_HOST", "mosquitto")
    assert sps("check-config", SHIPPED).exit_code == 0


def test_speed_is_refused_for_a_station_in_real_time(sps, tmp_path):
    file = tmp_path / "station.yaml"
    file.write_text(real_text(), encoding="utf-8")
    result = sps("run", "--config", file, "--speed", "60", "--var", tmp_path / "var")
    assert (result.exit_code, "real time" in result.stderr) == (2, True)


def test_run_names_a_port_in_use_in_one_line(sps, tmp_path, quiet_station):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        quiet_station.write_text(quiet_station.read_text().replace("port: 8080", f"port: {port}"), encoding="utf-8")
        free = _replace_device_ports(quiet_station)
        result = sps("run", "--config", free, "--var", tmp_path / "var")
    assert result.exit_code == 1
    assert f"port {port}" in result.stderr
    assert "the page" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def _replace_device_ports(file: Path) -> Path:
    text = file.read_text(encoding="utf-8")
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
    for old, server in zip((18081, 18082, 18083, 18084, 18085), sockets, strict=True):
        text = text.replace(str(old), str(server.getsockname()[1]))
        server.close()
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["25:99"], "start"),
        (["2026-07-01T16:00:00"], "offset"),
        (["now", "--duration", "soon"], "duration"),
        (["now", "--pledge", "-5"], "reduction_w"),
        (["now", "--pledge", "100", "--minimize"], "one goal"),
        (["now", "--id", "a/b"], "id"),
        (["now", "--id", "command"], "command"),
    ],
)
def test_event_that_cannot_be_right_is_refused_before_it_is_sent(sps, quiet_station, arguments, told):
    result = sps("event", "schedule", *arguments, "--config", quiet_station)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr


def test_without_a_broker_the_remedy_is_told(sps, quiet_station):
    result = sps("event", "schedule", "now", "--wait", "1", "--config", quiet_station)
    assert (result.exit_code, "sps run" in result.stderr) == (1, True)


def test_without_a_recorder_the_remedy_is_told(sps, quiet_station):
    result = sps("event", "list", "--config", quiet_station)
    assert (result.exit_code, "sps run" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "command", [[], ["run"], ["event"], ["event", "schedule"], ["event", "cancel"], ["event", "list"], ["check-config"]]
)
def test_every_command_has_help_with_its_exit_codes(sps, command):
    result = sps(*command, "--help")
    assert result.exit_code == 0
    assert "Exit codes" in result.output


def test_help_imports_nothing_heavy():
    heavy = {"pydantic", "paho", "fastapi", "requests", "matplotlib", "yaml"}
    code = "import sys; import services.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert heavy & set(loaded) == set()
