"""A whole station with a deferrable load: shifted out of an event and resumed after it, with the person's hand above all."""

import json

import pytest
import requests

from tests.support.plain_client import PlainClient
from tests.support.ports import free_ports
from tests.support.sps import sps_run, station_file, wait_for

SPEED = 60


@pytest.fixture
def file(tmp_path):
    washer, boiler = free_ports(2)
    return station_file(
        tmp_path,
        simulation={"speed": SPEED, "seed_days": 0},
        limits={"dwell_s": 0},
        loads={
            "washer": {"address": f"http://127.0.0.1:{washer}", "off_within": 0, "resume_within": "PT5M", "simulated_w": 300},
            "boiler": {"address": f"http://127.0.0.1:{boiler}", "off_within": 0, "resume_within": "PT5M", "simulated_w": 150},
        },
        preferences={"methods": ["shifting", "replacement"]},
    )


def is_on(running, load):
    answer = requests.get(f"{running.station['loads'][load]['address']}/rpc/Switch.GetStatus?id=0", timeout=5)
    return bool(answer.json()["output"])


def last(client, topic):
    heard = client.on(f"sps/demo/{topic}")
    return json.loads(heard[-1].payload) if heard and heard[-1].payload else {}


def test_loads_are_off_in_the_event_and_on_after_it_but_for_the_one_that_a_person_switched_on(tmp_path, file):
    with sps_run(file, tmp_path / "var") as running, PlainClient("127.0.0.1", running.mqtt_port) as client:
        wait_for(lambda: is_on(running, "washer") and last(client, "load/washer/state").get("on"), within_s=20, what="the washer runs")
        scheduled = running.sps("event", "schedule", "now", "--duration", "PT20M", "--id", "e1")
        assert scheduled.returncode == 0, scheduled.stderr
        wait_for(lambda: not is_on(running, "washer") and not is_on(running, "boiler"), within_s=20, what="the loads are off")
        wait_for(lambda: "shifting" in last(client, "controller/state").get("methods", []), within_s=10, what="the method to be told")
        assert "washer is off until" in last(client, "controller/state")["reason"]
        answer = requests.post(f"{running.station['battery']['address']}/press", json={"device": "boiler"}, timeout=5)
        assert answer.ok, answer.text
        wait_for(lambda: last(client, "load/boiler/shift").get("stage") == "left", within_s=20, what="the boiler to be left alone")
        assert is_on(running, "boiler")
        assert not is_on(running, "washer")
        wait_for(lambda: is_on(running, "washer"), within_s=60, what="the washer resumes")
        assert last(client, "event/e1")["status"] == "completed"
        shift = wait_for(
            lambda: (told := last(client, "load/washer/shift")).get("shifted_wh", 0) > 20 and told,
            within_s=60,
            what="its energy is measured",
        )
        assert shift["stage"] == "resumed"
        assert shift["before_w"] == pytest.approx(300, abs=2)
        assert is_on(running, "boiler")
        assert [last(client, f"load/{load}/state")["fault"] for load in ("washer", "boiler")] == [None, None]
