"""The emulated Gen1 Shelly, and the house's two-channel, password-keeping and telling ones, behave as the vendor's documentation says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from services.simulator.devices.faults import Faults
from services.simulator.devices.shelly_gen1 import ShellyGen1
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from services.simulator.lease import Lease
from services.simulator.place import NotSimulatable
from services.simulator.rig import Rig
from tests.support.house import SteadyWire, emulated_shelly, get, post, rpc, simulated_station
from tests.support.waiting import wait_for


@asynccontextmanager
async def gen1(password: str | None = None) -> AsyncIterator[tuple[str, SteadyWire, ShellyGen1]]:
    wire = SteadyWire(120.0)
    device = ShellyGen1("test", {0: Switch(wire, SwitchConfig(initial_state="on"))}, host="127.0.0.1", port=0, password=password)
    await device.start()
    try:
        yield f"http://127.0.0.1:{device.port}", wire, device
    finally:
        await device.stop()


async def json_of(url: str) -> Any:
    return (await get(url)).json()


async def test_turn_moves_the_contact_and_its_timer_is_told_in_whole_seconds():
    async with gen1() as (url, wire, _):
        relay = await json_of(f"{url}/relay/0?turn=off&timer=30")
        assert (relay["ison"], relay["has_timer"], relay["timer_duration"]) == (False, True, 30)
        assert relay["timer_remaining"] in (29, 30)
        assert not wire.closed
        assert (await json_of(f"{url}/relay/0"))["has_timer"] is True, "reading changes nothing"
        assert (await json_of(f"{url}/relay/0?turn=off"))["has_timer"] is False
        assert (await json_of(f"{url}/relay/0?turn=toggle"))["ison"] is True


async def test_a_timer_flips_back():
    async with gen1() as (url, wire, _):
        await get(f"{url}/relay/0?turn=off&timer=1")
        await wait_for(lambda: wire.closed, 3.0, what="the timer")
        assert (await json_of(f"{url}/relay/0"))["source"] == "timer"


async def test_status_counts_in_watt_minutes():
    async with gen1() as (url, wire, _):
        wire.energy_wh = 2.0
        status = await json_of(f"{url}/status")
        assert (status["meters"][0]["power"], status["meters"][0]["total"]) == (120.0, 120)
        assert status["relays"][0]["ison"] is True


async def test_the_boot_state_and_auto_off_come_from_the_settings():
    async with gen1() as (url, wire, device):
        assert (await json_of(f"{url}/settings/relay/0?default_state=off"))["default_state"] == "off"
        await device.reboot()
        assert not wire.closed
        await get(f"{url}/settings/relay/0?auto_off=0.1")
        await get(f"{url}/relay/0?turn=on")
        await wait_for(lambda: not wire.closed, what="auto_off")


@pytest.mark.parametrize(
    "path",
    [
        "/relay/0?turn=maybe",
        "/relay/0?turn=on&timer=soon",
        "/relay/0?turn=on&timer=-1",
        "/settings/relay/0?default_state=x",
        "/settings/relay/0?auto_on=x",
    ],
)
async def test_what_it_cannot_read_it_refuses(path: str):
    async with gen1() as (url, wire, _):
        assert (await get(url + path)).status_code == 400
        assert wire.closed
        assert (await get(f"{url}/relay/1")).status_code == 404


async def test_with_a_password_only_who_it_is_can_be_asked():
    async with gen1("geheim") as (url, wire, _):
        refused = await get(f"{url}/relay/0?turn=off")
        assert (refused.status_code, refused.headers["WWW-Authenticate"][:6]) == (401, "Basic ")
        assert wire.closed
        assert (await json_of(f"{url}/shelly"))["auth"] is True
        assert (await get(f"{url}/relay/0?turn=off", auth=("admin", "geheim"))).ok
        assert not wire.closed


async def test_a_counter_reset_happens_once():
    async with emulated_shelly() as shelly:
        shelly.wire.energy_wh = 5.0
        await shelly.suffer(counter_reset=True)
        shelly.wire.energy_wh = 6.0
        await shelly.suffer(counter_reset=True)
        assert (await rpc(shelly.address, "Switch.GetStatus", id=0))["result"]["aenergy"]["total"] == 1.0


async def test_whoever_called_with_a_name_is_told_of_changes_and_nobody_else():
    async with emulated_shelly(on=True) as shelly:
        url = shelly.address.replace("http", "ws") + "/rpc"
        async with connect(url, proxy=None) as named, connect(url, proxy=None) as unnamed:
            await named.send(json.dumps({"id": 5, "src": "me", "method": "Switch.GetStatus", "params": {"id": 0}}))
            assert json.loads(await named.recv())["result"]["output"] is True
            shelly.switch.press()
            told = json.loads(await named.recv())
            assert (told["method"], told["dst"], told["params"]["switch:0"]) == (
                "NotifyStatus", "me", {"id": 0, "output": False, "source": "switch"},
            )  # fmt: skip
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(unnamed.recv(), 0.1)


async def test_a_lying_device_lies_in_what_it_tells_too():
    async with emulated_shelly(on=True) as shelly, connect(shelly.address.replace("http", "ws") + "/rpc", proxy=None) as socket:
        await socket.send(json.dumps({"id": 5, "src": "me", "method": "Shelly.GetDeviceInfo"}))
        await socket.recv()
        shelly.switch.suffer(Faults(wrong_state=True))
        shelly.switch.press()
        assert json.loads(await socket.recv())["params"]["switch:0"]["output"] is True


async def test_nonsense_over_the_socket_does_not_hurt():
    async with emulated_shelly() as shelly, connect(shelly.address.replace("http", "ws") + "/rpc", proxy=None) as socket:
        for text in ("", "{", "[]", "[" * 50_000):
            await socket.send(text)
            assert json.loads(await socket.recv())["code"] == -103
        await socket.send(json.dumps({"id": 5, "method": "Switch.Nothing"}))
        assert json.loads(await socket.recv())["error"]["code"] == 404


async def test_the_house_has_gen1_relays_and_a_switch_at_the_wall(tmp_path: Path):
    station = simulated_station(tmp_path)
    p1 = station.positions.relays()["p1"].model_copy(update={"driver": "shelly_gen1"})
    station = station.model_copy(update={"positions": station.positions.model_copy(update={"p1": p1})})
    async with Rig(station, speed=1.0, lease=Lease(None), passwords={"p1": "geheim"}) as rig:
        assert (await get(f"{p1.address}/status")).status_code == 401
        status = (await get(f"{p1.address}/status", auth=("admin", "geheim"))).json()
        assert status["meters"][0]["power"] == pytest.approx(rig.house.flows().p1_w, abs=0.1)
        assert (await post(f"{station.battery.address}/press", {"device": "p1"})).ok
        assert rig.house.contacts.p1 is False
        wrong = await post(f"{station.battery.address}/press", {"device": "p9"})
        assert (wrong.status_code, "p9" in wrong.json()["error"]) == (422, True)
        assert (await get(f"{station.positions.p2.address}/shelly")).json()["gen"] == 2


def test_one_device_cannot_have_two_drivers(tmp_path: Path):
    station = simulated_station(tmp_path)
    p1 = station.positions.relays()["p1"].model_copy(update={"driver": "shelly_gen1"})
    p2 = station.positions.p2.model_copy(update={"address": p1.address, "channel": 1})
    station = station.model_copy(update={"positions": station.positions.model_copy(update={"p1": p1, "p2": p2})})
    with pytest.raises(NotSimulatable, match="two drivers"):
        Rig(station, speed=1.0, lease=Lease(None))
