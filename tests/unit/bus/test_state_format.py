"""State folders over upgrades and downgrades: brought forward step by step, refused by an older version."""

import json
from pathlib import Path

import pytest
from hypothesis import given, strategies

from services.bus import state_format
from services.bus.state_format import StateFolderError, StateTooNew, admit, current, stamped


def rename(old: str, new: str):
    """A step that renames a file, and finds it done when it is called again."""

    def step(folder: Path) -> None:
        if (folder / old).exists():
            (folder / old).rename(folder / new)

    return step


STEPS = {"gateway": (rename("a", "b"), rename("b", "c"))}


def test_a_new_folder_is_stamped_with_the_form_of_this_version(tmp_path) -> None:
    admit(tmp_path, ["gateway", "recorder"], STEPS)
    assert stamped(tmp_path / "gateway")[0] == 3
    assert stamped(tmp_path / "recorder")[0] == 1


def test_a_folder_from_before_the_stamps_is_brought_forward_through_every_step(tmp_path) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "a").write_text("kept")
    admit(tmp_path, ["gateway"], STEPS)
    assert (tmp_path / "gateway" / "c").read_text() == "kept"
    assert stamped(tmp_path / "gateway")[0] == current("gateway", STEPS) == 3


@given(broken_at=strategies.integers(0, 1))
def test_what_was_interrupted_goes_on_where_it_was(tmp_path_factory, broken_at: int) -> None:
    var = tmp_path_factory.mktemp("var")
    (var / "gateway").mkdir()
    (var / "gateway" / "a").write_text("kept")

    def fails(_: Path) -> None:
        raise OSError("the disk is full")

    with pytest.raises(StateFolderError, match=rf"cannot be brought from form {broken_at + 1} to 3: the disk is full"):
        admit(var, ["gateway"], {"gateway": (*STEPS["gateway"][:broken_at], fails, *STEPS["gateway"][broken_at + 1 :])})
    admit(var, ["gateway"], STEPS)
    assert (var / "gateway" / "c").read_text() == "kept"


def test_a_newer_folder_is_refused_and_nothing_is_touched(tmp_path) -> None:
    for name in ("gateway", "recorder"):
        (tmp_path / name).mkdir()
    (tmp_path / "gateway" / "a").write_text("old")
    (tmp_path / "recorder" / "format.json").write_text(json.dumps({"format": 2, "software": "9.0.0"}))
    with pytest.raises(StateTooNew, match=r"recorder was written by version 9\.0\.0 \(form 2, this version knows 1\); install 9\.0\.0"):
        admit(tmp_path, ["gateway", "recorder"], STEPS)
    assert (tmp_path / "gateway" / "a").exists()
    assert not (tmp_path / "gateway" / "format.json").exists()


def test_a_damaged_stamp_is_named(tmp_path) -> None:
    (tmp_path / "gateway").mkdir()
    for content in ("", "[]", '{"format": "2"}', '{"format": 0, "software": ""}', "\xff"):
        (tmp_path / "gateway" / "format.json").write_text(content)
        with pytest.raises(StateFolderError, match=r"format\.json is damaged; if this version wrote"):
            admit(tmp_path, ["gateway"])


def test_a_half_restored_folder_is_not_started_on(tmp_path) -> None:
    (tmp_path / "controller").mkdir()
    (tmp_path / "controller" / state_format.RESTORING).touch()
    with pytest.raises(StateFolderError, match="run `sps restore` with the same file again"):
        admit(tmp_path, ["controller"])


def test_a_full_disk_at_an_upgrade_stops_no_service_whose_folder_is_in_its_form(tmp_path, monkeypatch, caplog) -> None:
    (tmp_path / "controller").mkdir()
    (tmp_path / "controller" / "format.json").write_text(json.dumps({"format": 1, "software": "0.0.1"}))

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(state_format, "write_atomic", full)
    admit(tmp_path, ["controller"])
    assert "No space left on device" in caplog.text
    with pytest.raises(StateFolderError, match=r"to 3: .*No space left on device"):
        admit(tmp_path, ["gateway"], STEPS)
