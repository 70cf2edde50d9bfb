"""`sps discover` against emulated devices on this machine alone: announcements, datagrams, Bluetooth and I²C words for real."""

import asyncio
import json
import socket
import sys
from contextlib import AsyncExitStack

import pytest
import yaml
from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from services.cli.discovery import ble, i2c, kasa, mdns
from services.cli.discovery.found import Kind
from services.simulator.devices.ina260 import Direct, Ina260Chip
from services.simulator.devices.ina260_port import Ina260Port
from services.simulator.devices.kasa import KasaPlug
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from tests.support.bluetti import emulated_bluetti
from tests.support.house import SteadyWire
from tests.support.ports import free_port

SECONDS = 4.0
NAME = "shellyplus1pm-a8032ab12345"


async def responder(stack: AsyncExitStack) -> None:
    """Announces a Shelly on loopback."""
    network = AsyncZeroconf(interfaces=["127.0.0.1"])
    stack.push_async_callback(network.async_close)
    info = ServiceInfo(
        "_shelly._tcp.local.",
        f"{NAME}._shelly._tcp.local.",
        port=18081,
        addresses=[socket.inet_aton("127.0.0.1")],
        server=f"{NAME}.local.",
        properties={"gen": "2", "app": "Plus1PM", "ver": "1.4.4"},
    )
    await network.async_register_service(info)


async def plugged(stack: AsyncExitStack) -> KasaPlug:
    plug = KasaPlug("Lamp", {0: Switch(SteadyWire(40.0), SwitchConfig(initial_state="on"))}, host="127.0.0.1", port=free_port())
    await plug.start()
    stack.push_async_callback(plug.stop)
    return plug


async def sensor(stack: AsyncExitStack) -> Ina260Port:
    port = Ina260Port(Ina260Chip(lambda: Direct(12.0, 1.0), address=0x44), host="127.0.0.1", port=0)
    await port.start()
    stack.push_async_callback(port.stop)
    return port


async def sps(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "services.cli", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=-1, stderr=-1)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def test_all_four_ways_find_their_devices_and_a_draft_names_them(tmp_path):
    file = tmp_path / "draft.yaml"
    async with AsyncExitStack() as stack:
        await responder(stack)
        plug, port = await plugged(stack), await sensor(stack)
        bluetti = await stack.enter_async_context(emulated_bluetti("AC180"))
        ways = [
            "--interface", "127.0.0.1", "--broadcast", f"127.0.0.1:{plug.port}",
            "--ble-adapter", f"127.0.0.1:{bluetti.air.port}", "--i2c", f"tcp:127.0.0.1:{port.port}",
        ]  # fmt: skip
        code, out, err = await sps("discover", "--seconds", f"{SECONDS:g}", "--json", "--draft", str(file), "--no-input", *ways)
        assert code == 0, err
        devices = {device["driver"]: device for device in json.loads(out)["devices"]}
        assert devices["shelly_gen2"]["address"] == "http://127.0.0.1:18081"
        assert (devices["kasa"]["name"], devices["kasa"]["address"]) == ("Lamp", f"kasa://127.0.0.1:{plug.port}")
        assert devices["bluetti_ble"]["model"] == "AC180"
        assert devices["ina260"]["address"] == f"tcp:127.0.0.1:{port.port} 0x44"
        shown = await sps("discover", "--seconds", "1", "--only", "kasa", "--broadcast", f"127.0.0.1:{plug.port}")
        assert (shown[0], "Lamp" in shown[1]) == (0, True), shown
    draft = yaml.safe_load(file.read_text())
    assert draft["positions"]["p4"] == {"sensor": "ina260", "bus": f"tcp:127.0.0.1:{port.port}", "address": 0x44}
    assert (draft["battery"]["driver"], draft["battery"]["model"]) == ("bluetti_ble", "AC180")
    assert draft["positions"]["p1"]["address"] == "FILL-IN"
    code, _, err = await sps("check-config", str(file))
    assert (
        code,
        [field for field in ("p1.driver", "p1.address", "p2.driver", "p2.address") if f"positions.{field}: FILL-IN" not in err],
    ) == (2, [])


async def test_finding_nothing_ends_with_1_and_an_existing_draft_is_never_overwritten(tmp_path):
    nobody = free_port()
    code, out, _ = await sps("discover", "--seconds", "1", "--only", "kasa", "--broadcast", f"127.0.0.1:{nobody}")
    assert (code, "no device was found" in out) == (1, True)
    mine = tmp_path / "station.yaml"
    mine.write_text("mine")
    refused = await sps("discover", "--only", "kasa", "--broadcast", "127.0.0.1", "--draft", str(mine))
    assert (refused[0], "exists already" in refused[2], mine.read_text()) == (2, True, "mine")
    wrong = await sps("discover", "--only", "telepathy")
    assert (wrong[0], "mdns, kasa, ble, i2c" in wrong[2]) == (2, True)


async def test_missing_adapter_and_missing_bus_are_a_line_each(tmp_path):
    outcome = await ble.search(1.0, f"127.0.0.1:{free_port()}")
    assert (outcome.findings, "no usable Bluetooth adapter" in outcome.problem) == ((), True)
    outcome = await i2c.search(1.0, [str(tmp_path / "i2c-9")])
    assert (outcome.findings, "cannot be opened" in outcome.problem) == ((), True)
    outcome = await i2c.search(1.0, [])
    assert "no I²C bus" in outcome.problem


async def test_kasa_nonsense_is_no_device_and_time_is_kept():
    loop = asyncio.get_running_loop()

    class Nonsense(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(b"\xff" * 700, addr)

    transport, _ = await loop.create_datagram_endpoint(Nonsense, local_addr=("127.0.0.1", 0))
    try:
        started = loop.time()
        outcome = await kasa.search(1.0, [("127.0.0.1", transport.get_extra_info("sockname")[1])])
    finally:
        transport.close()
    assert outcome.findings == ()
    assert loop.time() - started < 2.0


@pytest.mark.parametrize("gone", [True, False])
async def test_shelly_that_has_said_goodbye_is_not_listed(gone):
    async with AsyncExitStack() as stack:
        await responder(stack)
        if gone:
            await stack.aclose()
        outcome = await mdns.search(SECONDS, ["127.0.0.1"])
    assert [finding.kind for finding in outcome.findings] == ([] if gone else [Kind.RELAY])
