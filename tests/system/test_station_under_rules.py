"""The whole simulated station at the container's broker: each service with its own password, and nothing that it needs forbidden."""

import json
import os
import re
import subprocess

import pytest
import requests

from services.bus import access
from services.bus.access import matches
from services.bus.runtime import load_station
from tests.support.guarded import UserClient, guarded
from tests.support.needs import need_mosquitto_pub
from tests.support.ports import free_port
from tests.support.sps import sps_run, station_file, wait_for

EVENT = json.dumps({"id": "by-hand", "start": "now", "duration": "PT20M"})
USER_OF = {"controller-standby": "controller", "cli": "operator"}
"""Who has another name than its user."""


@pytest.fixture
def file(tmp_path):
    return station_file(
        tmp_path,
        broker={"start": False},
        positions={"p4": {"sensor": "ina260", "bus": f"tcp:127.0.0.1:{free_port()}"}},
        home_assistant={"enabled": True},
        simulation={"speed": 60, "seed_days": 12},
    )


def test_an_event_runs_from_mosquitto_pub_to_its_report_and_nothing_is_forbidden(tmp_path, file, monkeypatch) -> None:
    need_mosquitto_pub()
    station = load_station(file)
    with guarded(tmp_path, station, port=station.broker.port) as broker, sps_run(file, tmp_path / "var", wait_s=90) as running:
        wait_for(lambda: running.relay_is_on("p1"), within_s=30, what="the load is on the grid")
        with UserClient(broker, "operator") as operator:
            operator.subscribe("sps/demo/#")
            # As in the container: the client finds its login in the folder that is mounted for it.
            subprocess.run(
                ["mosquitto_pub", "-p", str(broker.port), "-t", "sps/demo/event/command", "-m", EVENT],
                env={**os.environ, "XDG_CONFIG_HOME": str(broker.secrets / "mosquitto" / "client")},
                check=True,
                timeout=10,
            )
            wait_for(lambda: operator.payloads("sps/demo/event/by-hand"), within_s=20, what="the event to be accepted")
            wait_for(lambda: not running.relay_is_on("p1"), within_s=30, what="P1 opens")
        broker.kill()
        broker.start()
        with UserClient(broker, "operator") as operator, UserClient(broker, "home_assistant_core") as home:
            operator.subscribe("sps/demo/#")
            home.subscribe("#")
            wait_for(lambda: final_report(running), within_s=90, what="the final report")
            wait_for(lambda: operator.payloads("sps/demo/event/by-hand/performance"), within_s=10, what="the figures on the bus")
            wait_for(lambda: home.payloads("homeassistant/sensor/demo_soc/config"), within_s=10, what="Home Assistant's entities")
            home.publish("sps/demo/home_assistant/mode/set", "automatic")
            wait_for(lambda: operator.payloads("sps/demo/controller/override"), within_s=10, what="the mode chosen in Home Assistant")
            home.publish("sps/demo/relay/p2/command", "{}")
            refused = running.sps("event", "schedule", "now", "--duration", "PT5M", "--id", "by-sps")
            assert refused.returncode == 1
            assert "it wants a user and password, and there is none for us; run sps setup" in refused.stderr
            monkeypatch.setenv("SPS_VAR", str(tmp_path / "var"))
            accepted = running.sps("event", "schedule", "now", "--duration", "PT5M", "--id", "by-sps")
            assert accepted.returncode == 0, accepted.stderr
            states = {name: status(f"sps/demo/service/{name}/status", operator) for name in access.SERVICES}
            assert set(states.values()) == {"online"}, states
        subscriptions = re.findall(r" sps-demo-([a-z0-9_-]+?)(?:-[0-9a-f]{8})? [012] (\S+)$", broker.log, re.MULTILINE)
    assert [line for line in broker.denied if "'sps/demo/relay/p2/command'" not in line] == []
    assert len(broker.denied) == 1, "what Home Assistant tried shows that the log would tell"
    rights = {one.user: one for one in access.rights(station)}
    assert {name for name, _ in subscriptions} >= set(access.SERVICES) - {"simulator"}
    for name, wanted in subscriptions:
        # Mosquitto grants every subscription and then passes nothing on: a service would wait in vain.
        may = rights[USER_OF.get(name, name)].reads
        assert any(matches(pattern, wanted.replace("+", "any")) for pattern in may), f"{name} may not read {wanted}"


def status(topic, client) -> str:
    return json.loads(client.payloads(topic)[-1])["state"] if client.payloads(topic) else "silent"


def final_report(running):
    answer = requests.get(f"{running.recorder}/api/events/by-hand/report", timeout=5)
    return answer.json() if answer.ok and answer.json()["final"] else None
