"""A field changed in a station file leaves every other character as it was."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.cli import station_file
from services.core.config.load import ConfigError, parse_station

SHIPPED = Path("config/station.yaml").read_text(encoding="utf-8")
SWITCH = next(line for line in SHIPPED.splitlines() if line.startswith("  priority:"))
FIELDS = {"priority": "grid", "delay_s": "1.5", "gap_s": "null", "measured_at": '"2027-07-01T16:00:00Z"'}


def test_shipped_file_keeps_its_comments_and_gains_only_the_new_lines():
    changed = station_file.with_fields(SHIPPED, "transfer_switch", FIELDS)
    kept = [line for line in changed.splitlines() if line in SHIPPED.splitlines()]
    added = [line for line in changed.splitlines() if line not in SHIPPED.splitlines()]
    assert kept == SHIPPED.splitlines()
    assert [line.strip().split(":")[0] for line in added] == ["delay_s", "gap_s", "measured_at"]
    switch = parse_station(changed).transfer_switch
    assert (switch.priority, switch.delay_s, switch.gap_s) == ("grid", 1.5, None)
    assert station_file.with_fields(changed, "transfer_switch", FIELDS) == changed, "writing the same again changes nothing"


@pytest.mark.parametrize(
    "section",
    [
        "transfer_switch: {priority: unknown}  # mine\n",
        "transfer_switch: {}\n",
        "transfer_switch:\n",
        "transfer_switch:\n    priority: unknown # not known yet\n\n    # about the delay\n    delay_s: 3\n",
        'transfer_switch:\n  "priority": unknown',
    ],
)
def test_every_form_of_the_section_is_understood(section):
    before = SHIPPED.replace(f"transfer_switch:\n{SWITCH}\n", "")
    for text in (f"{section.rstrip()}\n{before}", f"{before}\n{section}"):
        changed = station_file.with_fields(text, "transfer_switch", FIELDS)
        assert (parse_station(changed).transfer_switch.priority, parse_station(changed).transfer_switch.delay_s) == ("grid", 1.5)
        assert [c for c in text.splitlines() if "#" in c and "priority" not in c] == [
            c for c in changed.splitlines() if "#" in c and "priority" not in c
        ]
    assert "# mine" not in section or "# mine" in changed


@given(st.floats(0, 600), st.booleans())
def test_all_else_means_the_same_as_before(delay_s, windows):
    text = SHIPPED.replace("\n", "\r\n") if windows else SHIPPED
    changed = station_file.with_fields(text, "transfer_switch", {"delay_s": f"{delay_s:.1f}"})
    before, after = yaml.safe_load(text), yaml.safe_load(changed)
    assert after["transfer_switch"].pop("delay_s") == round(delay_s, 1)
    assert after == before


def test_change_that_makes_no_station_is_refused():
    with pytest.raises(ConfigError, match="prefers the inverter"):
        station_file.with_fields(SHIPPED, "transfer_switch", {"priority": "inverter"})


def test_written_file_keeps_its_permissions(tmp_path):
    file = tmp_path / "station.yaml"
    file.write_text("old")
    file.chmod(0o640)
    station_file.write(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640)
