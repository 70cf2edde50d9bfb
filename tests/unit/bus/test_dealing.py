"""Which container gets which secret, and no other."""

import os
from pathlib import Path

import pytest

from services.bus.provision.dealing import Undealt, deal, hands
from services.core.config.load import parse_station

SHIPPED = (Path(__file__).parents[3] / "config" / "station.yaml").read_text(encoding="utf-8")
STATION = parse_station(SHIPPED)
WITH_PASSWORD = parse_station(SHIPPED.replace("    push: true", "    secret: shelly-p1\n    push: true", 1))


@pytest.fixture
def secrets(tmp_path):
    """All that `sps setup` makes, each file with its own name in it."""
    folder = tmp_path / "secrets"
    for hand in hands(STATION):
        for name in hand.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"{name}\n")
    return folder


@pytest.fixture
def mine(monkeypatch, tmp_path):
    """Every container has its folder; files are given to nobody else, so that no test needs root."""
    for hand in hands(STATION):
        (tmp_path / "to" / hand.container).mkdir(parents=True)
    monkeypatch.setattr(os, "fchown", lambda *_: None)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    monkeypatch.setattr("services.bus.provision.dealing.unfit", lambda *_: None)


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_each_container_gets_its_own_password_and_what_it_asks_with(secrets, tmp_path, mine) -> None:
    deal(hands(STATION), secrets, tmp_path / "to")
    assert {folder.name: files(folder) for folder in (tmp_path / "to").iterdir()} == {
        "bluetti-bridge": {"mqtt/bluetti_bridge"},
        "relay-bridge": {"mqtt/relay_bridge"},
        "ina260-reader": {"mqtt/ina260_reader"},
        "controller": {"mqtt/controller"},
        "recorder": {"mqtt/recorder", "recorder/api.token", "influx/recorder.token"},
        "gateway": {"mqtt/gateway", "recorder/api.token"},
        "home-assistant": {"mqtt/home_assistant"},
        "simulator": {"mqtt/simulator"},
        "operator": {"mqtt/operator", "recorder/api.token"},
        "mosquitto": {"passwd", "acl", "client/mosquitto_pub", "client/mosquitto_sub", "ca.crt", "server.crt", "server.key"},
        "grafana": {"admin.password", "grafana.token"},
    }
    assert (tmp_path / "to/controller/mqtt/controller").stat().st_mode & 0o777 == 0o400


def test_the_key_of_the_certificate_authority_and_the_brokers_other_passwords_reach_nobody(secrets, tmp_path, mine) -> None:
    (secrets / "mosquitto/ca.key").write_text("the key\n")
    deal(hands(STATION), secrets, tmp_path / "to")
    assert not list((tmp_path / "to").rglob("ca.key"))
    assert {file.parent.parent.name for file in (tmp_path / "to").rglob("mqtt/controller")} == {"controller"}


def test_a_devices_password_reaches_the_relay_bridge_and_its_simulated_device(secrets, tmp_path, mine) -> None:
    (secrets / "shelly-p1").write_text("pass\n")
    deal(hands(WITH_PASSWORD), secrets, tmp_path / "to")
    assert {file.parent.name for file in (tmp_path / "to").rglob("shelly-p1")} == {"relay-bridge", "simulator"}


def test_a_missing_secret_is_named_with_the_field_that_wants_it_and_nothing_is_handed_out(secrets, tmp_path, mine) -> None:
    with pytest.raises(Undealt, match=r"secrets/shelly-p1 is missing: positions\.p1\.secret of the station file names it"):
        deal(hands(WITH_PASSWORD), secrets, tmp_path / "to")
    assert files(tmp_path / "to") == set()
    (secrets / "mqtt/controller").unlink()
    with pytest.raises(Undealt, match=r"mqtt/controller is missing: run sps setup"):
        deal(hands(STATION), secrets, tmp_path / "to")


def test_only_what_changed_is_written_again(secrets, tmp_path, mine) -> None:
    deal(hands(STATION), secrets, tmp_path / "to")
    assert deal(hands(STATION), secrets, tmp_path / "to") == []
    (secrets / "mosquitto/acl").write_text("other rules\n")
    assert deal(hands(STATION), secrets, tmp_path / "to") == [tmp_path / "to/mosquitto/acl"]
    assert (tmp_path / "to/mosquitto/acl").read_text() == "other rules\n"


def test_what_a_service_wrote_beside_its_secrets_stays(secrets, tmp_path, mine) -> None:
    deal(hands(STATION), secrets, tmp_path / "to")
    (tmp_path / "to/gateway/gateway").mkdir()
    (tmp_path / "to/gateway/gateway/first-password").write_text("word\n")
    deal(hands(STATION), secrets, tmp_path / "to")
    assert (tmp_path / "to/gateway/gateway/first-password").exists()


def test_a_container_that_is_not_there_gets_nothing(secrets, tmp_path, mine) -> None:
    (tmp_path / "to/controller").rmdir()
    deal(hands(STATION), secrets, tmp_path / "to")
    assert not (tmp_path / "to/controller").exists()
    assert (tmp_path / "to/recorder/mqtt/recorder").exists()
