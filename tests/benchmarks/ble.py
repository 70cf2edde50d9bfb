"""What polling a power station over Bluetooth costs: time in connections, and CPU while it is out of reach."""

import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil
import yaml
from bleak import BleakClient
from paho.mqtt.enums import CallbackAPIVersion

from services.bluetti_bridge.drivers.bluetti_ble import connect
from services.bus.ble.bumble_backend import backends
from services.simulator.devices.bluetti import BluettiFaults
from tests.benchmarks.figure import Figure
from tests.support.bluetti import ADDRESS, Emulated, emulated_bluetti
from tests.support.brokers import TestBroker

POLL_S = 60.0
READINGS = 20
REPLY_AFTER_S = 0.5
"""The emulated link has no connection interval and its power station does not think: so each reply is held back, amply."""
OBSERVE_S = 130.0
"""Two polling periods and more, so that two attempts fall into it."""
SETTLE_S = 5.0


async def _bare_s(emulated: Emulated) -> float:
    """Real seconds of a connection that does nothing: no protocol can be shorter."""
    before = emulated.device.connected_s
    for _ in range(READINGS):
        async with BleakClient(ADDRESS, backend=backends(f"127.0.0.1:{emulated.air.port}")[0]):
            pass
        await asyncio.sleep(0.05)
    return (emulated.device.connected_s - before) / READINGS


async def _duty() -> Figure:
    async with emulated_bluetti(mtu=23) as emulated:
        await emulated.device.suffer(BluettiFaults(delay_s=REPLY_AFTER_S))
        driver = connect(emulated.station(poll_s=POLL_S))
        seconds = []
        try:
            for _ in range(READINGS):
                before = emulated.device.connected_s
                await asyncio.to_thread(driver.read)
                await asyncio.sleep(0.05)
                seconds.append(emulated.device.connected_s - before)
        finally:
            await asyncio.to_thread(driver.close)
        bare = await _bare_s(emulated)
    return Figure(
        "ble_duty",
        100 * statistics.mean(seconds) / POLL_S,
        "% of the day",
        100 * bare / POLL_S,
        10,
        f"mean of {READINGS} readings of an AC180 in fragments of 20 bytes, {statistics.mean(seconds):.3f} s connected each, "
        f"one in {POLL_S:g} s; "
        f"emulated link without a connection interval, but {REPLY_AFTER_S:g} s before each reply. Reference: connecting, "
        "finding its services, hanging up, and nothing else",
    )


@contextmanager
def _bridge(folder: Path, broker: TestBroker, air_port: int, **battery: object) -> Iterator[psutil.Process]:
    """The bridge as a process of its own."""
    station = {
        "station": "bench",
        "timezone": "Europe/Paris",
        "broker": {"host": broker.host, "port": broker.port, "start": False},
        "positions": {"p1": {"address": "http://127.0.0.1:9"}, "p2": {"address": "http://127.0.0.1:9"}},
        "transfer_switch": {"priority": "grid"},
        "battery": {
            "driver": "bluetti_ble",
            "address": f"hci:tcp:127.0.0.1:{air_port}/{ADDRESS}",
            "model": "AC180",
            "poll_s": POLL_S,
            "capacity_wh": 1152,
            "inverter_w": 1800,
            "charge_w": 700,
            **battery,
        },
    }
    file = folder / "station.yaml"
    file.write_text(yaml.safe_dump(station), encoding="utf-8")
    command = [sys.executable, "-m", "services.bluetti_bridge", "--config", str(file), "--var", str(folder / "var")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=os.environ) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


def _share_pct(process: psutil.Process, observe_s: float) -> float:
    started, before = time.monotonic(), sum(process.cpu_times()[:2])
    time.sleep(observe_s)
    return 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - started)


async def _absent(folder: Path) -> Figure:
    (folder / "broker").mkdir()
    broker = TestBroker("mosquitto", folder / "broker")
    await asyncio.to_thread(broker.start)
    try:
        async with emulated_bluetti() as emulated:
            await emulated.device.suffer(BluettiFaults(absent=True))
            heard = []
            client = mqtt.Client(CallbackAPIVersion.VERSION2)
            client.on_message = lambda *arguments: heard.append(arguments[-1])
            client.connect(broker.host, broker.port)
            client.subscribe("sps/bench/battery/link")
            client.loop_start()
            with _bridge(folder, broker, emulated.air.port) as process:
                while not heard:
                    await asyncio.sleep(0.1)
                await asyncio.sleep(SETTLE_S)
                share = await asyncio.to_thread(_share_pct, process, OBSERVE_S)
            client.loop_stop()
    finally:
        broker.close()
    return Figure(
        "ble_absent_cpu",
        share,
        "% of a core",
        None,
        1,
        f"of the bridge's own process over {OBSERVE_S:g} s while its power station does not advertise, "
        f"{POLL_S:g} s period with its back-off, "
        f"scans of 5 s; emulated adapter in the same process; {platform.machine()}, Python {platform.python_version()}",
    )


def measure() -> list[Figure]:
    """Both."""
    with tempfile.TemporaryDirectory() as name:
        return [asyncio.run(_duty()), asyncio.run(_absent(Path(name)))]
