"""The driver against an emulated power station: Bluetooth by software, from the scan to the last fragment."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from services.bluetti_bridge.ble_link import BleAddress
from services.bluetti_bridge.drivers.bluetti_ble import BluettiBle, NotAllowed, connect
from services.bluetti_bridge.errors import BadReply, NoBluetooth, StationError, StationRefused, StationSilent
from services.core.readings import BatteryReading
from services.simulator.devices.bluetti import BluettiFaults
from services.simulator.devices.bluetti_registers import LAYOUTS, POWER_OFF
from tests.support.bluetti import ADDRESS, Emulated, emulated_bluetti
from tests.support.waiting import wait_for

READING = BatteryReading(71, 410, 123, 50, 7, True, False)


@asynccontextmanager
async def driver_for(emulated: Emulated, **settings: Any) -> AsyncIterator[BluettiBle]:
    driver = connect(emulated.station(**settings))
    try:
        yield driver
    finally:
        await asyncio.to_thread(driver.close)


@pytest.mark.parametrize("mtu", [23, 64, 247], ids=["fragments of 20 bytes", "of 61", "of the whole MTU"])
async def test_reads_whatever_the_fragments(mtu: int) -> None:
    async with emulated_bluetti(mtu=mtu) as emulated, driver_for(emulated) as driver:
        reply = await asyncio.to_thread(driver.read)
    assert (reply.reading, reply.refused, reply.rssi_dbm) == (READING, (), -50)


@pytest.mark.parametrize("model", sorted(LAYOUTS))
async def test_reads_every_model(model: str) -> None:
    async with emulated_bluetti(model) as emulated, driver_for(emulated) as driver:
        reply = await asyncio.to_thread(driver.read)
    assert (reply.reading.soc_pct, reply.reading.ac_out_w, reply.reading.ac_output_on, reply.refused) == (71, 123, True, ())


@pytest.mark.parametrize("address", [f"/{ADDRESS}", f"/{ADDRESS.lower()}", ""], ids=["address", "in lower case", "the first of its model"])
async def test_finds_it_by_address_or_model(address: str) -> None:
    async with (
        emulated_bluetti() as emulated,
        driver_for(emulated, address=f"hci:tcp:127.0.0.1:{emulated.air.port}{address}", model="AC180") as driver,
    ):
        assert (await asyncio.to_thread(driver.read)).reading == READING


async def test_hangs_up_after_every_reading() -> None:
    async with emulated_bluetti() as emulated, driver_for(emulated) as driver:
        for number in (1, 2):
            await asyncio.to_thread(driver.read)
            await wait_for(lambda: emulated.air.adapters == 0, what="the adapter is free")
            assert emulated.device.connections == number


FAULTS = {
    "silent": (BluettiFaults(silent=True), StationSilent, "connected, but it did not answer within 0.5 s"),
    "absent": (BluettiFaults(absent=True), StationSilent, "not heard within 0.5 s"),
    "late": (BluettiFaults(delay_s=5), StationSilent, "did not answer"),
    "half a frame": (BluettiFaults(half=True), StationSilent, "broke off after 64 of 129 bytes"),
    "bad crc": (BluettiFaults(bad_crc=True), BadReply, "crc"),
    "failure": (BluettiFaults(failure=True), StationRefused, "MODBUS exception 4"),
}


@pytest.mark.parametrize(("faults", "error", "words"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_is_named_in_time_and_over_with_its_cause(faults: BluettiFaults, error: type[StationError], words: str) -> None:
    async with emulated_bluetti() as emulated, driver_for(emulated, timeout_s=0.5) as driver:
        await emulated.device.suffer(faults)
        began = time.monotonic()
        with pytest.raises(error, match=words):
            await asyncio.to_thread(driver.read)
        assert time.monotonic() - began < 3
        await wait_for(lambda: emulated.air.adapters == 0, what="no link is left open")
        await emulated.device.suffer(BluettiFaults())
        assert (await asyncio.to_thread(driver.read)).reading == READING


async def test_strange_values_are_named_and_the_rest_counts() -> None:
    async with emulated_bluetti() as emulated, driver_for(emulated) as driver:
        await emulated.device.suffer(BluettiFaults(strange=True))
        reply = await asyncio.to_thread(driver.read)
    assert (reply.reading.soc_pct, reply.reading.ac_output_on, reply.reading.eco_mode) == (71, None, None)
    assert {refused.field for refused in reply.refused} == {"ac_output_on", "eco_mode", "charging_mode"}


async def test_registers_that_it_does_not_have_are_named_and_the_rest_counts() -> None:
    older = replace(LAYOUTS["AC60"], readable=(range(100, 162),))
    async with emulated_bluetti(older) as emulated, driver_for(emulated) as driver:
        reply = await asyncio.to_thread(driver.read)
    assert (reply.reading.soc_pct, reply.reading.ac_output_on) == (71, None)
    assert [refused.field for refused in reply.refused] == ["registers 2011 to 2012"]


async def test_a_reboot_in_between_is_survived() -> None:
    async with emulated_bluetti() as emulated, driver_for(emulated, timeout_s=3) as driver:
        await asyncio.to_thread(driver.read)
        await emulated.device.reboot()
        assert (await asyncio.to_thread(driver.read)).reading == READING


async def test_writes_what_the_whitelist_names_and_reads_it_back() -> None:
    async with emulated_bluetti() as emulated, driver_for(emulated) as driver:
        await asyncio.to_thread(driver.set, "ac_output", "off")
        assert emulated.said.status["ac_output_on"] is False
        await asyncio.to_thread(driver.set, "charging_mode", "silent")
        assert emulated.device.registers.written == [(2011, 0), (2020, 1)]


@pytest.mark.parametrize(
    ("model", "control", "value", "words"),
    [
        ("AC180", "power_off", "on", "AC180 has no 'power_off'; there is ac_output, charging_mode, dc_output"),
        ("EB3A", "power_off", "on", "EB3A has no 'power_off'"),
        ("AC180", "charging_mode", "custom", "charging_mode cannot be 'custom'; use one of standard, silent, turbo"),
        ("AC180", "ac_output", "2", "ac_output cannot be '2'"),
        ("AC2A", "ac_output", "on", "AC2A has no 'ac_output'; there is nothing to write"),
    ],
)
async def test_writes_nothing_else(model: str, control: str, value: str, words: str) -> None:
    async with emulated_bluetti(model) as emulated, driver_for(emulated) as driver:
        with pytest.raises(NotAllowed, match=words):
            await asyncio.to_thread(driver.set, control, value)
        assert emulated.device.registers.written == []
        assert not emulated.device.registers.powered_off


async def test_the_emulator_would_have_switched_off() -> None:
    async with emulated_bluetti("EB3A") as emulated:
        emulated.device.registers.write(POWER_OFF, 1)
        assert emulated.device.gone


async def test_a_write_that_was_acknowledged_and_not_done_is_found_out() -> None:
    async with emulated_bluetti() as emulated, driver_for(emulated) as driver:
        await emulated.device.suffer(BluettiFaults(stubborn=True))
        with pytest.raises(BadReply, match="ac_output is 1, expected 0"):
            await asyncio.to_thread(driver.set, "ac_output", "off")


async def test_closing_ends_a_call_under_way_and_leaves_no_thread() -> None:
    async with emulated_bluetti() as emulated:
        await emulated.device.suffer(BluettiFaults(silent=True))
        driver = connect(emulated.station(timeout_s=30))
        reading = asyncio.create_task(asyncio.to_thread(driver.read))
        await wait_for(lambda: emulated.device.connections == 1, what="connected")
        began = time.monotonic()
        await asyncio.to_thread(driver.close)
        with pytest.raises(StationSilent, match="closed"):
            await reading
        assert time.monotonic() - began < 3
        assert "bluetti" not in {thread.name for thread in threading.enumerate()}
        await wait_for(lambda: emulated.air.adapters == 0, what="no link is left open")


@pytest.mark.skipif(sys.platform != "linux", reason="BlueZ and its D-Bus are Linux's")
async def test_a_machine_without_bluetooth_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    async with emulated_bluetti() as emulated, driver_for(emulated, address="AC1802237000123456") as driver:
        with pytest.raises(NoBluetooth, match="this machine's Bluetooth is not available"):
            await asyncio.to_thread(driver.read)


async def test_an_emulated_adapter_that_is_not_there_is_a_silence() -> None:
    async with emulated_bluetti() as emulated, driver_for(emulated) as driver:
        await emulated.air.stop()
        with pytest.raises(StationSilent, match="cannot scan"):
            await asyncio.to_thread(driver.read)


@pytest.mark.parametrize("address", ["", "http://127.0.0.1:18083", "A4:C1:38:12:34", "hci:usb:0", "hci:tcp:127.0.0.1"])
def test_an_address_that_cannot_be_used_is_said_before_anything_starts(address: str) -> None:
    with pytest.raises(ValueError, match=r"address: .* is not usable"):
        BleAddress.parse(address)


@pytest.mark.parametrize(
    "address", ["A4:C1:38:12:34:56", "a4:c1:38:12:34:56", "AC1802237000123456", "0D1E2F30-1111-2222-3333-444455556666"]
)
def test_a_bluetooth_address_a_name_and_what_macos_calls_it_can_be_used(address: str) -> None:
    assert BleAddress.parse(address) == BleAddress(None, address)
