"""Home Assistant is told nothing unless one line asks for it."""

from pathlib import Path

import pytest

from services.cli.supervisor import wanted
from services.core.config.load import ConfigError, parse_station

SHIPPED = Path("config/station.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("line", "runs"), [("", False), ("home_assistant: {enabled: true}", True), ("home_assistant: {}", False)])
def test_one_line_turns_it_on(line, runs):
    station = parse_station(f"{SHIPPED}\n{line}\n")
    assert ("home_assistant" in wanted(station)) == runs
    assert station.home_assistant.prefix == "homeassistant"


@pytest.mark.parametrize("prefix", ["sps/demo", "", "a b", "#"])
def test_prefix_that_is_no_single_topic_level_is_refused(prefix):
    with pytest.raises(ConfigError, match="prefix"):
        parse_station(f'{SHIPPED}\nhome_assistant: {{enabled: true, prefix: "{prefix}"}}\n')
