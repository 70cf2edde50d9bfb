"""The relay bridge between a real broker and emulated Kasa plugs, over python-kasa and TCP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.simulator.devices.faults import Faults
from tests.support.brokers import TestBroker
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated_kasa import kasa_plug
from tests.unit.relay_bridge.running import TIMER_S, House, bridge, house_of

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)


@asynccontextmanager
async def kasa_house(broker: TestBroker, var: Path, **configured: Any) -> AsyncIterator[House]:
    async with (
        kasa_plug(on=True, name="p1") as p1,
        kasa_plug(on=False, name="p2") as p2,
        house_of(p1, p2, broker, var, **configured) as devices,
    ):
        yield devices


@pytest.fixture
async def served(broker: TestBroker, tmp_path: Path) -> AsyncIterator[House]:
    async with kasa_house(broker, tmp_path) as devices, bridge(devices):
        yield devices


async def test_a_command_flips_the_plug_and_the_state_says_so_after_read_back(served: House) -> None:
    wish = served.command("p1", on=False)
    state = await served.state("p1", on=False, command_id=wish)
    assert state["timer_s"] == pytest.approx(TIMER_S, abs=1.0)
    assert not served.p1.load.closed
    reading = await served.reads_again("p2")
    assert (reading["power_w"], reading["voltage_v"]) == (0.0, 230.0)
    assert reading["device"] == f"kasa {served.p2.address}"


async def test_renewals_keep_the_unsafe_state_beyond_the_plugs_countdown_without_flapping(served: House) -> None:
    wish = served.command("p1", on=False, hold_s=2.0)
    await served.state("p1", on=False, command_id=wish)
    for _ in range(int(TIMER_S / 0.5) + 2):
        await asyncio.sleep(0.5)
        served.command("p1", on=False, hold_s=2.0, command_id=wish)
    assert not served.p1.load.closed
    assert [closed for closed, _ in served.p1.load.moves] == [True, False]
    await served.state("p1", on=True, command_id=None, within_s=TIMER_S)


async def test_cut_off_from_the_bridge_the_plugs_own_countdown_flips_it_back(served: House) -> None:
    wish = served.command("p1", on=False)
    await served.state("p1", on=False, command_id=wish)
    await served.p1.device.drop_connections()
    served.p1.device._faults = served.p1.device._faults.model_copy(update={"silent": True})
    await wait_for(lambda: served.p1.load.closed, TIMER_S + 1.0, what="the plug's own countdown")


async def test_that_plugs_have_no_boot_state_is_reported_once_each(
    broker: TestBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> int:
        return sum("after a power cut" in record.getMessage() for record in caplog.records)

    async with kasa_house(broker, tmp_path) as devices, bridge(devices):
        await devices.reads_again("p1")
        await devices.reads_again("p2")
        assert told() == 2
        await devices.p1.device.power(False)
        await devices.state("p1", on=None)
        await devices.p1.device.power(True)
        await devices.state("p1", on=True)
    assert told() == 2


async def test_a_plug_without_a_timer_by_the_configurations_word_runs_none_and_is_let_go_of_by_the_bridge(
    broker: TestBroker, tmp_path: Path
) -> None:
    async with kasa_house(broker, tmp_path, deadman="none") as devices, bridge(devices):
        wish = devices.command("p1", on=False, hold_s=1.0)
        state = await devices.state("p1", on=False, command_id=wish, fault=None)
        assert state["timer_s"] is None
        await wait_for(lambda: devices.p1.load.closed, what="the bridge lets go")


async def test_a_plug_that_moved_is_found_again_by_its_id_at_one_of_its_other_addresses(
    broker: TestBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.relay_bridge.located.SEARCH_AFTER_S", 0.5)
    port = free_port()
    async with kasa_house(broker, tmp_path, also_at=[f"kasa://127.0.0.1:{port}"]) as devices, bridge(devices):
        await devices.reads_again("p1")
        await devices.p1.suffer(Faults(refuse=True))
        await devices.state("p1", on=None)
        devices.p1.device._port = port  # type: ignore[attr-defined]
        await devices.p1.suffer(Faults())
        await devices.state("p1", on=True, within_s=15)
        assert (await devices.reads_again("p1"))["device"] == f"kasa kasa://127.0.0.1:{port}"
