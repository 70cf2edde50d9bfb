"""The heartbeat on disk, and what is said of it."""

import time
from pathlib import Path

import pytest

from services.bus import heartbeat
from services.bus.heartbeat import age_s, beat_file, verdict, write_beat


def test_a_fresh_beat_is_alive_and_an_old_one_is_not(tmp_path) -> None:
    path = beat_file(tmp_path, "controller")
    write_beat(path, 1000.0)
    assert age_s(path, lambda: 1012.5) == 12.5
    assert age_s(path, lambda: 900.0) is None  # the machine was started anew

    now = time.monotonic()
    write_beat(path, now - 5)
    assert verdict("controller", tmp_path) == (True, "controller is alive: 5 s ago its loop ran and the broker heard it")
    write_beat(path, now - 45)
    alive, why = verdict("controller", tmp_path)
    assert not alive
    assert "has not beaten for 45 s" in why


def test_a_beat_of_another_boot_is_none(tmp_path, monkeypatch) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("first\n")
    monkeypatch.setattr(heartbeat, "_BOOT_ID", boot)
    write_beat(beat_file(tmp_path, "recorder"), time.monotonic())
    assert verdict("recorder", tmp_path)[0]
    boot.write_text("second\n")
    assert verdict("recorder", tmp_path) == (False, "recorder has not beaten since this machine started")


def test_every_beat_has_one_length_so_that_no_reader_sees_two(tmp_path) -> None:
    path = beat_file(tmp_path, "gateway")
    sizes = set()
    for now_s in (0.1, 12345.678, 99_999_999.9):
        write_beat(path, now_s)
        sizes.add(path.stat().st_size)
    assert len(sizes) == 1


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"\xff\xfe", b"boot later\n"])
def test_what_is_no_heartbeat_is_said_so(tmp_path, content) -> None:
    path = beat_file(tmp_path, "gateway")
    path.parent.mkdir()
    path.write_bytes(content)
    alive, why = verdict("gateway", tmp_path)
    assert not alive
    assert "cannot be read as a heartbeat" in why


def test_a_missing_one_says_what_that_may_mean(tmp_path) -> None:
    alive, why = verdict("gateway", tmp_path)
    assert not alive
    assert f"{tmp_path / 'gateway' / 'alive'} is missing" in why
    assert "has not started, has ended, or has no session with the broker" in why


def test_the_check_imports_next_to_nothing() -> None:
    # It runs in every container again and again, on a Raspberry Pi.
    source = Path(heartbeat.__file__).read_text(encoding="utf-8")
    assert "from services" not in source
    assert "asyncio" not in source
