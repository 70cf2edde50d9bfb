"""The relay bridge with the whole Shelly family: Gen1 and Gen2, two channels, passwords, push, a device that moved."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.bus.clock import SystemClock
from services.bus.runtime import Context
from services.core.config.load import ConfigError
from services.relay_bridge import located
from services.relay_bridge.service import run
from services.simulator.devices.faults import Faults
from tests.support.brokers import TestBroker
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated import PASSWORD, Emulated, shelly, two_channels, two_devices, var_with_secret
from tests.unit.relay_bridge.running import TIMER_S, House, bridge, house_of

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)

Devices = Callable[[], AbstractAsyncContextManager[tuple[Emulated, Emulated]]]
KINDS: dict[str, Devices] = {
    "gen1": lambda: two_devices(generation=1, password=PASSWORD),
    "gen2": lambda: two_devices(password=PASSWORD),
    "gen1 two channels": lambda: two_channels(generation=1, password=PASSWORD),
    "gen2 two channels": lambda: two_channels(password=PASSWORD),
}


@asynccontextmanager
async def served(broker: TestBroker, folder: Path, devices: Devices, **more: Any) -> AsyncIterator[House]:
    var = var_with_secret(folder, "relays", PASSWORD)
    async with devices() as (p1, p2), house_of(p1, p2, broker, var, secret="relays", **more) as found, bridge(found):
        yield found


@pytest.mark.parametrize("kind", KINDS)
async def test_a_command_is_carried_out_timed_held_and_let_go(broker: TestBroker, tmp_path: Path, kind: str) -> None:
    async with served(broker, tmp_path, KINDS[kind]) as devices:
        wish = devices.command("p1", on=False, hold_s=1.0)
        state = await devices.state("p1", on=False, command_id=wish, fault=None)
        assert state["timer_s"] == pytest.approx(TIMER_S, abs=1.1)
        assert not devices.p1.load.closed
        charge = devices.command("p2", on=True)
        await devices.state("p2", on=True, command_id=charge, fault=None)
        assert devices.p2.load.closed
        await devices.state("p1", on=True, command_id=None)
        assert devices.p1.load.closed
        assert devices.p1.switch.timer_left_s is None
        assert devices.p2.load.closed, "each position by itself"
        reading = await devices.reads_again("p1")
        assert (reading["power_w"], reading["energy_wh"]) == (120.0, 42.5)
        assert PASSWORD not in json.dumps([*devices.readings("p1"), *devices.states("p1"), *devices.errors()])


@pytest.mark.parametrize("kind", ["gen1", "gen2"])
async def test_the_devices_boot_into_the_safe_state_from_now_on(broker: TestBroker, tmp_path: Path, kind: str) -> None:
    async with KINDS[kind]() as (p1, p2):

        @asynccontextmanager
        async def otherwise() -> AsyncIterator[tuple[Emulated, Emulated]]:
            p1.switch.configure({"initial_state": "restore_last"})
            p2.switch.configure({"initial_state": "on"})
            yield p1, p2

        async with served(broker, tmp_path, otherwise):
            assert (p1.switch.config.initial_state, p2.switch.config.initial_state) == ("on", "off")


async def test_a_missing_secret_is_said_before_anything_starts(broker: TestBroker, tmp_path: Path) -> None:
    async with two_devices() as (p1, p2), house_of(p1, p2, broker, tmp_path, secret="relays") as devices:
        with pytest.raises(ConfigError, match=r"positions\.p1: .*secrets/relays cannot be read .*write the password into that file"):
            await run(Context(devices.station, SystemClock(), tmp_path))


async def test_push_of_a_device_that_tells_nothing_is_refused(broker: TestBroker, tmp_path: Path) -> None:
    async with two_devices(generation=1) as (p1, p2), house_of(p1, p2, broker, tmp_path, push=True) as devices:
        with pytest.raises(ConfigError, match=r"positions\.p1: push: shelly_gen1 devices tell nothing by themselves"):
            await run(Context(devices.station, SystemClock(), tmp_path))


@pytest.mark.parametrize("kind", ["gen2", "gen2 two channels"])
async def test_with_push_a_wall_switch_shows_at_once_though_polls_are_rare(broker: TestBroker, tmp_path: Path, kind: str) -> None:
    async with served(broker, tmp_path, KINDS[kind], push=True, poll_s=5.0) as devices:
        await wait_for(lambda: devices.p1.gen2.sockets.open >= 1, what="listening")
        for on in (True, False):
            devices.p2.switch.press()
            started = time.monotonic()
            await devices.state("p2", on=on, within_s=2.0)
            assert time.monotonic() - started < 1.0


async def test_a_lost_push_is_made_up_for_by_polls(broker: TestBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(broker, tmp_path, KINDS["gen2"], push=True, poll_s=0.5) as devices:
        monkeypatch.setattr(devices.p2.gen2.sockets, "notify", lambda *_: None)
        devices.p2.switch.press()
        await devices.state("p2", on=True, within_s=2.0)


async def test_a_counter_that_starts_again_does_not_show(broker: TestBroker, tmp_path: Path) -> None:
    async with served(broker, tmp_path, KINDS["gen1"]) as devices:
        assert (await devices.reads_again("p1"))["energy_wh"] == 42.5
        await devices.p1.suffer(Faults(counter_reset=True))
        assert devices.p1.switch.measure()[1] == 0.0
        devices.p1.load.energy_wh += 2.0
        await wait_for(lambda: devices.readings("p1")[-1]["energy_wh"] == 44.5, what="the energy since")
        energies = [reading["energy_wh"] for reading in devices.readings("p1")]
        assert energies == sorted(energies)


@pytest.mark.parametrize("generation", [1, 2])
async def test_a_device_that_moved_is_found_again_by_its_id(
    broker: TestBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generation: int
) -> None:
    monkeypatch.setattr(located, "SEARCH_AFTER_S", 0.5)
    async with shelly(name="p2", on=False) as p2, shelly(name="p1", generation=generation) as moved, shelly(name="another") as another:

        @asynccontextmanager
        async def devices() -> AsyncIterator[tuple[Emulated, Emulated]]:
            async with shelly(name="p1", generation=generation) as p1:
                yield p1, p2

        async with served(broker, tmp_path, devices, also_at=[another.address, moved.address]) as found:
            await found.state("p1", on=True)
            await found.p1.device.stop()
            await found.state("p1", on=None)
            await found.state("p1", on=True, within_s=10.0)
            assert any("has moved there" in error["message"] and error["value"] == moved.address for error in found.errors())
            found.command("p1", on=False)
            await found.state("p1", on=False, fault=None)
            assert not moved.load.closed
            assert another.load.closed, "a stranger is left alone"
            assert (await found.reads_again("p1"))["device"].endswith(moved.address)


async def test_many_pushes_do_not_starve_the_polls(broker: TestBroker, tmp_path: Path) -> None:
    async with served(broker, tmp_path, KINDS["gen2"], push=True) as devices:
        heard = len(devices.readings("p1"))
        for _ in range(200):
            devices.p2.gen2._tell(0, devices.p2.switch)
            await asyncio.sleep(0.005)
        assert len(devices.readings("p1")) - heard >= 4
        await devices.reads_again("p2")
