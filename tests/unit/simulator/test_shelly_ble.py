"""The emulated Shelly on Bluetooth as a bare bleak client sees it, and what stands in for it in the simulated house."""

import asyncio
import json
import struct
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from services.bus.ble.bumble_backend import backends
from services.simulator.devices.shelly_ble import DATA, RX_CONTROL, SERVICE, TX_CONTROL
from services.simulator.lease import Lease
from services.simulator.place import NotSimulatable
from services.simulator.rig import Rig
from tests.support.house import running_house, simulated_station
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated_ble import air, in_the_air

MAC = "F0:00:00:00:00:01"


async def rpc(client: BleakClient, method: str, **params: object) -> dict[str, object]:
    """One exchange, in writes of 20 bytes."""
    frame = json.dumps({"id": 1, "method": method, "params": params}).encode()
    await client.write_gatt_char(TX_CONTROL, struct.pack(">I", len(frame)), response=True)
    for start in range(0, len(frame), 20):
        await client.write_gatt_char(DATA, frame[start : start + 20], response=True)
    while not (length := struct.unpack(">I", await client.read_gatt_char(RX_CONTROL))[0]):
        await asyncio.sleep(0.005)
    answer = b""
    while len(answer) < length:
        answer += await client.read_gatt_char(DATA)
    assert len(answer) == length
    found: dict[str, object] = json.loads(answer)
    return found


async def test_it_is_found_by_name_and_answers_in_pieces() -> None:
    async with air() as ether, in_the_air(ether, name="cellar") as shelly:
        client_type, scanner_type = backends(f"127.0.0.1:{ether.port}")
        found = await BleakScanner.find_device_by_name("cellar", timeout=3, backend=scanner_type)
        assert found is not None
        assert found.address == MAC
        async with BleakClient(found, backend=client_type, timeout=3) as client:
            assert client.mtu_size == 247
            assert client.services.get_service(SERVICE) is not None
            status = await rpc(client, "Shelly.GetStatus")
            assert len(json.dumps(status)) > 2 * client.mtu_size, "more than one piece"
            assert status["result"]["switch:0"]["output"] is True  # type: ignore[index]
            assert (await rpc(client, "Switch.Set", id=0, on=False))["result"] == {"was_on": True}
            assert not shelly.load.closed
            assert (await rpc(client, "Dance"))["error"] == {"code": 404, "message": "No handler for Dance"}


async def test_who_hangs_up_without_a_word_leaves_the_device_free_for_the_next() -> None:
    async with air() as ether, in_the_air(ether) as shelly:
        client_type, _ = backends(f"127.0.0.1:{ether.port}")
        for _ in range(3):
            client = BleakClient(MAC, backend=client_type, timeout=3)
            await client.connect()
            assert shelly.device.connections == 1
            await client._backend._adapter.close()  # type: ignore[attr-defined]
            await wait_for(lambda: shelly.device.connections == 0 and ether.adapters == 0)


async def test_a_link_that_the_device_ends_fails_what_is_under_way_at_once() -> None:
    async with air() as ether, in_the_air(ether) as shelly:
        client_type, _ = backends(f"127.0.0.1:{ether.port}")
        lost: list[BleakClient] = []
        client = BleakClient(MAC, lost.append, backend=client_type, timeout=3)
        await client.connect()
        await shelly.device.power(False)
        await wait_for(lambda: not client.is_connected)
        assert lost == [client]
        with pytest.raises(BleakError):
            await client.read_gatt_char(RX_CONTROL)
        await client.disconnect()


async def test_nobody_there_is_a_time_out_and_no_air_an_error() -> None:
    async with air() as ether:
        client_type, _ = backends(f"127.0.0.1:{ether.port}")
        with pytest.raises(TimeoutError):
            await BleakClient(MAC, backend=client_type, timeout=0.3).connect()
        await wait_for(lambda: ether.adapters == 0)
    with pytest.raises(BleakError, match="cannot connect"):
        await BleakClient(MAC, backend=client_type, timeout=0.3).connect()


async def test_the_simulated_house_has_it_where_the_station_file_says_so(tmp_path: Path) -> None:
    port = free_port()
    relay = {"driver": "shelly_ble", "address": f"hci:tcp:127.0.0.1:{port}/F0:5E:11:00:00:07"}
    station = simulated_station(tmp_path, positions={"p1": relay})
    client_type, _ = backends(f"127.0.0.1:{port}")
    async with running_house(station) as rig:
        async with BleakClient("F0:5E:11:00:00:07", backend=client_type, timeout=3) as client:
            assert rig.house.contacts.p1
            await rpc(client, "Switch.Set", id=0, on=False)
            assert not rig.house.contacts.p1
        await rig.set_grid(ok=False)
        with pytest.raises(TimeoutError):
            await BleakClient("F0:5E:11:00:00:07", backend=client_type, timeout=0.3).connect()
        await rig.set_grid(ok=True)
        async with BleakClient("F0:5E:11:00:00:07", backend=client_type, timeout=3) as client:
            assert (await rpc(client, "Switch.GetStatus", id=0))["result"]["output"] is True


def test_an_address_that_cannot_be_emulated_is_refused_by_name(tmp_path: Path) -> None:
    relay = {"driver": "shelly_ble", "address": f"hci:tcp:127.0.0.1:{free_port()}/00:11:22:33:44:55"}
    with pytest.raises(NotSimulatable, match="begins with C0 to FF"):
        Rig(simulated_station(tmp_path, positions={"p1": relay}), speed=1.0, lease=Lease(None))
