"""`sps backup` and `sps restore` as a person uses them: a running station, one file, and a station that goes on from it."""

import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
import requests

from services.bus.state_format import RESTORING
from tests.support.sps import sps_run, station_file, wait_for

pytestmark = pytest.mark.timeout(180)


def sps(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def rows(journal: Path) -> set[int]:
    """The times of the readings on disk, in ms."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
        return {ts for (ts,) in db.execute("SELECT ts FROM reading")}


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory):
    """A station that was backed up in mid-event, while it ran; and what was on disk before."""
    folder = tmp_path_factory.mktemp("station")
    file = station_file(folder, simulation={"speed": 60, "seed_days": 0}, limits={"dwell_s": 0})
    (folder / "secrets" / "mine").mkdir(parents=True)
    for name in ("a-password", "mine/a-password"):
        (folder / "secrets" / name).write_text("sesame")
    with sps_run(file, folder / "var") as running:
        assert running.sps("event", "schedule", "now", "--duration", "PT4H", "--id", "e1").returncode == 0
        wait_for(lambda: not running.relay_is_on("p1"), within_s=20, what="P1 opens")
        journal = folder / "var" / "recorder" / "journal.db"
        before = wait_for(lambda: rows(journal), within_s=30, what="readings are on disk")
        made = sps("backup", folder / "whole.sps.tar.gz", "--with-secrets", "--config", file, "--var", folder / "var")
        assert made.returncode == 0, made.stderr
        plain = sps("backup", folder / "plain.sps.tar.gz", "--config", file, "--var", folder / "var")
        assert "It holds no passwords" in plain.stdout
        busy = sps("restore", folder / "whole.sps.tar.gz", "--yes", "--config", file, "--var", folder / "var")
        assert busy.returncode == 1
        assert "another sps is running" in busy.stderr
        assert not running.relay_is_on("p1")
    return folder, file, before


def test_a_backup_of_a_running_station_holds_all_that_was_on_disk(backed_up, tmp_path) -> None:
    folder, _, before = backed_up
    with tarfile.open(folder / "whole.sps.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"manifest.json", "config/station.yaml", "state/controller/state.json", "secrets/a-password"} <= names
    assert not [name for name in names if name.endswith((".lock", ".log", "alive", "-wal", "-shm"))]
    assert before <= rows(tmp_path / "state/recorder/journal.db")
    assert "e1" in json.loads((tmp_path / "state/controller/state.json").read_text())["book"]["events"]
    assert (folder / "whole.sps.tar.gz").stat().st_mode & 0o777 == 0o600


def test_without_being_asked_no_password_leaves(backed_up) -> None:
    folder, _, _ = backed_up
    with tarfile.open(folder / "plain.sps.tar.gz") as tar:
        assert not [name for name in tar.getnames() if name.startswith("secrets") or name.endswith(("api.token", "first-password"))]
    with tarfile.open(folder / "whole.sps.tar.gz") as tar:
        assert "state/recorder/api.token" in tar.getnames()
    assert not list(folder.glob(".sps-backup-*"))


def test_a_new_machine_goes_on_where_the_old_one_was(backed_up, tmp_path) -> None:
    folder, _, before = backed_up
    file, var = tmp_path / "config" / "station.yaml", tmp_path / "var"
    restored = sps("restore", folder / "whole.sps.tar.gz", "--config", file, "--var", var)
    assert restored.returncode == 0, restored.stderr
    assert (tmp_path / "secrets" / "a-password").read_text() == "sesame"
    assert before <= rows(var / "recorder" / "journal.db")
    with sps_run(file, var) as running:
        found = wait_for(lambda: requests.get(f"{running.page}/api/events", timeout=5).json(), within_s=20, what="the event is known")
        assert [event["id"] for event in found] == ["e1"]
        wait_for(lambda: rows(var / "recorder" / "journal.db") - before, within_s=30, what="recording goes on")
        assert before <= rows(var / "recorder" / "journal.db")


def test_a_stopped_station_can_be_backed_up_too(backed_up, tmp_path) -> None:
    folder, file, before = backed_up
    made = sps("backup", tmp_path / "stopped.sps.tar.gz", "--config", file, "--var", folder / "var")
    assert made.returncode == 0, made.stderr
    with tarfile.open(tmp_path / "stopped.sps.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    assert before <= rows(tmp_path / "state/recorder/journal.db")


def test_what_was_there_is_kept_and_a_station_file_of_ones_own_stays(backed_up, tmp_path) -> None:
    folder, _, _ = backed_up
    file, var = tmp_path / "config" / "station.yaml", tmp_path / "var"
    file.parent.mkdir()
    file.write_text("# mine\n")
    (var / "controller").mkdir(parents=True)
    (var / "controller" / "state.json").write_text("the old one")
    restored = sps("restore", folder / "whole.sps.tar.gz", "--yes", "--config", file, "--var", var)
    assert restored.returncode == 0, restored.stderr
    assert file.read_text() == "# mine\n"
    assert "stands and differs: left as it is" in restored.stdout
    assert (file.parent / "station.yaml.from-backup").exists()
    [kept] = (var / "controller").glob(".before-restore-*/state.json")
    assert kept.read_text() == "the old one"
    assert not list(tmp_path.rglob(".restore-new"))


def test_a_damaged_backup_touches_nothing(backed_up, tmp_path) -> None:
    folder, file, _ = backed_up
    data = (folder / "whole.sps.tar.gz").read_bytes()
    (tmp_path / "cut.sps.tar.gz").write_bytes(data[: len(data) // 2])
    var = tmp_path / "var"
    (var / "controller").mkdir(parents=True)
    (var / "controller" / "state.json").write_text("the old one")
    refused = sps("restore", tmp_path / "cut.sps.tar.gz", "--yes", "--config", file, "--var", var)
    assert refused.returncode == 1
    assert "is not whole" in refused.stderr
    assert (var / "controller" / "state.json").read_text() == "the old one"
    assert not (var / "controller" / RESTORING).exists()


def test_a_restore_that_was_interrupted_is_not_started_on_and_can_be_done_again(backed_up, tmp_path) -> None:
    folder, file, before = backed_up
    var = tmp_path / "var"
    assert sps("restore", folder / "whole.sps.tar.gz", "--yes", "--config", file, "--var", var).returncode == 0
    (var / "controller" / RESTORING).touch()
    (var / "controller" / "state.json").unlink()
    refused = sps("run", "--config", file, "--var", var, "--no-open")
    assert refused.returncode == 1
    assert "run `sps restore` with the same file again" in refused.stderr
    assert sps("restore", folder / "whole.sps.tar.gz", "--yes", "--config", file, "--var", var).returncode == 0
    assert "e1" in (var / "controller" / "state.json").read_text()
    assert before <= rows(var / "recorder" / "journal.db")


def test_a_restore_that_cannot_go_on_half_way_says_so_and_loses_nothing(backed_up, tmp_path) -> None:
    folder, file, _ = backed_up
    var = tmp_path / "var"
    for service in ("controller", "recorder"):
        (var / service).mkdir(parents=True)
        (var / service / "old").write_text(f"of {service}")
    stuck = """
import sys
from pathlib import Path
from services.cli.main import app
rename = Path.rename
def renamed(path, target):
    if path.name == "old" and path.parent.name == "recorder":
        raise OSError(5, "Input/output error", str(path))
    return rename(path, target)
Path.rename = renamed
app()
"""
    arguments = ["restore", str(folder / "whole.sps.tar.gz"), "--yes", "--config", str(file), "--var", str(var)]
    stopped = subprocess.run([sys.executable, "-c", stuck, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert stopped.returncode == 1
    assert "half of it is exchanged" in stopped.stderr
    assert "nothing was put back" not in stopped.stderr
    assert all((var / service / RESTORING).exists() for service in ("controller", "recorder"))
    assert sps(*arguments).returncode == 0
    assert {path.read_text() for path in var.rglob("old")} == {"of controller", "of recorder"}
    assert not list(var.rglob(RESTORING))


def test_what_root_puts_back_belongs_to_the_user_whose_folder_it_is(backed_up, tmp_path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    folder, file, _ = backed_up
    var = tmp_path / "var"
    (var / "controller").mkdir(parents=True)
    (var / "controller" / "old").touch()
    os.chown(var / "controller", 1234, 1234)
    assert sps("restore", folder / "whole.sps.tar.gz", "--yes", "--config", file, "--var", var).returncode == 0
    found = {path.name: path.stat().st_uid for path in (var / "controller").iterdir()}
    assert {"state.json", ".lock"} <= found.keys()
    assert set(found.values()) == {1234}


def test_configuration_and_secrets_that_root_puts_back_belong_to_whose_folder_they_come_into(backed_up, tmp_path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    folder, _, _ = backed_up
    etc = tmp_path / "etc"
    etc.mkdir()
    os.chown(etc, 1234, 1235)
    file = etc / "station.yaml"
    restore = ["restore", folder / "whole.sps.tar.gz", "--yes", "--config", file, "--var", tmp_path / "var"]
    restored = subprocess.run(
        [sys.executable, "-m", "services.cli", *restore],
        env=os.environ | {"SPS_SECRETS": str(etc / "secrets")}, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert restored.returncode == 0, restored.stderr
    found = {str(path.relative_to(etc)): (path.stat().st_uid, path.stat().st_gid) for path in etc.rglob("*")}
    assert {"station.yaml", "secrets", "secrets/mine/a-password"} <= found.keys()
    assert set(found.values()) == {(1234, 1235)}
    assert {path.stat().st_mode & 0o777 for path in (etc / "secrets", etc / "secrets" / "mine")} == {0o700}


def test_state_of_a_later_version_is_refused_in_one_clear_line(backed_up, tmp_path) -> None:
    folder, file, _ = backed_up
    var = tmp_path / "var"
    assert sps("restore", folder / "whole.sps.tar.gz", "--yes", "--config", file, "--var", var).returncode == 0
    (var / "gateway" / "format.json").write_text(json.dumps({"format": 7, "software": "3.0.0"}))
    for command in (["run", "--no-open"], ["run", "--only", "gateway"]):
        refused = sps(*command, "--config", file, "--var", var)
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert "was written by version 3.0.0" in refused.stderr
    alone = [sys.executable, "-m", "services.gateway", "--config", str(file), "--var", str(var)]
    refused = subprocess.run(alone, capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, "was written by version 3.0.0" in refused.stderr) == (1, True)


def test_the_recorder_gives_no_copy_without_its_token(tmp_path) -> None:
    file = station_file(tmp_path, simulation={"speed": 60, "seed_days": 0})
    with sps_run(file, tmp_path / "var") as running:
        assert requests.get(f"{running.recorder}/api/backup", timeout=5).status_code == 401
        wrong = requests.get(f"{running.recorder}/api/backup", headers={"Authorization": "Bearer x"}, timeout=5)
        assert wrong.status_code == 401
