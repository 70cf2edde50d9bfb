"""The examples of docs/api.md do what it says, typed as they stand there."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.access import GuardedHouse
from tests.support.needs import need_curl

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
COMMANDS = re.findall(r"^curl .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedHouse]:
    need_curl()
    with GuardedHouse(tmp_path_factory.mktemp("house")) as house:
        yield house


def typed(house: GuardedHouse, command: str, *options: str) -> str:
    token = house.token("read", "events", "preferences")
    words = shlex.split(command.replace("http://station.local:8080", house.url).replace("$T", token))
    done = subprocess.run([*words, "--silent", "--noproxy", "*", *options], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout


def answer(house: GuardedHouse, command: str) -> Any:
    return json.loads(typed(house, command))


def test_there_are_five_and_each_does_what_its_words_say(house: GuardedHouse) -> None:
    state, schedule, opt_out, reserve, stream = COMMANDS
    assert answer(house, state)["station"] == "demo"
    event = answer(house, schedule)
    assert (event["status"], event["goal"]["reduction_w"]) == ("scheduled", 150)
    assert answer(house, opt_out.replace("20260701-1600-3f9a12", event["id"]))["status"] == "opted_out"
    before = house.get("/api/preferences", headers=house.bearer("read")).json()
    assert answer(house, reserve) == {**before, "backup_reserve_pct": 40}
    assert "event: state" in typed(house, stream, "--max-time", "2")
