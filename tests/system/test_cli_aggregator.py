"""`sps aggregator` and `sps fleet` as one types them: what they print, and what they refuse."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from services.aggregator.calling import Typed
from services.aggregator.store import fleet
from tests.support.aggregator import aggregator
from tests.support.certificates import Authority


def sps(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli", *arguments, "--config", str(folder / "aggregator.yaml"), "--var", str(folder / "var")]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, cwd=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "aggregator.yaml").write_text("network: typed\n", encoding="utf-8")
    return tmp_path


def test_an_event_is_called_amended_listed_and_cancelled_while_nothing_runs(folder: Path) -> None:
    assert sps(folder, "aggregator", "enrol", "house-1").returncode == 0
    called = sps(folder, "aggregator", "schedule", "23:59", "--duration", "PT1H", "--id", "one", "--pledge", "150", "--station", "house-1")
    assert called.returncode == 0, called.stderr
    assert "to 1 stations" in called.stdout
    assert "revision 1" in sps(folder, "aggregator", "amend", "one", "--duration", "PT2H").stdout
    assert "not sent yet  0 of 1 answered" in sps(folder, "aggregator", "events").stdout
    assert "cancelled" in sps(folder, "aggregator", "cancel", "one").stdout
    refused = sps(folder, "aggregator", "cancel", "one")
    assert (refused.returncode, refused.stderr.strip()) == (1, "sps: id: 'one' is refused; it was cancelled; call a new event")
    assert sps(folder, "aggregator", "export").stdout.startswith("event,station,")
    assert "house-1  does not say" in sps(folder, "aggregator", "fleet").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["schedule", "yesterday"], 2, "start"),
        (["schedule", "now", "--station", "nobody"], 2, "stations"),
        (["schedule", "now", "--pledge", "1", "--minimize"], 2, "one goal"),
        (["amend", "none", "--duration", "1"], 2, "there is no such event"),
        (["enrol", "a/b"], 2, "name"),
        (["enrol", "aggregator"], 2, "name"),
        (["enrol", "x", "--count", "3"], 2, "--csv"),
        (["enrol", "x", "--csv", "x.csv"], 2, "--count"),
        (["enrol", "x", "--into", "aggregator.yaml/x"], 1, "aggregator.yaml/x cannot be written: Not a directory"),
        (["enrol", "x", "--count", "3", "--csv", "."], 1, ". cannot be written: Is a directory"),
        (["withdraw", "nobody"], 1, "not enrolled"),
        (["export", "out.txt"], 2, ".csv or a .json"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(folder: Path, arguments: list[str], code: int, said: str) -> None:
    answer = sps(folder, "aggregator", *arguments)
    assert answer.returncode == code
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    # And nobody was enrolled on the way.
    assert sps(folder, "aggregator", "fleet").stdout.startswith("0 of 0 online")


def test_a_secret_or_a_table_that_cannot_be_used_is_said_in_a_line(folder: Path) -> None:
    sps(folder, "aggregator", "enrol", "house-1")
    key = next(folder.rglob("stations.key"))
    whole = key.read_bytes()
    key.write_bytes(b"short")
    for command in (["aggregator", "enrol", "house-2"], ["aggregator", "withdraw", "house-1"], ["fleet", "simulate", "2"]):
        answer = sps(folder, *command)
        assert (answer.returncode, "stations.key is too short" in answer.stderr, "Traceback" in answer.stderr) == (1, True, False)
    key.write_bytes(whole)
    database = sqlite3.connect(folder / "var" / "aggregator" / "aggregator.db")
    database.execute("ALTER TABLE station DROP COLUMN withdrawn_at")
    database.close()
    for command in (["aggregator", "enrol", "house-2"], ["aggregator", "fleet"], ["fleet", "simulate", "60"]):
        answer = sps(folder, *command)
        assert (answer.returncode, answer.stderr.count("\n")) == (1, 1), answer.stderr
        assert "the database cannot be used: no such column" in answer.stderr


@pytest.mark.parametrize("text", ["name,mqtt\na,b\n", "name,mqtt,http\na/b,c,d\n", "name,mqtt,http\na,b,c\na,b,c\n"])
def test_a_file_of_stations_that_means_nothing_is_refused(folder: Path, text: str) -> None:
    (folder / "fleet.csv").write_text(text, encoding="utf-8")
    answer = sps(folder, "fleet", "simulate", "1", "--stations", str(folder / "fleet.csv"))
    assert (answer.returncode, answer.stderr.count("\n"), "fleet.csv" in answer.stderr) == (2, 1, True), answer.stderr


def test_a_fleet_from_a_file_of_secrets_plays_an_event_and_sums_up(tmp_path: Path) -> None:
    with aggregator(tmp_path) as one:
        file = tmp_path / "fleet.csv"
        assert sps(tmp_path, "aggregator", "enrol", "far", "--count", "12", "--csv", str(file)).returncode == 0
        assert (file.stat().st_mode & 0o777, len(file.read_text(encoding="utf-8").splitlines())) == (0o600, 13)
        played = sps(tmp_path, "fleet", "simulate", "12", "--stations", str(file), "--for", "8", "--history", "2")
        assert played.returncode == 0, played.stderr
        assert "12 of 12 online" in played.stdout
        assert "24 records sent" in played.stdout.splitlines()[-1]
        more = sps(tmp_path, "fleet", "simulate", "13", "--stations", str(file))
        assert (more.returncode, "has 12 stations, and 13" in more.stderr) == (2, True)
        assert one.file.network == yaml.safe_load(one.path.read_text(encoding="utf-8"))["network"]


def test_with_certificates_events_and_data_go_encrypted(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "secrets" / "tls")
    authority.issue("server")
    server = {"cert_file": "tls/server.crt", "key_file": "tls/server.key"}
    with aggregator(tmp_path, broker={"host": "0.0.0.0", "tls": True, "ca_file": "tls/ca.crt", **server}, api=server) as one:
        one.desk.enrol([f"fleet-{number:05d}" for number in (1, 2, 3)])
        one.desk.call(Typed("now", "PT1H"), "secret-matter")
        played = sps(
            tmp_path,
            "fleet",
            "simulate",
            "3",
            "--for",
            "6",
            "--history",
            "2",
            "--opt-out",
            "0",
            "--broker",
            f"127.0.0.1:{one.file.broker.port}",
        )
        assert "3 of 3 online" in played.stdout, played.stdout + played.stderr
        assert "6 records sent" in played.stdout.splitlines()[-1]
        row = one.read(lambda connection: fleet.events(connection, event_id="secret-matter"))[0]
        assert row.answered == 3


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with aggregator(tmp_path) as one:
        assert "another sps is running" in sps(tmp_path, "aggregator", "run").stderr
        other = tmp_path / "other"
        other.mkdir()
        (other / "aggregator.yaml").write_text(one.path.read_text(encoding="utf-8"), encoding="utf-8")
        second = sps(other, "aggregator", "run")
        assert second.returncode == 1
        assert str(one.file.broker.port) in second.stderr
        assert "Traceback" not in second.stderr
