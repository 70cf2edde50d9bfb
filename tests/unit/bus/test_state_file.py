"""State on disk is the old one or the new one, whatever happens in between."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.bus.state_file import read_state, write_atomic


def test_nothing_was_ever_written(tmp_path) -> None:
    assert read_state(tmp_path / "none.json") is None


def test_what_was_written_is_read(tmp_path) -> None:
    path = tmp_path / "state.json"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert read_state(path) == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_before_the_rename_leaves_the_old_state(tmp_path, monkeypatch, call) -> None:
    path = tmp_path / "state.json"
    write_atomic(path, b"old")

    def fail(*_args) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        if call == "fsync":
            broken.setattr(os, "fsync", fail)
        else:
            broken.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="full"):
            write_atomic(path, b"new, and longer")
    assert read_state(path) == b"old"
    write_atomic(path, b"newer")
    assert list(tmp_path.iterdir()) == [path], "what the failure left behind must not pile up"


def test_the_data_is_on_disk_before_the_name_points_to_it(tmp_path, monkeypatch) -> None:
    order = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (order.append("fsync"), fsync(number))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("replace"), replace(self, to))[1])
    write_atomic(tmp_path / "state.json", b"x")
    assert order == ["fsync", "replace", "fsync"]


def test_a_kill_leaves_no_half_of_a_state(tmp_path) -> None:
    path = tmp_path / "state"
    program = (
        "import sys; from pathlib import Path; from services.bus.state_file import write_atomic\n"
        "while True:\n    for byte in (b'a', b'b'):\n        write_atomic(Path(sys.argv[1]), byte * 300_000)\n"
    )
    for delay in (0.0, 0.007, 0.013):
        writer = subprocess.Popen([sys.executable, "-c", program, str(path)])
        deadline = time.monotonic() + 10
        while read_state(path) is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(delay)  # to hit different moments, not to wait for anything
        writer.kill()
        writer.wait()
        data = read_state(path)
        assert data in (b"a" * 300_000, b"b" * 300_000)
