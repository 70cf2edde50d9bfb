"""A whole simulated station in an event that somebody changes again and again, while its devices and its bus say nonsense."""

import json

import pytest
import requests

from tests.support.plain_client import PlainClient
from tests.support.sps import sps_run, station_file, wait_for


@pytest.fixture
def file(tmp_path):
    return station_file(tmp_path, simulation={"speed": 20, "seed_days": 0}, limits={"dwell_s": 0})


def ask(running, what, **body):
    answer = requests.post(f"{running.station['battery']['address']}/{what}", json=body, timeout=5)
    assert answer.ok, answer.text


def test_amended_under_fire_the_event_ends_as_it_was_last_said_and_the_load_is_never_long_without_a_source(tmp_path, file):
    with sps_run(file, tmp_path / "var") as running, PlainClient("127.0.0.1", running.mqtt_port) as client:

        def last(topic):
            heard = client.on(f"sps/demo/{topic}")
            return json.loads(heard[-1].payload) if heard and heard[-1].payload else {}

        def command(**body):
            client.publish("sps/demo/event/command", {"id": "e1", "start": "now"} | body)
            wait_for(lambda: last("event/e1").get("revision") == body.get("revision", 0), within_s=15, what=f"{body} to be taken")
            return last("event/e1")

        ask(running, "soc", pct=80)
        wait_for(lambda: last("controller/state"), within_s=20, what="the first decision")
        first = command(duration="PT2H")
        wait_for(lambda: not running.relay_is_on("p1"), within_s=20, what="P1 opens")
        for payload in ('{"power_w":NaN}', '{"power_w":1e999,"ts":"2026-01-01T00:00:00Z","device":"x"}', "\x00", "[]", '{"ts":"never"}'):
            client.publish("sps/demo/position/p3/reading", payload, qos=0)
            client.publish("sps/demo/battery/reading", payload, qos=0)
            client.publish("sps/demo/event/e1/baseline", payload)
        ask(running, "fault", device="p1", half=True)
        wait_for(
            lambda: any("p1" in h.json["message"] for h in client.on("sps/demo/service/relay_bridge/error")), within_s=20, what="P1's fault"
        )
        longer = command(revision=1, duration="PT4H")
        assert longer["end"] > first["end"]
        ask(running, "fault", device="p1")
        command(revision=2, duration="PT4H", goal={"kind": "pledge", "reduction_w": 40})
        wait_for(lambda: last("controller/state").get("goal_w") is not None, within_s=60, what="the event to go on")
        assert last("controller/state")["phase"] == "ongoing"
        shorter = command(revision=3, duration="PT3H")
        assert first["end"] < shorter["end"] < longer["end"]
        client.publish("sps/demo/event/command", {"id": "e1", "action": "opt_out"})
        wait_for(lambda: last("event/e1").get("status") == "opted_out", within_s=15, what="the person to be heard")
        wait_for(lambda: running.relay_is_on("p1"), within_s=40, what="P1 closes")
        assert running.process.poll() is None
        house = requests.get(f"{running.station['battery']['address']}/house", timeout=5).json()
        # Station seconds; the worst of it is one silent relay, a few real seconds at twenty times the speed.
        assert house["unserved_s"] <= 20 * 10
        assert all(said["reason"] for said in (h.json for h in client.on("sps/demo/controller/state")))
