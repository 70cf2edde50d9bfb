"""The emulated Bluetti, as any Bluetooth client sees it: here bluetti-mqtt's own, which knows nothing of ours."""

import asyncio
import contextlib

import pytest
from bleak import BleakClient, BleakScanner
from bluetti_mqtt.bluetooth.client import BluetoothClient, ModbusError
from bluetti_mqtt.core import EB3A, ReadHoldingRegisters, WriteSingleRegister

from services.bus.ble.bumble_backend import backends
from services.simulator.devices.bluetti import BluettiFaults
from services.simulator.devices.bluetti_port import BluettiPort
from services.simulator.devices.faults import Faults
from services.simulator.place import ON_LOOPBACK
from tests.support.bluetti import ADDRESS, SERIAL, Emulated, emulated_bluetti
from tests.support.waiting import wait_for

SERVICE = "0000ff00-0000-1000-8000-00805f9b34fb"


@contextlib.asynccontextmanager
async def their_client(emulated: Emulated):
    client = BluetoothClient(ADDRESS)
    client.client = BleakClient(ADDRESS, backend=backends(f"127.0.0.1:{emulated.air.port}")[0])
    client.name = "known"  # it would read the name from a characteristic that every Bluetooth device has, and ours is not tested here
    task = asyncio.create_task(client.run())
    try:
        await wait_for(lambda: client.is_ready, what="connected")
        yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_advertises_its_name_and_service() -> None:
    async with emulated_bluetti("EB3A") as emulated:
        scanner = backends(f"127.0.0.1:{emulated.air.port}")[1]
        device = await BleakScanner.find_device_by_name(f"EB3A{SERIAL}", timeout=5, backend=scanner)
        assert device is not None
        assert device.address == ADDRESS


async def test_bluetti_mqtt_reads_what_it_measures() -> None:
    async with emulated_bluetti("EB3A", mtu=23) as emulated, their_client(emulated) as client:
        command = ReadHoldingRegisters(10, 40)
        data = command.parse_response(await (await client.perform(command)))
        said = EB3A(ADDRESS, SERIAL).parse(10, data)
    assert (said["device_type"], said["total_battery_percent"], said["ac_output_power"]) == ("EB3A", 71, 123)
    assert (said["ac_input_power"], said["dc_input_power"], said["ac_output_on"]) == (410, 50, True)


async def test_bluetti_mqtt_switches_its_output() -> None:
    async with emulated_bluetti("EB3A") as emulated, their_client(emulated) as client:
        await (await client.perform(WriteSingleRegister(3007, 0)))
        assert emulated.said.status["ac_output_on"] is False


async def test_bluetti_mqtt_understands_its_refusals() -> None:
    async with emulated_bluetti("EB3A") as emulated, their_client(emulated) as client:
        with pytest.raises(ModbusError, match="2"):
            await (await client.perform(ReadHoldingRegisters(9000, 1)))


async def test_is_not_to_be_found_while_somebody_is_connected_or_it_is_away() -> None:
    async with emulated_bluetti("EB3A") as emulated:
        scanner = backends(f"127.0.0.1:{emulated.air.port}")[1]
        async with their_client(emulated):
            assert await BleakScanner.find_device_by_address(ADDRESS, timeout=0.5, backend=scanner) is None
        assert await BleakScanner.find_device_by_address(ADDRESS, timeout=5, backend=scanner) is not None
        await emulated.device.suffer(BluettiFaults(absent=True))
        assert await BleakScanner.find_device_by_address(ADDRESS, timeout=0.5, backend=scanner) is None


async def test_offers_nothing_but_its_service() -> None:
    async with emulated_bluetti("EB3A") as emulated, their_client(emulated) as client:
        (service,) = [service for service in client.client.services if service.uuid == SERVICE]
        assert {c.uuid[4:8]: set(c.properties) for c in service.characteristics} == {
            "ff01": {"notify"},
            "ff02": {"write", "write-without-response"},
        }


def port(address: str, model: str | None = None) -> BluettiPort:
    return BluettiPort(address, model, dict, lambda _: None, listens_at=ON_LOOPBACK.listens_at)


@pytest.mark.parametrize("address", ["hci:tcp:192.168.1.9:18084", "hci:tcp:127.0.0.1:99999", "hci:usb:0"])
def test_an_address_beyond_this_machine_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"battery\.address: .*such as 'hci:tcp:127\.0\.0\.1:18084"):
        port(address)


def test_a_model_that_cannot_be_simulated_is_named() -> None:
    with pytest.raises(ValueError, match=r"battery\.model: 'X1'"):
        port("hci:tcp:127.0.0.1:18084", "X1")


async def test_a_fault_that_it_cannot_have_is_refused() -> None:
    with pytest.raises(ValueError, match="has no contact"):
        await port("hci:tcp:127.0.0.1:18084").suffer(Faults(welded=True), reboot=False)
