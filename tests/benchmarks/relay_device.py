"""Three emulated relays of one kind, a key of ADDRESSES, in a process of their own; prints their addresses as in a station file."""

import asyncio
import sys

from services.core.config.hardware import RelayDevice
from services.simulator.devices.relay_kinds import emulator
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from tests.benchmarks.witness import NoWire

ADDRESSES = {
    "kasa": "kasa://127.0.0.1:{}",
    "shelly_ble": "hci:tcp:127.0.0.1:{}/F0:5E:11:00:00:01",
    "shelly_gen1": "http://127.0.0.1:{}",
    "shelly_gen2": "http://127.0.0.1:{}",
}


async def main(kind: str) -> None:
    """Until killed."""
    for name in ("p1", "p2", "bare"):
        switch = Switch(NoWire(), SwitchConfig(initial_state="off" if name == "p2" else "on"))
        relay = RelayDevice(driver=kind, address=ADDRESSES[kind].format(0))
        device = emulator(relay, name, {0: switch}, host="127.0.0.1", port=0, powered=True, password=None)
        await device.start()
        print(ADDRESSES[kind].format(device.port), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
