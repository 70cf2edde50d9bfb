"""The pair in containers: the aggregator by its profile, a station enrolled beside it, an event called there. In the order of the file."""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from services.bus.uplink.batches import stations_path
from services.core.config.aggregator import Aggregator
from tests.compose.engine import MIB
from tests.compose.stack import LIGHT, ROOT, Stack
from tests.support.certificates import Authority
from tests.support.ports import free_port, free_ports
from tests.support.waiting import wait_until

PAIR = ("aggregator", "aggregator-broker")
HOUSE = ("simulator", "bluetti-bridge", "relay-bridge", "ina260-reader", "controller", "recorder", "gateway")


@pytest.fixture(scope="module")
def pair(make_stack: Callable[..., Stack]) -> Iterator[Stack]:
    """A simulated station and an aggregator that knows nobody, up and healthy."""

    def sharing(station: dict[str, Any]) -> None:
        station["preferences"]["sharing"] = "event"

    made = make_stack("pair", sharing)
    stack = replace(made, settings={"COMPOSE_PROFILES": "aggregator", "SPS_FLEET_PORT": str(free_port())})
    (stack.folder / "config/aggregator.yaml").write_text((ROOT / "config/aggregator.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    stack.compose("build", "aggregator", timeout_s=1500)
    try:
        stack.compose("up", "--detach", *PAIR, *HOUSE)
        for service in PAIR:
            wait_until(lambda service=service: stack.health(service) == "healthy", 60, what=f"{service} to be healthy")  # type: ignore[misc]
        yield stack
    finally:
        stack.remove()


def sps(stack: Stack, *arguments: str) -> str:
    """`sps` in the aggregator's container."""
    return stack.exec("aggregator", "sps", *arguments)


def fleet_page(stack: Stack, visitor: requests.Session) -> str:
    """The fleet's page; whoever is not yet logged in does so with the first password."""
    url = f"http://127.0.0.1:{stack.settings['SPS_FLEET_PORT']}"
    answer = visitor.get(url, timeout=5)
    if answer.url == f"{url}/login":
        token = answer.text.split('name="csrf" value="')[1].split('"')[0]
        password = stack.exec("aggregator", "cat", "/secrets/aggregator/first-password").strip()
        answer = visitor.post(f"{url}/login", data={"csrf": token, "password": password}, headers={"Origin": url}, timeout=10)
        assert answer.url == f"{url}/"
    return answer.text


def test_the_aggregator_runs_as_nobody_and_its_broker_sees_no_key_of_it(pair: Stack) -> None:
    for service in PAIR:
        assert pair.exec(service, "id", "-u").strip() == "10001"
        with pytest.raises(subprocess.CalledProcessError):
            pair.exec(service, "touch", "/x")
    assert sorted(pair.exec("aggregator-broker", "ls", "/mosquitto/secrets").split()) == ["acl", "passwd"]
    with pytest.raises(subprocess.CalledProcessError):
        pair.exec("aggregator-broker", "touch", "/mosquitto/secrets/passwd")
    # The house's bus is not its own.
    networks = pair.look("aggregator")["NetworkSettings"]["Networks"]
    assert set(networks) == {"pair_outside"}


def test_a_station_is_enrolled_without_a_restart_and_an_event_called_there_opens_p1(pair: Stack) -> None:
    started = pair.look("aggregator-broker")["State"]["StartedAt"]
    environment = pair.environment() | {"COMPOSE": " ".join(pair.command())}
    script = ["sh", "compose/enrol.sh", "demo"]
    done = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    again = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (again.returncode, "already" in again.stderr) == (1, True)

    def linked() -> bool:
        return bool(pair.page("/api/sharing")["link"]["mqtt"]["state"] == "connected")

    wait_until(lambda: pair.alive("gateway"), 40, what="the gateway back")
    wait_until(linked, 30, what="the link")
    assert pair.look("aggregator-broker")["State"]["StartedAt"] == started

    pair.charge(90)
    wait_until(lambda: pair.house()["contacts"]["p1"], 30, what="P1 closed")
    called = sps(pair, "aggregator", "schedule", "now", "--duration", "PT10M", "--minimize", "--id", "evening")
    assert "evening" in called
    wait_until(lambda: not pair.house()["contacts"]["p1"], 30, what="P1 open at the simulated Shelly")
    wait_until(lambda: "1 of 1 answered" in sps(pair, "aggregator", "events"), 20, what="the answer")
    with requests.Session() as visitor:
        wait_until(lambda: "1 <small>stations</small>" in fleet_page(pair, visitor), 40, what="one station delivering, on the fleet's page")
        assert "evening" in fleet_page(pair, visitor)


def test_light_stations_join_from_the_same_image(pair: Stack) -> None:
    said = sps(pair, "fleet", "simulate", "5", "--history", "1", "--for", "5")
    assert "5" in said
    assert "fleet-00005" in sps(pair, "aggregator", "fleet")


def test_the_pair_keeps_below_its_limits(pair: Stack) -> None:
    for service in PAIR:
        used, limit = pair.used(service).memory_mib, pair.look(service)["HostConfig"]["Memory"] / MIB
        assert used < 0.8 * limit, f"{service} uses {used:.0f} of {limit:.0f} MiB"


def test_an_aggregator_without_its_broker_has_no_heartbeat_and_goes_on_when_it_is_back(pair: Stack) -> None:
    pair.engine.docker("stop", "--time", "5", pair.container("aggregator-broker"))
    wait_until(lambda: not pair.alive("aggregator"), 40, what="no heartbeat without a session")
    pair.engine.docker("start", pair.container("aggregator-broker"))
    wait_until(lambda: pair.alive("aggregator"), 40, what="the heartbeat back")
    assert pair.look("aggregator")["RestartCount"] == 0


def test_stations_elsewhere_come_over_tls_with_what_enrolment_prints_and_no_other_way(pair: Stack, tmp_path: Path) -> None:
    Authority(tmp_path).issue("server")
    for file in (tmp_path / "server.crt", tmp_path / "server.key"):
        os.chown(file, 10001, 10001)
        file.chmod(0o400)
    tmp_path.chmod(0o755)
    mqtt, api = free_ports(2)
    more = {"SPS_AGGREGATOR_NAME": "127.0.0.1", "SPS_AGGREGATOR_TLS": str(tmp_path), "SPS_PUBLISH_AGGREGATOR": "127.0.0.1"}
    more |= {"SPS_AGGREGATOR_MQTT_PORT": str(mqtt), "SPS_AGGREGATOR_API_PORT": str(api)}
    stack = replace(pair, files=(*LIGHT, "compose/aggregator-tls.yml"), settings=pair.settings | more)
    stack.compose("up", "--detach", *PAIR)
    wait_until(lambda: stack.alive("aggregator"), 40, what="a heartbeat")
    printed = sps(stack, "aggregator", "enrol", "far", "--into", "/tmp/far")
    section = Aggregator.model_validate(yaml.safe_load(printed)["aggregator"])
    assert section.mqtt is not None
    assert section.http is not None
    assert (section.mqtt.host, section.mqtt.port, section.mqtt.tls) == ("127.0.0.1", mqtt, True)
    assert section.http.url == f"https://127.0.0.1:{api}"

    ours, password = str(tmp_path / "ca.crt"), stack.exec("aggregator", "cat", f"/tmp/far/{section.mqtt.secret}").strip()
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(mqtt), "-u", "far", "-P", password, "-q", "1", "-m", "x"]
    command += ["-t", "dr/demo-network/station/far/answer"]

    def said(*options: str) -> int:
        return subprocess.run([*command, *options], capture_output=True, timeout=20, check=False).returncode

    wait_until(lambda: said("--cafile", ours) == 0, 10, what="the broker lets the station in")
    assert said() != 0
    token = stack.exec("aggregator", "cat", f"/tmp/far/{section.http.secret}").strip()

    def registers(trusted: str | None) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        url = f"https://127.0.0.1:{api}{stations_path('far')}"
        return requests.put(url, json={}, headers=headers, verify=trusted or True, timeout=10).status_code

    assert registers(ours) not in (401, 403, 404)
    with pytest.raises(requests.exceptions.SSLError):
        registers(None)
