"""What the compose files say, without starting anything."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose.conftest import WITHOUT
from tests.compose.engine import NoEngine, program
from tests.compose.stack import ROOT

MAIN = "docker-compose.yml"
PARTS = ("compose/light.yml", "compose/tls.yml", "compose/bluetooth.yml", "compose/i2c.yml", "compose/aggregator-tls.yml")
GIVEN = {
    "SPS_BROKER_NAMES": "powerstation.local",
    "SPS_I2C_GROUP": "998",
    "SPS_AGGREGATOR_NAME": "dr.example.org",
    "SPS_AGGREGATOR_TLS": "/etc/tls",
}
PAIR = {"aggregator", "aggregator-broker"}
"""By a profile of their own."""
ONE_SHOT = {"setup", "influxdb-setup"}
COMBINATIONS = [(MAIN, *parts) for count in range(len(PARTS) + 1) for parts in itertools.combinations(PARTS, count)]
BIN = Path(sys.executable).parent


def resolved(*files: str, **environment: str) -> dict[str, Any]:
    """The whole of `files`, as docker-compose understands it."""
    try:
        compose = program("docker-compose")
    except NoEngine as why:
        if os.environ.get(WITHOUT) == "1":
            pytest.skip(f"{WITHOUT}=1: {why}")
        raise
    command = [compose, "--project-directory", str(ROOT), *(part for file in files for part in ("-f", str(ROOT / file)))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPS_", "COMPOSE_"))}
    done = subprocess.run([*command, "config"], env=kept | GIVEN | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = resolved(MAIN, *PARTS[1:])["services"]
    return found


def source(mount: str | dict[str, str]) -> str:
    """The volume or the path on the host."""
    return mount.split(":")[0] if isinstance(mount, str) else mount["source"]


def mebibytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)m", text)
    assert match is not None, text
    return int(match[1])


@pytest.mark.parametrize("files", COMBINATIONS, ids="+".join)
def test_every_combination_of_the_files_is_understood(files) -> None:
    assert "controller" in resolved(*files)["services"]


@pytest.mark.parametrize("file", [MAIN, *PARTS, "compose/apparmor.yml"])
def test_each_file_keeps_to_the_compose_specification(file) -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(ROOT / file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_dockerfile_is_clean() -> None:
    done = subprocess.run([str(BIN / "hadolint"), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_container_is_confined(services) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert not service.get("privileged", False), name
        assert service["pids_limit"] <= 128, name
        assert "mem_limit" in service, name
        assert service["logging"]["options"] == {"max-size": "2m", "max-file": "3"}, name
        assert service.get("network_mode") in (None, "none"), name


def test_only_what_hands_out_secrets_is_root_with_three_capabilities_and_without_the_house_s_network(services) -> None:
    for name, service in services.items():
        if name in ONE_SHOT:
            assert service["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
            assert service["restart"] == "no"
            assert "outside" not in service.get("networks", {})
        else:
            assert service["user"].split(":")[0] not in ("0", "root", ""), name
            assert "cap_add" not in service, name


def test_what_runs_for_long_comes_back_and_is_watched(services) -> None:
    for name, service in services.items():
        if name not in ONE_SHOT | {"sps"}:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"], name


def test_nothing_is_published_beyond_this_machine_unless_asked_and_never_the_brokers_plain_port() -> None:
    published = {name: service["ports"] for name, service in resolved(MAIN)["services"].items() if "ports" in service}
    assert published == {
        "gateway": ["127.0.0.1:8080:8080/tcp"],
        "grafana": ["127.0.0.1:3000:3000/tcp"],
        "aggregator": ["127.0.0.1:8091:8091/tcp"],
    }
    tls = resolved(MAIN, "compose/tls.yml")["services"]["mosquitto"]["ports"]
    assert tls == ["0.0.0.0:8883:8883/tcp"]


def test_the_brokers_tls_listener_is_mounted_in_place_of_none() -> None:
    def listeners(*files: str) -> list[str]:
        mounts = resolved(*files)["services"]["mosquitto"]["volumes"]
        return [source(mount).rpartition("/")[2] for mount in mounts if ":/mosquitto/extra" in mount]

    assert listeners(MAIN) == ["none"]
    assert listeners(MAIN, "compose/tls.yml") == ["tls"]


def test_each_broker_takes_up_what_is_made_anew_and_its_configuration_comes_as_a_folder(services) -> None:
    brokers = {
        "mosquitto": ("mosquitto.conf", "extra/tls/tls.conf"),
        "aggregator-broker": ("aggregator/mosquitto.conf",),
    }
    for name, (conf, *more) in brokers.items():
        runs = services[name]["command"]
        assert runs[:3] == ["sh", "/mosquitto/config/run.sh", f"/mosquitto/config/{conf}"]
        text = "".join((ROOT / "mosquitto" / one).read_text(encoding="utf-8") for one in (conf, *more))
        assert sorted(re.findall(r"^(?:password_|acl_|cert|key)file (.+)$", text, re.MULTILINE)) == sorted(runs[3:])
        # A file that git replaces would stay the old one in a container that runs.
        (folder,) = [source(mount) for mount in services[name]["volumes"] if ":/mosquitto/config" in mount]
        assert Path(folder) == ROOT / "mosquitto"


def test_the_aggregator_comes_by_its_profile_alone_and_keeps_off_the_house_s_bus() -> None:
    whole = resolved(MAIN)["services"]
    assert {name for name, service in whole.items() if service.get("profiles") == ["aggregator"]} == PAIR
    assert all(set(whole[name]["networks"]) == {"outside"} for name in PAIR)
    assert not any(set(service.get("depends_on", {})) & PAIR for name, service in whole.items() if name not in PAIR)


def test_stations_elsewhere_reach_the_aggregator_over_tls_and_no_other_way() -> None:
    whole = resolved(MAIN, "compose/aggregator-tls.yml")["services"]
    assert whole["aggregator-broker"]["ports"] == ["0.0.0.0:8884:8884/tcp"]
    assert set(whole["aggregator"]["ports"]) == {"0.0.0.0:8090:8090/tcp", "127.0.0.1:8091:8091/tcp"}
    environment = whole["aggregator"]["environment"]
    assert environment["SPS_AGGREGATOR_API_CERT_FILE"] == "tls/server.crt"
    assert environment["SPS_AGGREGATOR_API_PUBLISHED"] == "https://dr.example.org:8090"
    assert environment["SPS_AGGREGATOR_BROKER_PUBLISHED"] == "dr.example.org:8884"
    mounts = {mount.split(":")[1]: source(mount) for mount in whole["aggregator-broker"]["volumes"]}
    assert mounts["/mosquitto/extra"].endswith("/extra/aggregator-tls")


def test_only_the_inner_network_reaches_the_broker() -> None:
    whole = resolved(MAIN)
    assert whole["networks"]["bus"]["internal"] is True
    assert set(whole["services"]["mosquitto"]["networks"]) == {"bus"}
    outside = {name for name, service in whole["services"].items() if "outside" in service.get("networks", {})}
    outside -= PAIR
    assert outside == {"relay-bridge", "controller", "gateway", "grafana"}


def test_a_container_gets_its_own_secrets_and_its_own_state_and_no_other(services) -> None:
    for name, service in services.items():
        if name in ONE_SHOT:
            continue
        volumes = {source(mount) for mount in service["volumes"] if re.match(r"[a-z]", source(mount))}
        allowed = {f"{name}-{kind}" for kind in ("secrets", "state", "data")} | {"bluetooth"}
        if name == "aggregator":  # which writes what its broker reads
            allowed |= {"aggregator-broker-secrets", "aggregator-broker-state"}
        if name == "sps":  # its backup reads everybody's state, and nobody's secrets but its own
            allowed = {"operator-secrets", *(volume for volume in volumes if volume.endswith("-state"))}
        assert volumes <= allowed, name


def test_the_aggregators_broker_reads_its_passwords_and_writes_none(services) -> None:
    mounts = [mount for mount in services["aggregator-broker"]["volumes"] if source(mount) == "aggregator-broker-secrets"]
    assert mounts == ["aggregator-broker-secrets:/mosquitto/secrets:ro"]


def test_bluetooth_takes_the_system_bus_and_nothing_more(services) -> None:
    plain = resolved(MAIN)["services"]
    for name in ("bluetti-bridge", "relay-bridge"):
        more = {source(mount) for mount in services[name]["volumes"]} - {source(mount) for mount in plain[name]["volumes"]}
        assert more == {"/run/dbus/system_bus_socket", "bluetooth"}
        assert services[name]["environment"]["SPS_BLUETOOTH_LOCK"] == "/run/sps-bluetooth/lock"
    assert services["ina260-reader"]["devices"] == ["/dev/i2c-1:/dev/i2c-1"]
    assert not any("devices" in service for name, service in services.items() if name != "ina260-reader")


def test_a_station_of_ones_own_lies_where_git_and_the_images_leave_it_alone() -> None:
    said = (ROOT / ".env.example").read_text(encoding="utf-8")
    (folder,) = re.findall(r"^# SPS_CONFIG_FOLDER=\./(.+)$", said, re.MULTILINE)
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {f"/{folder}/", "/secrets/", "/.env"} <= set(ignored)
    whole = resolved(MAIN, SPS_CONFIG_FOLDER=f"./{folder}")["services"].values()
    configs = {source(mount) for service in whole for mount in service.get("volumes", []) if ":/etc/sps" in mount}
    assert configs == {str(ROOT / folder)}


def test_our_images_are_looked_for_nowhere_but_here_and_each_name_is_built_once() -> None:
    whole = resolved(MAIN)["services"].values()
    built = [service["image"] for service in whole if "build" in service]
    assert all(image.startswith("localhost/smart-power-station/") for image in built)
    assert len(built) == len(set(built))  # Compose v2 builds at once, and two of one name get in each other's way
    pulled = {service["image"] for service in whole} - set(built)
    assert not [image for image in pulled if "smart-power-station" in image]
    named = resolved(MAIN, SPS_IMAGES="registry.example.org/ours")["services"]
    assert named["controller"]["image"].startswith("registry.example.org/ours/controller:")


def test_where_apparmor_forbids_the_system_bus_the_bridges_alone_go_without_its_profile_and_keep_the_rest() -> None:
    whole = resolved(MAIN, "compose/bluetooth.yml", "compose/apparmor.yml")["services"]
    free = {name: service for name, service in whole.items() if "apparmor=unconfined" in service["security_opt"]}
    assert free.keys() == {"bluetti-bridge", "relay-bridge"}
    for name, service in free.items():
        assert sorted(service["security_opt"]) == ["apparmor=unconfined", "no-new-privileges:true"], name
        assert (service["cap_drop"], service["read_only"]) == (["ALL"], True), name


def test_images_of_others_are_pinned() -> None:
    for service in resolved(MAIN)["services"].values():
        version = service["image"].rpartition(":")[2]
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), service["image"]


def test_the_limits_fit_a_board_with_one_gigabyte_and_without_influxdb_and_grafana_one_with_half() -> None:
    limits = {
        name: mebibytes(service["mem_limit"])
        for name, service in resolved(MAIN)["services"].items()
        if name not in ONE_SHOT | PAIR | {"sps"}
    }
    # A real station has no simulator, and these two rest in 2 MB each.
    resting = limits["simulator"] + limits["home-assistant"]
    assert sum(limits.values()) - resting <= 960
    # So does the reader without a chip. With one, 512 MB hold what is used (`make bench-compose`), and not every limit at once.
    assert sum(limits.values()) - resting - limits["influxdb"] - limits["grafana"] - limits["ina260-reader"] <= 480


def test_the_page_is_told_where_it_is_published() -> None:
    gateway = resolved(MAIN, SPS_PUBLISH="0.0.0.0", SPS_PAGE_PORT="9080")["services"]["gateway"]
    assert gateway["ports"] == ["0.0.0.0:9080:8080/tcp"]
    assert gateway["environment"]["SPS_WEB_PUBLISHED"] == "0.0.0.0:9080"
