"""`sps setup` without its command: what is made, what is kept, what is wrong."""

import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from services.bus.access import USERS
from services.bus.provision import Owner, Owners, State, Wishes, check, set_up
from services.bus.provision.certificates import RENEW_BEFORE, SERVER_LIFE
from services.bus.provision.hashes import fits, hashed
from services.bus.runtime import load_station
from services.bus.secrets import NoSecret
from tests.support.needs import need_mosquitto
from tests.support.sps import SHIPPED

NOW = datetime(2027, 3, 1, tzinfo=UTC)
STATION = load_station(SHIPPED)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "secrets"


def made(folder, *, station=STATION, wishes=None, now=NOW):
    return [f.part.name for f in set_up(folder, station, wishes or Wishes(), now) if f.made]


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def states(folder, *, station=STATION, wishes=None, now=NOW):
    return {f.part.name: f.look.state for f in check(folder, station, wishes or Wishes(), now) if not f.in_order}


def test_everything_is_made_once_and_then_kept(folder) -> None:
    assert set(made(folder)) == set(contents(folder))
    before = contents(folder)
    assert made(folder) == []
    assert contents(folder) == before
    assert states(folder) == {}
    assert {f"mqtt/{user}" for user in USERS} <= before.keys()


def test_no_two_secrets_are_alike_and_nobody_else_may_read_them(folder) -> None:
    made(folder)
    secrets = [data for name, data in contents(folder).items() if name.startswith(("mqtt/", "influx/", "grafana/"))]
    assert len(set(secrets)) == len(secrets)
    assert all(len(secret.strip()) >= 32 for secret in secrets)
    for path in (folder, *folder.rglob("*")):
        public = path.name == "ca.crt"
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o644 if public else 0o600), path


def test_checking_makes_nothing(folder) -> None:
    assert set(states(folder).values()) == {State.MISSING}
    assert not folder.exists()


def test_what_is_missing_is_made_and_what_is_made_of_it_is_made_anew(folder) -> None:
    made(folder)
    before = contents(folder)
    (folder / "mqtt" / "operator").unlink()
    assert states(folder)["mqtt/operator"] is State.MISSING
    assert set(made(folder)) == {"mqtt/operator", "mosquitto/passwd", "mosquitto/client/mosquitto_pub", "mosquitto/client/mosquitto_sub"}
    assert contents(folder)["mqtt/controller"] == before["mqtt/controller"]
    assert contents(folder)["mqtt/operator"] != before["mqtt/operator"]
    assert states(folder) == {}


def test_the_rules_follow_the_station_file(folder) -> None:
    made(folder)
    renamed = STATION.model_copy(update={"station": "barn"})
    assert states(folder, station=renamed) == {"mosquitto/acl": State.OLD}
    assert made(folder, station=renamed) == ["mosquitto/acl"]
    assert b"sps/barn/" in contents(folder)["mosquitto/acl"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("mqtt/controller", b""),
        ("mqtt/controller", b"one\ntwo\n"),
        ("influx/admin.token", b"\xff\xfe\x00"),
        ("ca/ca.key", b"-----BEGIN PRIVATE KEY-----\nMIGH"),
        ("mosquitto/ca.crt", b""),
        ("mosquitto/server.crt", b"half"),
        ("mosquitto/server.key", b"half"),
    ],
)
def test_a_half_written_secret_is_named_and_then_nothing_is_made(folder, name, data) -> None:
    made(folder)
    (folder / name).write_bytes(data)
    (folder / "grafana" / "admin.password").unlink()
    before = contents(folder)
    found = {f.part.name: f for f in set_up(folder, STATION, Wishes(), NOW)}
    assert found[name].look.state is State.WRONG
    assert "sps setup again" in found[name].look.detail
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["mqtt/operator", "ca/ca.key", "mosquitto/ca.crt", "mosquitto/server.key", "mosquitto/server.crt"])
def test_only_what_is_damaged_is_blamed(folder, name) -> None:
    made(folder)
    (folder / name).write_bytes(b"")
    assert [part for part, state in states(folder).items() if state is State.WRONG] == [name]


def test_a_folder_where_a_secret_should_be_is_named(folder) -> None:
    (folder / "mqtt" / "gateway").mkdir(parents=True)
    assert "is a folder" in next(f.look.detail for f in check(folder, STATION, Wishes(), NOW) if f.part.name == "mqtt/gateway")


def test_loose_permissions_are_said_and_mended(folder) -> None:
    made(folder)
    (folder / "mqtt" / "operator").chmod(0o644)
    (loose,) = [f for f in check(folder, STATION, Wishes(), NOW) if not f.in_order]
    assert loose.part.name == "mqtt/operator"
    assert "others may read it" in (loose.permissions or "")
    assert made(folder) == []
    assert states(folder) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_each_part_goes_to_its_owner(folder) -> None:
    wishes = Wishes(owners=Owners({"": Owner(1000, 1000), "mosquitto": Owner(1883, 1883), "mqtt/gateway": Owner(1001, 1001)}))
    made(folder)
    assert states(folder, wishes=wishes).keys() == contents(folder).keys()
    made(folder, wishes=wishes)
    owners = {name: (folder / name).stat().st_uid for name in contents(folder)}
    assert owners["mqtt/controller"] == owners["ca/ca.key"] == 1000
    assert owners["mosquitto/passwd"] == owners["mosquitto/client/mosquitto_pub"] == 1883
    assert owners["mqtt/gateway"] == 1001
    assert (folder / "mosquitto").stat().st_uid == 1883
    assert states(folder, wishes=wishes) == {}


def test_the_brokers_certificate_is_renewed_in_time_with_the_names_it_had(folder) -> None:
    made(folder, wishes=Wishes(names=("box.local", "192.168.1.20", "fd00::1")))
    later = NOW + SERVER_LIFE - RENEW_BEFORE + timedelta(days=1)
    assert states(folder, now=later) == {"mosquitto/server.crt": State.OLD}
    authority = contents(folder)["mosquitto/ca.crt"]
    assert made(folder, now=later) == ["mosquitto/server.crt"]
    assert contents(folder)["mosquitto/ca.crt"] == authority
    (server,) = [f for f in check(folder, STATION, Wishes(), later) if f.part.name == "mosquitto/server.crt"]
    assert server.look.detail.endswith("for localhost, 127.0.0.1, mosquitto, box.local, 192.168.1.20, fd00::1")
    assert made(folder, now=later, wishes=Wishes(names=("new.local",))) == ["mosquitto/server.crt"]


def test_an_authority_at_its_end_is_said_and_never_replaced(folder) -> None:
    made(folder)
    found = states(folder, now=NOW + timedelta(days=3660))
    assert found["mosquitto/ca.crt"] is State.WRONG


def test_without_the_authoritys_key_all_goes_on_until_something_must_be_signed(folder) -> None:
    made(folder)
    (folder / "ca" / "ca.key").unlink()
    assert states(folder) == {}
    assert made(folder) == []
    with pytest.raises(NoSecret, match="only it can sign"):
        made(folder, wishes=Wishes(names=("new.local",)))


def test_a_certificate_of_somebody_else_is_left_alone(folder, tmp_path) -> None:
    made(folder)
    made(tmp_path / "other")
    strange = contents(tmp_path / "other")
    for name in ("server.crt", "server.key"):
        (folder / "mosquitto" / name).write_bytes(strange[f"mosquitto/{name}"])
    assert states(folder)["mosquitto/server.crt"] is State.WRONG
    assert made(folder) == []
    assert contents(folder)["mosquitto/server.crt"] == strange["mosquitto/server.crt"]


def test_a_hash_fits_its_password_only_and_is_salted() -> None:
    kept = hashed("secret")
    assert fits("secret", kept)
    assert not fits("Secret", kept)
    assert hashed("secret") != kept
    for broken in ("", "$7$", "secret", "$6$101$AAAA$BBBB", "$7$x$AAAA$BBBB", "$7$101$?$?"):
        assert not fits("secret", broken)


def test_mosquittos_own_tool_makes_what_we_accept(tmp_path) -> None:
    file = tmp_path / "passwd"
    need_mosquitto()
    subprocess.run(["mosquitto_passwd", "-b", "-c", file, "u", "secret"], check=True, capture_output=True)
    assert fits("secret", file.read_text().strip().split(":", 1)[1])
