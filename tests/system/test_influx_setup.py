"""`sps influx setup` against an emulated InfluxDB 2: what is made, that again changes nothing, and what is said when it cannot be."""

import copy
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from services.cli.main import app
from tests.support.influx2 import influx2
from tests.support.ports import free_port
from tests.support.recorder import SHIPPED

runner = CliRunner()
ROOT = Path(__file__).parents[2]


@pytest.fixture
def server():
    with influx2() as (url, state):
        yield url, state


@pytest.fixture
def secrets(tmp_path):
    """As `sps setup` leaves it: the administrator's secrets, and for the others words that no server knows."""
    folder = tmp_path / "secrets" / "influx"
    folder.mkdir(parents=True)
    for name in ("admin.password", "admin.token", "recorder.token", "grafana.token"):
        (folder / name).write_text(f"made-up-{name}\n")
        (folder / name).chmod(0o640)
    return folder


def set_up(url, secrets, *more):
    told = ["influx", "setup", "--config", str(SHIPPED), "--secrets", str(secrets.parent), "--url", url, *more]
    return runner.invoke(app, told)


def token(secrets, whose):
    return (secrets / f"{whose}.token").read_text().strip()


def rights(state, text):
    (found,) = [one for one in state.tokens.values() if one["token"] == text]
    return {(right["action"], state.buckets[right["resource"]["id"]]["name"]) for right in found["permissions"]}


def test_a_fresh_server_gets_buckets_names_and_two_tokens_of_one_right_each(server, secrets) -> None:
    url, state = server
    result = set_up(url, secrets)
    assert result.exit_code == 0, result.output
    kept = {one["name"]: [rule["everySeconds"] for rule in one["retentionRules"]] for one in state.buckets.values()}
    assert kept == {"station": [92 * 86_400], "station_long": []}
    named = {
        (one["database"], one["retention_policy"]): (state.buckets[one["bucketID"]]["name"], one["default"])
        for one in state.mappings.values()
    }
    assert named == {("sps", "raw"): ("station", True), ("sps", "long"): ("station_long", False)}
    assert rights(state, token(secrets, "recorder")) == {("write", "station"), ("write", "station_long")}
    assert rights(state, token(secrets, "grafana")) == {("read", "station"), ("read", "station_long")}
    assert (secrets / "recorder.token").stat().st_mode & 0o777 == 0o640, "owner and permissions are those that sps setup gave"
    for name in ("recorder", "grafana"):
        assert token(secrets, name) not in result.output
    assert "made-up" not in result.output


def test_again_changes_nothing(server, secrets) -> None:
    url, state = server
    set_up(url, secrets)
    before, files = copy.deepcopy(state), {name: token(secrets, name) for name in ("recorder", "grafana")}
    result = set_up(url, secrets)
    assert result.exit_code == 0, result.output
    state.points = before.points
    assert state == before
    assert files == {name: token(secrets, name) for name in files}


def test_a_token_that_was_lost_is_made_anew_and_the_old_one_ends(server, secrets) -> None:
    url, state = server
    set_up(url, secrets)
    old = token(secrets, "grafana")
    (secrets / "grafana.token").unlink()
    set_up(url, secrets)
    assert token(secrets, "grafana") != old
    assert not state.known(old)
    assert (secrets / "grafana.token").stat().st_mode & 0o777 == 0o600


def test_a_token_that_may_too_much_is_not_kept(server, secrets) -> None:
    url, state = server
    set_up(url, secrets)
    (secrets / "grafana.token").write_text(token(secrets, "admin") + "\n")
    set_up(url, secrets)
    assert rights(state, token(secrets, "grafana")) == {("read", "station"), ("read", "station_long")}


def test_a_server_that_gives_too_much_is_told(server, secrets) -> None:
    url, state = server
    state.careless = True
    result = set_up(url, secrets)
    assert result.exit_code == 1
    assert "the new token of recorder is not right: it may read, too" in result.output


def test_another_retention_is_taken_over_and_stays_when_nobody_names_one(server, secrets, monkeypatch) -> None:
    url, state = server

    def kept_days():
        return state.bucket("station")["retentionRules"][0]["everySeconds"] / 86_400

    set_up(url, secrets)
    assert "'station' is there, now kept 30 days" in set_up(url, secrets, "--keep-days", "30").output
    assert kept_days() == 30
    monkeypatch.setenv("SPS_INFLUX_KEEP_DAYS", "")  # as the containers pass it on when nobody set it
    result = set_up(url, secrets)
    assert result.exit_code == 0, result.output
    assert "'station' is there, kept 30 days" in result.output
    assert kept_days() == 30
    monkeypatch.setenv("SPS_INFLUX_KEEP_DAYS", "366")
    set_up(url, secrets)
    assert kept_days() == 366


def test_a_new_server_keeps_readings_as_long_as_is_asked_at_once(server, secrets, monkeypatch) -> None:
    url, state = server
    monkeypatch.setenv("SPS_INFLUX_KEEP_DAYS", "366")
    set_up(url, secrets)
    assert state.bucket("station")["retentionRules"][0]["everySeconds"] == 366 * 86_400


def test_the_containers_pass_on_how_long_readings_are_kept() -> None:
    whole = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert whole["services"]["influxdb-setup"]["environment"]["SPS_INFLUX_KEEP_DAYS"] == "${SPS_INFLUX_KEEP_DAYS:-}"
    assert "SPS_INFLUX_KEEP_DAYS=" in (ROOT / ".env.example").read_text(encoding="utf-8")


def test_a_bucket_that_was_made_anew_is_found_again(server, secrets) -> None:
    url, state = server
    set_up(url, secrets)
    gone = state.bucket("station")["id"]
    del state.buckets[gone]
    result = set_up(url, secrets)
    assert result.exit_code == 0, result.output
    assert [one["bucketID"] for one in state.mappings.values() if one["retention_policy"] == "raw"] == [state.bucket("station")["id"]]
    assert rights(state, token(secrets, "recorder")) == {("write", "station"), ("write", "station_long")}


def test_a_server_of_somebody_else_is_told(server, secrets) -> None:
    url, _ = server
    set_up(url, secrets)
    (secrets / "admin.token").write_text("another\n")
    result = set_up(url, secrets)
    assert result.exit_code == 1
    assert "another administrator's token than influx/admin.token" in result.output
    assert "influxd recovery auth create-operator" in result.output


@pytest.mark.parametrize(
    ("change", "says", "code"),
    [
        (lambda secrets: (secrets / "admin.token").unlink(), "`sps setup` makes it", 1),
        (lambda secrets: (secrets / "admin.password").write_text("\n"), "admin.password is missing or empty", 1),
    ],
)
def test_a_missing_secret_is_told_with_the_remedy(server, secrets, change, says, code) -> None:
    url, _ = server
    change(secrets)
    result = set_up(url, secrets)
    assert result.exit_code == code
    assert says in result.output.replace("\n", " ")


def test_no_server_and_no_address_are_told(secrets) -> None:
    result = set_up(f"http://127.0.0.1:{free_port()}", secrets, "--wait", "0")
    assert result.exit_code == 1
    assert "no InfluxDB answers at" in result.output
    result = set_up("nonsense", secrets)
    assert result.exit_code == 2
    assert "is no address" in result.output
    result = runner.invoke(app, ["influx", "setup", "--config", str(SHIPPED)])
    assert result.exit_code == 2
    assert "recorder.influx" in result.output
