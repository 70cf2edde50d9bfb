"""The emulated Kasa plug as python-kasa itself sees it, over TCP and UDP, and what stands in for it in the simulated house."""

import asyncio
import json
from pathlib import Path

import kasa
import pytest

from services.core.config.hardware import RelayDevice
from services.simulator.devices.faults import Faults
from services.simulator.devices.kasa import KasaPlug, decrypt, encrypt
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from services.simulator.lease import Lease
from services.simulator.place import NotSimulatable
from services.simulator.rig import Rig
from tests.support.house import SteadyWire, running_house, simulated_station
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated_kasa import EmulatedKasa, kasa_plug


async def library(plug: EmulatedKasa) -> kasa.Device:
    return await kasa.Device.connect(config=kasa.DeviceConfig("127.0.0.1", port_override=plug.device.port, timeout=2))


async def test_the_cipher_is_that_of_the_published_analysis() -> None:
    """From softScheck's tool: `{"system":{"get_sysinfo":{}}}` begins so, the key being 171."""
    cipher = encrypt(b'{"system":{"get_sysinfo":{}}}')
    assert cipher[:8].hex() == "d0f281f88bff9af7"
    assert decrypt(cipher) == b'{"system":{"get_sysinfo":{}}}'


async def test_python_kasa_takes_it_for_an_hs110_and_reads_and_switches_it() -> None:
    async with kasa_plug() as plug:
        device = await library(plug)
        try:
            assert (device.model, device.is_on) == ("HS110", True)
            energy = device.modules[kasa.Module.Energy]
            assert (energy.current_consumption, energy.voltage, energy.current) == (120.0, 230.0, 0.522)
            assert energy.consumption_total == pytest.approx(0.042)
            await device.turn_off()
            await device.update()
            assert not device.is_on
            assert not plug.load.closed
        finally:
            await device.disconnect()


async def test_udp_on_the_same_port_answers_without_a_length() -> None:
    async with kasa_plug() as plug:
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        class Client(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: object) -> None:
                heard.set_result(data)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Client, remote_addr=("127.0.0.1", plug.device.port))
        transport.sendto(encrypt(b'{"system":{"get_sysinfo":{}}}'))
        answer = json.loads(decrypt(await asyncio.wait_for(heard, 2)))
        transport.close()
    assert answer["system"]["get_sysinfo"]["model"] == "HS110(EU)"


async def test_its_table_holds_one_rule_that_acts_once_and_then_stays_disabled() -> None:
    async with kasa_plug() as plug:
        countdown = plug.device.iot.countdown
        rule = {"enable": 1, "delay": 1, "act": 0, "name": "x"}
        made = countdown.add(rule)
        assert countdown.add(rule)["err_code"] == -10
        assert countdown.edit(rule | {"id": "other"})["err_code"] == -14
        assert countdown.rules({})["rule_list"][0]["remain"] == 1
        await wait_for(lambda: not plug.load.closed, what="the countdown")
        assert countdown.rules({})["rule_list"] == [rule | {"id": made["id"], "enable": 0, "remain": 0}]


async def test_unknown_modules_commands_and_bad_arguments_are_errors() -> None:
    async with kasa_plug(metered=False) as plug:
        answer = plug.device.iot.answer
        assert answer({"emeter": {"get_realtime": {}}}) == {"emeter": {"err_code": -1, "err_msg": "module not support"}}
        assert answer({"system": {"dance": {}}}) == {"system": {"dance": {"err_code": -2, "err_msg": "member not support"}}}
        assert answer({"system": {"set_relay_state": {"state": 7}}})["system"]["set_relay_state"]["err_code"] == -3  # type: ignore[index]
        assert answer([1])["err_code"] == -4  # type: ignore[index]


async def test_a_power_cut_ends_the_countdown_and_keeps_the_state() -> None:
    async with kasa_plug(on=False) as plug:
        plug.device.iot.countdown.add({"enable": 1, "delay": 60, "act": 1, "name": "x"})
        await plug.device.power(False)
        assert plug.left_s is None
        await plug.device.power(True)
        assert not plug.load.closed


async def test_a_taken_port_is_an_error_and_leaves_nothing_open() -> None:
    async with kasa_plug() as plug:
        second = KasaPlug("x", {0: Switch(SteadyWire(1.0), SwitchConfig())}, host="127.0.0.1", port=plug.device.port)
        with pytest.raises(OSError, match="in use"):
            await second.start()
        await second.stop()


async def test_the_simulated_house_has_a_plug_where_the_station_file_says_so(tmp_path: Path) -> None:
    plug = {"driver": "kasa", "address": f"kasa://127.0.0.1:{free_port()}"}
    station = simulated_station(tmp_path, positions={"p1": plug})
    async with running_house(station) as rig:
        assert rig.house.contacts.p1, "the load is on the grid at first"
        device = await kasa.Device.connect(config=kasa.DeviceConfig("127.0.0.1", port_override=int(plug["address"].rpartition(":")[2])))
        try:
            assert device.modules[kasa.Module.Energy].current_consumption == pytest.approx(rig.house.flows().p1_w, abs=0.1)
            await device.turn_off()
            assert not rig.house.contacts.p1
            await rig.suffer("p1", Faults(welded=True), reboot=False)
            assert rig.house.contacts.p1
        finally:
            await device.disconnect()


def test_a_strip_or_a_password_cannot_be_simulated(tmp_path: Path) -> None:
    address = f"kasa://127.0.0.1:{free_port()}"
    station = simulated_station(tmp_path, positions={"p1": {"driver": "kasa", "address": address, "channel": 1}})
    with pytest.raises(NotSimulatable, match=r"positions\.p1: channel: 1; a Kasa plug has channel 0 alone"):
        Rig(station, speed=1.0, lease=Lease(None))
    assert RelayDevice(driver="kasa", address=address).deadman == "device"
