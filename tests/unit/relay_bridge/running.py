"""The relay bridge as it runs: a real broker, two emulated Shellys, and a bare client that plays the controller."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from services.bus.clock import SystemClock
from services.bus.runtime import Context
from services.core.config.load import parse_station
from services.core.config.station import Station
from services.relay_bridge.service import run
from tests.support.brokers import TestBroker
from tests.support.plain_client import PlainClient
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated import Emulated, shelly

TIMER_S = 3.0
"""The devices' own timer in these tests."""
TIMEOUT_S = 0.5


@dataclass
class House:
    """The devices, and what one says to and hears from the bridge."""

    p1: Emulated
    p2: Emulated
    plain: PlainClient
    station: Station
    var: Path
    ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def command(self, position: str, on: bool, *, hold_s: float = 30.0, command_id: str | None = None, age_s: float = 0.0) -> str:
        """Command a relay, or renew the wish `command_id`; returns the id."""
        identifier = command_id or f"wish-{next(self.ids)}"
        ts = datetime.now(UTC) - timedelta(seconds=age_s)
        body = {"ts": ts.isoformat(), "on": on, "command_id": identifier, "hold_s": hold_s, "reason": "test"}
        self.plain.publish(f"sps/demo/relay/{position}/command", body, qos=0)
        return identifier

    def states(self, position: str) -> list[dict[str, Any]]:
        return [heard.json for heard in self.plain.on(f"sps/demo/relay/{position}/state")]

    def readings(self, position: str) -> list[dict[str, Any]]:
        return [heard.json for heard in self.plain.on(f"sps/demo/position/{position}/reading")]

    def errors(self) -> list[dict[str, Any]]:
        return [heard.json for heard in self.plain.on("sps/demo/service/relay_bridge/error")]

    async def state(self, position: str, within_s: float = 5.0, **wanted: object) -> dict[str, Any]:
        """The newest state once it has what is wanted; a text wanted in `fault` need only begin it."""

        def found() -> dict[str, Any] | None:
            state = (self.states(position) or [{}])[-1]
            agrees = all(_agrees(state.get(name, "absent"), value) for name, value in wanted.items())
            return state if state and agrees else None

        state = await wait_for(
            found, within_s, what=f"{position} {wanted}; last: {self.states(position)[-1:]}; errors: {self.errors()[-2:]}"
        )
        assert state is not None
        return state

    async def reads_again(self, position: str) -> dict[str, Any]:
        """The next reading that comes from now on."""
        heard = len(self.readings(position))
        await wait_for(lambda: len(self.readings(position)) > heard, what=f"a reading of {position}")
        return self.readings(position)[-1]


def _agrees(found: object, wanted: object) -> bool:
    return found.startswith(wanted) if isinstance(found, str) and isinstance(wanted, str) else found == wanted


@asynccontextmanager
async def house(broker: TestBroker, var: Path, *, timeout_s: float = TIMEOUT_S) -> AsyncIterator[House]:
    """The devices and the client, without a bridge."""
    async with shelly(on=True, name="p1") as p1, shelly(on=False, name="p2") as p2, house_of(p1, p2, broker, var, timeout_s) as served:
        yield served


@asynccontextmanager
async def house_of(
    p1: Any, p2: Any, broker: TestBroker, var: Path, timeout_s: float = TIMEOUT_S, **configured: Any
) -> AsyncIterator[House]:
    """The same with other devices than Shellys, that look like `Emulated`, and perhaps more in their configuration."""
    text = {
        "station": "demo",
        "timezone": "Europe/Paris",
        "broker": {"host": broker.host, "port": broker.port, "start": False},
        "positions": {name: p.configured(timeout_s).model_dump() | configured for name, p in (("p1", p1), ("p2", p2))},
        "transfer_switch": {"priority": "grid"},
        "battery": {"driver": "simulated", "address": "http://127.0.0.1:9", "capacity_wh": 1152, "inverter_w": 1800, "charge_w": 700},
    }
    file = var / "station.yaml"
    file.write_text(yaml.safe_dump(text), encoding="utf-8")
    with PlainClient(broker.host, broker.port) as plain:
        yield House(p1, p2, plain, parse_station(file.read_text(encoding="utf-8")), var)


@asynccontextmanager
async def bridge(house: House, *, device_timer_s: float = TIMER_S) -> AsyncIterator[None]:
    """The bridge, from its first states to its clean end."""
    task = asyncio.create_task(run(Context(house.station, SystemClock(), house.var), device_timer_s=device_timer_s))
    try:
        await wait_for(lambda: task.done() or (house.states("p1") and house.states("p2")), what="the bridge's first states")
        yield
        assert not task.done(), "the bridge ended by itself"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
