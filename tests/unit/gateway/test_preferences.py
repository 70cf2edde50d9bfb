"""Preferences come from the station file once, and from then on from their own."""

from pathlib import Path

import pytest

from services.core.config.policy import PreferencesSection
from services.gateway.preferences import PreferencesUnusable, load, save


def test_first_from_the_station_file_then_kept(tmp_path: Path) -> None:
    path = tmp_path / "preferences.json"
    assert load(path, PreferencesSection(backup_reserve_pct=30)).backup_reserve_pct == 30
    assert load(path, PreferencesSection(backup_reserve_pct=50)).backup_reserve_pct == 30
    save(path, PreferencesSection(backup_reserve_pct=40))
    assert load(path, PreferencesSection()).backup_reserve_pct == 40


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b'{"backup_reserve_pct": 300}', b'{"sharing": "everything"}'])
def test_a_broken_file_is_named_and_left_alone(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "preferences.json"
    path.write_bytes(data)
    with pytest.raises(PreferencesUnusable, match=r"preferences\.json"):
        load(path, PreferencesSection())
    assert path.read_bytes() == data
