"""The relay bridge between a real broker and emulated Shellys on Bluetooth: bleak, GATT frames, JSON-RPC."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.simulator.devices.faults import Faults
from tests.support.brokers import TestBroker
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated_ble import air, in_the_air
from tests.unit.relay_bridge.running import TIMER_S, House, bridge, house_of

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)


@pytest.fixture
async def served(broker: TestBroker, tmp_path: Path) -> AsyncIterator[House]:
    async with (
        air() as ether,
        in_the_air(ether, on=True, name="p1") as p1,
        in_the_air(ether, on=False, name="p2", mac="F0:00:00:00:00:02") as p2,
        house_of(p1, p2, broker, tmp_path) as devices,
        bridge(devices),
    ):
        yield devices


async def test_a_command_flips_the_relay_and_the_state_says_so_after_read_back(served: House) -> None:
    wish = served.command("p1", on=False)
    state = await served.state("p1", on=False, command_id=wish)
    assert state["timer_s"] == pytest.approx(TIMER_S, abs=0.5)
    assert not served.p1.load.closed
    assert served.p2.load.closed is False
    assert (await served.reads_again("p2"))["device"] == f"shelly_ble {served.p2.address}"
    assert served.p1.switch.config.initial_state == "on", "the boot state is set as over HTTP"


async def test_when_renewals_stop_the_bridge_lets_go(served: House) -> None:
    served.command("p2", on=True, hold_s=1.0)
    await served.state("p2", on=True)
    await served.state("p2", on=False, command_id=None)
    assert not served.p2.load.closed


@pytest.mark.parametrize(
    ("faults", "fault"),
    [
        (Faults(silent=True), "not answering since 20"),
        (Faults(refuse=True), "not answering since 20"),
        (Faults(half=True), "not answering since 20"),
        (Faults(nonsense=True), "not answering usably since 20"),
        (Faults(http_500=True), "not answering usably since 20"),
    ],
    ids=["silent", "not in the air", "half a frame", "nonsense", "error frame"],
)
async def test_a_sick_relay_is_unknown_says_why_and_recovers_by_itself(served: House, faults: Faults, fault: str) -> None:
    await served.p1.suffer(faults)
    await served.state("p1", on=None, fault=fault, within_s=10)
    await served.reads_again("p2")
    await served.p1.suffer(Faults())
    await served.state("p1", on=True, fault=None, within_s=15)


async def test_out_of_reach_the_devices_own_timer_flips_it_back(served: House) -> None:
    wish = served.command("p1", on=False)
    await served.state("p1", on=False, command_id=wish)
    await served.p1.suffer(Faults(refuse=True))
    await wait_for(lambda: served.p1.load.closed, TIMER_S + 1.0, what="the device's own timer")
