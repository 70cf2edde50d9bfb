"""Simulated relays with a witness: prints `<relay> <0 or 1> <monotonic seconds>` at each change of an output.

`python -m tests.benchmarks.witness station …` is the simulator with the arguments that follow; `… relay PORT` is one relay wired to
nothing. The system's monotonic clock is the same in all processes, so the times compare.
"""

import asyncio
import runpy
import sys
import time

from services.simulator.devices.shelly_gen2 import ShellyGen2
from services.simulator.devices.shelly_switch import Switch, SwitchConfig
from services.simulator.devices.wire import Measured


class NoWire:
    """The line of a relay that switches nothing."""

    def close(self, closed):
        pass

    def measure(self):
        return Measured(0.0, 0.0, 230.0)


def watch() -> None:
    """Have every switch tell when its output changed."""
    go = Switch._go

    def told(self: Switch, on: bool, source: str, toggle_after_s: float | None) -> None:
        was = self.output
        go(self, on, source, toggle_after_s)
        if on != was:
            print(getattr(self._wire, "_position", "bare"), int(on), time.monotonic(), flush=True)

    Switch._go = told  # type: ignore[method-assign]


async def lone_relay(port: int) -> None:
    """One relay on `port`."""
    device = ShellyGen2("bare", {0: Switch(NoWire(), SwitchConfig(initial_state="on"))}, host="127.0.0.1", port=port)
    await device.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    watch()
    if sys.argv[1] == "relay":
        asyncio.run(lone_relay(int(sys.argv[2])))
    else:
        sys.argv = ["services.simulator", *sys.argv[2:]]
        runpy.run_module("services.simulator", run_name="__main__")
