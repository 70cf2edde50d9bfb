"""Two controllers on one station, each a process of its own, on a real broker."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from services.bus.messages.state import ControllerState
from services.controller.rival import GONE_S, Charge
from tests.support.played_house import played, station_at
from tests.support.waiting import wait_for

MOSQUITTO = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@contextlib.contextmanager
def process(file, var):
    command = [sys.executable, "-m", "services.controller", "--config", str(file), "--var", str(var), "--log-level", "warning"]
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        running.wait()


def status(plain, service):
    heard = plain.on(f"sps/demo/service/{service}/status")
    return heard[-1].json if heard and heard[-1].payload else {}


async def in_charge(house, not_=None):
    def found():
        said = house.said()
        return said[-1]["instance"] if said and said[-1]["instance"] != not_ else None

    return await wait_for(found, GONE_S + 20, what="a controller in charge")


@MOSQUITTO
async def test_the_second_stands_by_says_so_and_takes_over_the_event_when_the_first_is_killed(broker, plain, tmp_path):
    file = station_at(tmp_path, broker.port)
    async with played(plain) as house:
        with process(file, tmp_path / "a") as first:
            one = await in_charge(house)
            house.schedule("e1", duration="PT1H")
            await house.goes(on=False)
            with process(file, tmp_path / "b") as second:
                await wait_for(lambda: status(plain, "controller-standby").get("health") == "degraded", 20, what="the second to stand by")
                detail = status(plain, "controller-standby")["detail"]
                assert one in detail
                assert str(second.pid) in detail
                assert status(plain, "controller")["state"] == "online"
                assert {said["instance"] for said in house.said()} == {one}, "only one commands"
                commands = len(house.commanded())
                os.kill(first.pid, signal.SIGKILL)
                two = await in_charge(house, not_=one)
                assert str(second.pid) in two
                await wait_for(lambda: len(house.commanded()) > commands, what="the second to command")
                said = house.said()[-1]
                assert (said["event_id"], said["mode_commanded"]) == ("e1", 5), "it goes on with the event that the first had accepted"
                assert not any(command["on"] for command in house.commanded()[commands:]), "the load was not handed back in between"
                assert (await house.event_is("e1", "ongoing"))["revision"] == 0
                await wait_for(lambda: status(plain, "controller").get("state") == "online", what="the status of the one in charge")


@MOSQUITTO
async def test_of_two_that_stand_by_neither_pushes_the_other_off_and_one_takes_over(broker, plain, tmp_path):
    file = station_at(tmp_path, broker.port)

    def standing():
        return plain.on("sps/demo/service/controller-standby/status")

    def says(pid):
        return any(str(pid) in heard.json["detail"] for heard in standing() if heard.payload)

    async with played(plain) as house:
        with process(file, tmp_path / "a") as first:
            one = await in_charge(house)
            with process(file, tmp_path / "b") as second, process(file, tmp_path / "c") as third:
                await wait_for(lambda: says(second.pid) and says(third.pid), 40, what="both to stand by")
                told, spoken = len(standing()), len(house.said())
                await wait_for(lambda: len(house.said()) > spoken + 1, 30, what="the one in charge to go on speaking")
                assert len(standing()) == told, "one that is pushed off the broker would say so again and again"
                os.kill(first.pid, signal.SIGKILL)
                await in_charge(house, not_=one)

                def other_stands_by():
                    # Should both have taken over at the same moment, one of them stands back: which, they know themselves.
                    now = house.said()[-1]["instance"]
                    rest = third if f"-{second.pid}-" in now else second
                    said = status(plain, "controller-standby")
                    return now if f"({now})" in said["detail"] and f"-{rest.pid}-" in said["detail"] else None

                two = await wait_for(other_stands_by, 30, what="the other to stand by for the new one")
                spoken = len(house.said())
                await wait_for(lambda: len(house.said()) > spoken + 2, 30, what="the new one to go on speaking")
                assert {said["instance"] for said in house.said()[spoken:]} == {two}, "only one of them stays in charge"
                assert status(plain, "controller-standby")["state"] == "online", "the farewell of the one that left is not the other's"


@MOSQUITTO
async def test_one_that_stood_back_does_not_return_while_the_one_in_charge_is_off_the_broker(broker, plain, tmp_path):
    file = station_at(tmp_path, broker.port)
    async with played(plain) as house:
        with process(file, tmp_path / "a"):
            one = await in_charge(house)
            elder = house.said()[-1] | {"instance": "elder", "in_charge_since": "2026-01-01T00:00:00.000Z"}
            plain.publish("sps/demo/controller/state", elder, retain=True)
            standing = await wait_for(
                lambda: [h for h in plain.on("sps/demo/service/controller-standby/status") if h.payload and "elder" in h.json["detail"]],
                what="the younger to stand back",
            )
            assert one in standing[-1].json["detail"]
            began, spoken = time.monotonic(), len(house.said())
            await wait_for(lambda: len(house.said()) > spoken, GONE_S + 20, what="the younger to return")
            assert time.monotonic() - began > GONE_S - 2, "a moment's silence is no absence"


@MOSQUITTO
async def test_a_controller_that_is_started_again_at_once_is_nobodys_rival(broker, plain, tmp_path):
    file = station_at(tmp_path, broker.port)
    async with played(plain) as house:
        with process(file, tmp_path / "a") as first:
            one = await in_charge(house)
            first.send_signal(signal.SIGTERM)
            first.wait(10)
        with process(file, tmp_path / "a"):
            await in_charge(house, not_=one)
        assert not plain.on("sps/demo/service/controller-standby/status")


def state(instance, since, ts=T0):
    return ControllerState(
        ts=ts,
        phase="normal",
        mode_commanded=2,
        mode_confirmed=2,
        reason="",
        reason_code="resting",
        instance=instance,
        in_charge_since=since,
    )


def test_of_two_that_find_each_other_in_charge_the_later_stands_back_on_both_sides():
    for a, b in ((("x", T0), ("y", T0 + timedelta(seconds=3))), (("x", T0), ("y", T0))):
        mine, other = Charge(*a), Charge(*b)
        assert not mine.meets(state(*b), retained=False)
        assert other.meets(state(*a), retained=False)


def test_what_was_retained_before_we_began_is_no_rival_and_what_came_after_is():
    mine = Charge("me", T0)
    assert not mine.meets(state("before", T0 - timedelta(hours=1), ts=T0 - timedelta(seconds=2)), retained=True)
    assert mine.meets(state("rival", T0 - timedelta(hours=1), ts=T0 + timedelta(seconds=2)), retained=True)
    assert not mine.meets(state("me", T0), retained=False)


def test_one_that_does_not_say_who_it_is_stays():
    assert Charge("me", T0).meets(state(None, None), retained=False)
