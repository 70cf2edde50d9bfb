"""`sps access` beside a running gateway, and on its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.access import GuardedHouse
from tests.support.sps import sps_run, station_file


@pytest.fixture
def house(tmp_path: Path) -> Iterator[GuardedHouse]:
    with GuardedHouse(tmp_path) as house:
        yield house


def sps(var: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.cli", "access", *arguments, "--var", str(var)]
    return subprocess.run(command, capture_output=True, text=True, input=typed, timeout=60, check=False)


def test_a_new_password_holds_at_once_and_logs_everybody_out(house: GuardedHouse) -> None:
    browser, first = house.browser().log_in(), house.password
    done = sps(house.var, "password", typed="four words of mine\nfour words of mine\n")
    assert done.returncode == 0, done.stderr
    assert "four words" not in done.stdout + done.stderr
    assert browser.visit("/").status_code == 303
    assert not house.first_password_file.exists()
    assert house.browser().form("/login", password=first).status_code == 401
    house.browser().log_in("four words of mine")
    assert sps(house.var, "password", typed="short\nshort\n").returncode == 2
    made = sps(house.var, "password", "--generate").stdout.strip().removeprefix("the password is now: ")
    house.browser().log_in(made)


def test_tokens_are_made_listed_and_revoked_while_it_runs(house: GuardedHouse) -> None:
    word = sps(house.var, "token", "make", "evening script", "-s", "read", "-s", "events").stdout.strip()
    headers = {"Authorization": f"Bearer {word}"}
    assert house.get("/api/state", headers=headers).status_code == 200
    assert house.post("/api/events", {"start": "now"}, headers=headers).status_code == 201
    assert house.get("/access", headers=headers).status_code == 403
    listed = sps(house.var, "token", "list").stdout
    assert "evening script" in listed
    assert "read, events" in listed
    assert word not in listed
    token_id = listed.split()[0]
    assert sps(house.var, "token", "revoke", token_id).returncode == 0
    assert house.get("/api/state", headers=headers).status_code == 401
    again = sps(house.var, "token", "revoke", token_id)
    assert (again.returncode, "there is no token" in again.stderr) == (1, True)
    refused = sps(house.var, "token", "make", "x", "-s", "everything")
    assert (refused.returncode, "choose from read" in refused.stderr) == (2, True)


def test_it_mends_a_damaged_record(house: GuardedHouse) -> None:
    browser = house.browser().log_in()
    house.store.path.write_text("{")
    assert "sps access password" in sps(house.var, "token", "list").stderr
    mended = sps(house.var, "password", typed="four words of mine\nfour words of mine\n")
    assert (mended.returncode, "without its tokens" in mended.stderr) == (0, True)
    assert browser.visit("/").status_code == 303
    house.browser().log_in("four words of mine")


def test_logging_out_everybody(house: GuardedHouse) -> None:
    browser = house.browser().log_in()
    assert sps(house.var, "logout").returncode == 0
    assert browser.visit("/").status_code == 303


def test_a_folder_that_no_station_used_is_named(tmp_path: Path) -> None:
    refused = sps(tmp_path / "nowhere", "token", "list")
    assert (refused.returncode, "--var" in refused.stderr) == (2, True)


def test_sps_run_says_where_the_first_password_lies_and_comes_up_behind_it(tmp_path: Path) -> None:
    file = station_file(tmp_path, web={"password": True}, simulation={"seed_days": 0})
    with sps_run(file, tmp_path / "var") as running:
        first = tmp_path / "secrets" / "gateway" / "first-password"
        assert f"the first password lies in {first}" in running.output()
        assert first.read_text().strip() not in running.output()
        assert requests.get(f"{running.page}/api/state", timeout=5).status_code == 401
