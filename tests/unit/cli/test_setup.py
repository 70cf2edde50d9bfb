"""`sps setup` as a person types it."""

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from tests.support.sps import SHIPPED

RUNNER = CliRunner()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "secrets"


def sps(folder, *words, config=SHIPPED):
    return RUNNER.invoke(app, ["setup", "--config", str(config), "--secrets", str(folder), *words])


def test_it_says_where_each_thing_lies_and_never_what_it_is(folder) -> None:
    told = sps(folder)
    assert told.exit_code == 0, told.output
    secrets = [path for path in folder.rglob("*") if path.is_file()]
    for path in secrets:
        assert path.relative_to(folder).as_posix() in told.output
        for line in path.read_text().splitlines():
            assert line not in told.output or len(line) < 12, path
    again = sps(folder)
    assert again.exit_code == 0
    assert "made" not in again.output


def test_check_says_what_is_missing_and_makes_nothing(folder) -> None:
    told = sps(folder, "--check")
    assert told.exit_code == 1
    assert "are not in order; run sps setup" in told.output
    assert not folder.exists()
    assert sps(folder).exit_code == 0
    right = sps(folder, "--check")
    assert (right.exit_code, right.output.splitlines()[-1]) == (0, "all is in order")


def test_a_damaged_secret_is_named(folder) -> None:
    sps(folder)
    (folder / "mqtt" / "controller").write_text("")
    for words in ((), ("--check",)):
        told = sps(folder, *words)
        assert told.exit_code == 1
        assert f"cannot be used: {folder / 'mqtt' / 'controller'}" in told.output


def test_a_wrong_station_file_is_told_first_and_nothing_is_made(folder, tmp_path) -> None:
    wrong = tmp_path / "station.yaml"
    wrong.write_text(SHIPPED.read_text().replace("timezone: Europe/Paris", "timezone: Paris"))
    told = sps(folder, config=wrong)
    assert told.exit_code == 2
    assert "timezone" in told.output
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--name", "not a name"), "is neither a host name nor an IP address"),
        (("--name", "-x"), "is neither a host name nor an IP address"),
        (("--owner", "root"), "write numbers, such as 1000:1000"),
        (("--owner", "mosquitto=1883"), "write numbers, such as 1000:1000"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder, words, said) -> None:
    told = sps(folder, *words)
    assert told.exit_code == 2
    assert said in told.output
    assert not folder.exists()


def test_a_changed_station_file_says_that_the_broker_must_read_its_rules(folder, tmp_path) -> None:
    sps(folder)
    other = tmp_path / "station.yaml"
    other.write_text(SHIPPED.read_text().replace("station: demo ", "station: barn "))
    told = sps(folder, config=other)
    assert "made anew  mosquitto/acl" in told.output
    assert "restart it" in told.output


def test_names_come_from_the_surroundings_too_and_are_kept(folder, monkeypatch) -> None:
    monkeypatch.setenv("SPS_BROKER_NAMES", "powerstation.local 192.168.1.20")
    assert sps(folder).exit_code == 0
    monkeypatch.setenv("SPS_BROKER_NAMES", "")
    assert "mosquitto, powerstation.local, 192.168.1.20" in sps(folder, "--check").output


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path) -> None:
    (tmp_path / "secrets").write_text("a file")
    told = sps(tmp_path / "secrets" / "inside")
    assert told.exit_code == 1
    assert "Traceback" not in told.output
