"""The relay bridge between a real broker and emulated Shellys, as the controller and the devices see it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.simulator.devices.faults import Faults
from tests.support.brokers import TestBroker
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.running import TIMER_S, House, bridge, house

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)


@pytest.fixture
async def served(broker: TestBroker, tmp_path: Path) -> AsyncIterator[House]:
    async with house(broker, tmp_path) as devices, bridge(devices):
        yield devices


async def test_a_command_flips_the_output_and_the_state_says_so_after_read_back(served: House) -> None:
    wish = served.command("p1", on=False)
    state = await served.state("p1", on=False, command_id=wish)
    assert state["timer_s"] == pytest.approx(TIMER_S, abs=0.5)
    assert state["fault"] is None
    assert not served.p1.load.closed
    await served.state("p1", on=False, confirmed_by="power")
    wish = served.command("p1", on=True)
    state = await served.state("p1", on=True, command_id=wish, confirmed_by="readback")
    assert state["timer_s"] is None
    assert served.p1.load.closed
    assert served.p1.switch.timer_left_s is None


async def test_states_are_retained_and_not_repeated_while_nothing_changes(served: House) -> None:
    wish = served.command("p1", on=False)
    await served.state("p1", on=False, command_id=wish, confirmed_by="power")
    published = len(served.states("p1"))
    for _ in range(3):
        served.command("p1", on=False, command_id=wish)
        await served.reads_again("p1")
    assert len(served.states("p1")) == published


async def test_readings_of_one_round_carry_one_time(served: House) -> None:
    reading = await served.reads_again("p1")
    assert (reading["power_w"], reading["voltage_v"], reading["energy_wh"]) == (120.0, 230.0, 42.5)
    assert reading["device"] == f"shelly_gen2 {served.p1.address}"
    await wait_for(lambda: len(served.readings("p2")) >= 5)
    both = {reading["ts"] for reading in served.readings("p1")} & {reading["ts"] for reading in served.readings("p2")}
    assert len(both) >= 4


async def test_renewals_keep_the_unsafe_state_beyond_the_devices_timer_and_when_they_stop_the_bridge_lets_go(served: House) -> None:
    wish = served.command("p1", on=False, hold_s=2.0)
    await served.state("p1", on=False, command_id=wish)
    for _ in range(int(TIMER_S / 0.5) + 1):
        await asyncio.sleep(0.5)
        served.command("p1", on=False, hold_s=2.0, command_id=wish)
    assert not served.p1.load.closed
    assert [closed for closed, _ in served.p1.load.moves] == [True, False], "P1 never flapped"
    state = await served.state("p1", on=True, within_s=TIMER_S - 0.5)
    assert state["command_id"] is None
    assert served.p1.load.closed


async def test_each_position_lets_go_by_itself(served: House) -> None:
    served.command("p2", on=True, hold_s=0.5)
    held = served.command("p1", on=False, hold_s=20.0)
    await served.state("p2", on=True)
    await served.state("p2", on=False, within_s=2)
    assert (await served.state("p1", on=False))["command_id"] == held


async def test_a_wall_switch_is_told_and_the_fresh_wish_holds(served: House) -> None:
    served.command("p1", on=False)
    await served.state("p1", on=False, confirmed_by="power")
    served.p1.switch.put(on=True, source="wall", toggle_after_s=None)
    await wait_for(lambda: any("found on though off was set" in error["message"] for error in served.errors()))
    await served.state("p1", on=False, fault=None)


async def test_a_welded_contact_is_announced(served: House) -> None:
    await served.p1.suffer(Faults(welded=True))
    served.command("p1", on=False)
    state = await served.state("p1", on=False, fault="welded contact")
    assert state["confirmed_by"] == "readback"


async def test_a_command_from_another_time_is_dropped_with_a_report(served: House) -> None:
    served.command("p1", on=False, hold_s=5, age_s=60)
    await wait_for(lambda: any("it is 60 s old" in error["message"] for error in served.errors()))
    served.command("p2", on=True, hold_s=5, age_s=-60)
    await wait_for(lambda: any(error["field"] == "p2.ts" for error in served.errors()))
    await served.reads_again("p1")
    assert served.p1.load.closed
    assert not served.p2.load.closed


async def test_a_command_for_a_position_without_a_relay_is_refused_by_name(served: House) -> None:
    served.command("p3", on=False)
    await wait_for(lambda: any(error["message"] == "no relay is configured at p3" for error in served.errors()))


async def test_the_devices_boot_into_the_safe_state_from_now_on(broker: TestBroker, tmp_path: Path) -> None:
    async with house(broker, tmp_path) as devices:
        devices.p1.switch.configure({"initial_state": "restore_last"})
        devices.p2.switch.configure({"initial_state": "on"})
        async with bridge(devices):
            assert devices.p1.switch.config.initial_state == "on"
            assert devices.p2.switch.config.initial_state == "off"


async def test_a_clean_stop_brings_the_relays_into_their_safe_state(broker: TestBroker, tmp_path: Path) -> None:
    async with house(broker, tmp_path) as devices:
        async with bridge(devices):
            devices.command("p1", on=False)
            devices.command("p2", on=True)
            await devices.state("p1", on=False)
            await devices.state("p2", on=True)
        assert devices.p1.load.closed
        assert not devices.p2.load.closed
        await devices.state("p1", on=True, command_id=None)


async def test_a_stop_in_the_middle_of_a_command_still_ends_safe(broker: TestBroker, tmp_path: Path) -> None:
    async with house(broker, tmp_path) as devices:
        async with bridge(devices):
            await devices.state("p1", on=True)
            await devices.p1.suffer(Faults(delay_s=0.3))
            devices.command("p1", on=False)
            await wait_for(lambda: not devices.p1.load.closed)
        assert devices.p1.load.closed


PROCESS = f"""
from functools import partial
from services.bus.runtime import standalone
from services.relay_bridge.service import run
standalone("relay_bridge", partial(run, device_timer_s={TIMER_S}))
"""


@asynccontextmanager
async def process(devices: House) -> AsyncIterator[None]:
    """The bridge as a process of its own, killed at the end."""
    arguments = ["-c", PROCESS, "--config", str(devices.var / "station.yaml"), "--var", str(devices.var / "state")]
    running = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        yield
    finally:
        os.kill(running.pid, signal.SIGKILL)
        await running.wait()


async def test_killed_the_devices_own_timer_flips_back_and_a_restart_in_mid_event_does_not_flap(broker: TestBroker, tmp_path: Path) -> None:
    async with house(broker, tmp_path) as devices:
        async with process(devices):
            await devices.state("p1", on=True, within_s=60)
            wish = devices.command("p1", on=False)
            await devices.state("p1", on=False, command_id=wish)
        moves = len(devices.p1.load.moves)
        heard = len(devices.states("p1"))
        async with process(devices):
            await wait_for(lambda: len(devices.states("p1")) > heard, 60, what="the restarted bridge")
            devices.command("p1", on=False, command_id=wish)
            await devices.state("p1", on=False, command_id=wish)
            assert len(devices.p1.load.moves) == moves, "the restart did not move the contact"
        await wait_for(lambda: devices.p1.load.closed, TIMER_S + 1, what="the device's own timer")
