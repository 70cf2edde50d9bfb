"""A whole station in an event, at real time, while something breaks: is the load ever without a source for too long?"""

import os
import signal
import threading
import time
from contextlib import contextmanager

import psutil
import pytest
import requests

from tests.support.sps import sps_run, station_file, wait_for

pytestmark = pytest.mark.timeout(240)

DEVICE_TIMER_S = 60
SLACK_S = 10


def tell(running, what, **body):
    answer = requests.post(f"{running.station['battery']['address']}/{what}", json=body, timeout=5)
    assert answer.ok, answer.text


def relay_faults(running, position):
    """What the relay bridge said was wrong with it, from the beginning; None while nothing was."""
    rows = requests.get(
        f"{running.recorder}/api/states",
        params={"topic": f"relay/{position}/state", "start": "2020-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"},
        timeout=5,
    ).json()
    return [row["payload"]["fault"] for row in rows]


def state(running):
    """The controller's state as the page has it; nothing while the page knows none."""
    return requests.get(f"{running.page}/api/state", timeout=5).json()["controller"] or {}


def in_real_time(folder):
    return station_file(folder, simulation={"speed": 1, "seed_days": 0}, limits={"dwell_s": 0})


@pytest.fixture
def file(tmp_path):
    return in_real_time(tmp_path)


@contextmanager
def an_event(file, var):
    """A running station with P1 open for an event."""
    with sps_run(file, var) as running:
        scheduled = running.sps("event", "schedule", "now", "--duration", "PT1H", "--id", "e1")
        assert scheduled.returncode == 0, scheduled.stderr
        wait_for(lambda: not running.relay_is_on("p1"), within_s=20, what="P1 opens")
        yield running


@pytest.fixture(scope="module", autouse=True)
def killed(tmp_path_factory):
    """A station that was killed in an event, and when. The minute of its relay's timer passes while the other tests of this file run."""
    folder = tmp_path_factory.mktemp("killed")
    with an_event(in_real_time(folder), folder / "var") as running:
        simulator = psutil.Process(int(requests.get(f"{running.station['battery']['address']}/identity", timeout=5).json()["pid"]))
        tell(running, "lease", seconds=600)
        running.process.kill()
        running.process.wait()
        closed_at = []
        watch = threading.Thread(target=lambda: closed_at.append(first_seen(lambda: running.relay_is_on("p1"))))
        started = time.monotonic()
        watch.start()

        def took_s():
            watch.join(DEVICE_TIMER_S + SLACK_S)
            return closed_at[0] - started if closed_at and closed_at[0] else None

        try:
            yield running, took_s
        finally:
            tell(running, "lease", seconds=2)
    gone, _ = psutil.wait_procs([simulator], timeout=15)
    assert gone, "the house ends with its lease"


def first_seen(condition):
    """When `condition` was first true, or None."""
    deadline = time.monotonic() + DEVICE_TIMER_S + SLACK_S
    while time.monotonic() < deadline:
        if condition():
            return time.monotonic()
        time.sleep(0.2)
    return None


def assert_never_long_without_a_source(running):
    house = requests.get(f"{running.station['battery']['address']}/house", timeout=5).json()
    assert house["unserved_s"] <= SLACK_S


def test_an_output_that_dies_gives_the_load_back_within_seconds(tmp_path, file):
    with an_event(file, tmp_path / "var") as running:
        tell(running, "ac_output", on=False)
        wait_for(lambda: running.relay_is_on("p1"), within_s=SLACK_S, what="P1 closes")
        # The relay is told before the bus is: the reason follows by a moment.
        wait_for(lambda: state(running)["reason_code"] == "p3_lost", within_s=5, what="the reason is told")
        assert_never_long_without_a_source(running)


def test_a_broker_that_is_killed_comes_back_and_the_event_goes_on(tmp_path, file):
    with an_event(file, tmp_path / "var") as running:
        (broker,) = [child for child in psutil.Process(running.process.pid).children() if "mosquitto" in child.name()]
        os.kill(broker.pid, signal.SIGKILL)
        wait_for(lambda: not psutil.pid_exists(broker.pid), within_s=5, what="the broker is gone")
        wait_for(lambda: state(running).get("event_id") == "e1", within_s=20, what="the event goes on")
        accepted = wait_for(lambda: running.sps("event", "cancel", "e1").returncode == 0, within_s=30, what="commands are heard again")
        assert accepted
        wait_for(lambda: running.relay_is_on("p1"), within_s=20, what="P1 closes")
        assert_never_long_without_a_source(running)


@pytest.fixture(scope="module")
def in_event(tmp_path_factory):
    """A station in an event, for faults that it survives."""
    folder = tmp_path_factory.mktemp("in_event")
    with an_event(in_real_time(folder), folder / "var") as running:
        yield running


@pytest.mark.parametrize(
    "fault", [{"http_500": True}, {"nonsense": True}, {"half": True}, {"silent": True}, {"refuse": True}, {"delay_s": 4}]
)
def test_a_relay_that_misbehaves_is_named_and_the_station_recovers(in_event, fault):
    wait_for(lambda: relay_faults(in_event, "p1")[-1] is None, within_s=20, what="P1 is well")
    before = len(relay_faults(in_event, "p1"))
    tell(in_event, "fault", device="p1", **fault)
    wait_for(lambda: any(relay_faults(in_event, "p1")[before:]), within_s=20, what="P1's fault is told")
    assert in_event.process.poll() is None
    tell(in_event, "fault", device="p1")
    wait_for(
        lambda: (told := state(in_event)) and told["mode_confirmed"] == told["mode_commanded"], within_s=40, what="the station recovers"
    )
    assert_never_long_without_a_source(in_event)


def test_killed_with_nobody_to_start_it_again_the_relay_closes_by_its_own_timer(killed):
    running, took_s = killed
    closed_after_s = took_s()
    assert closed_after_s is not None, "the device's timer closes P1"
    assert closed_after_s <= DEVICE_TIMER_S + 1
    assert_never_long_without_a_source(running)
