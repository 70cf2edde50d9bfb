"""The devices of a house, played by a bare MQTT client for a controller under test."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from tests.support.plain_client import PlainClient
from tests.support.sps import real_text
from tests.support.waiting import wait_for


class PlayedHouse:
    """Publishes what a house's bridges would, five times a second, and obeys the relay commands that it hears."""

    def __init__(self, plain: PlainClient, station: str = "demo", *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.plain = plain
        self.root = f"sps/{station}"
        self.now = now
        self.soc_pct, self.ac_output_on, self.load_w = 80.0, True, 200.0
        self.obeys = True
        self.frozen = False
        """The power station's report stays as it is, with fresh time stamps."""
        self.relays = {"p1": True, "p2": False}
        self.loads: dict[str, bool] = {}
        self._report: dict[str, Any] = {}
        self._at = 0

    async def live(self) -> None:
        """Until cancelled."""
        while True:
            self.step()
            await asyncio.sleep(0.2)

    def step(self) -> None:
        if self.obeys:
            # Only what is new: the client keeps all that it ever heard.
            heard, self._at = self.plain.heard[self._at :], len(self.plain.heard)
            for one in heard:
                for kind, states in (("relay", self.relays), ("load", self.loads)):
                    for name in states:
                        if one.topic == f"{self.root}/{kind}/{name}/command":
                            states[name] = one.json["on"]
        p1 = self.relays["p1"]
        self.reading("p1", self.load_w if p1 else 0.0)
        self.reading("p2", 700.0 if self.relays["p2"] else 0.0)
        self.reading("p3", 0.0 if p1 else self.load_w)
        for position, on in self.relays.items():
            self.tell(f"relay/{position}/state", retain=True, on=on, confirmed_by="readback")
        for name, on in self.loads.items():
            self.tell(f"load/{name}/reading", power_w=600.0 if on else 0.0, device="played")
            self.tell(f"load/{name}/state", retain=True, on=on, confirmed_by="readback")
        if not self.frozen:
            self._report = {
                "soc_pct": self.soc_pct, "ac_output_on": self.ac_output_on, "eco_mode": False, "ac_out_w": 0.0 if p1 else self.load_w,
            }  # fmt: skip
        self.tell("battery/reading", **self._report, device="played")

    def reading(self, position: str, power_w: float | None) -> None:
        self.tell(f"position/{position}/reading", power_w=power_w, voltage_v=230.0, device="played")

    def tell(self, topic: str, *, retain: bool = False, **body: Any) -> None:
        body.setdefault("ts", self.now().isoformat())
        self.plain._client.publish(f"{self.root}/{topic}", json.dumps(body), 0, retain)

    def said(self) -> list[dict[str, Any]]:
        """The controller's states so far."""
        return [heard.json for heard in self.plain.on(f"{self.root}/controller/state")]

    def commanded(self, name: str = "relay/p1") -> list[dict[str, Any]]:
        """The commands to one relay so far."""
        return [heard.json for heard in self.plain.on(f"{self.root}/{name}/command")]

    async def goes(self, on: bool, name: str = "relay/p1", timeout: float = 8.0) -> None:  # noqa: ASYNC109
        await wait_for(lambda: (c := self.commanded(name)) and c[-1]["on"] is on, timeout, what=f"{name} to be commanded {on}")

    async def event_is(self, event_id: str, status: str, timeout: float = 8.0) -> dict[str, Any]:  # noqa: ASYNC109
        def last() -> dict[str, Any] | None:
            heard = [h.json for h in self.plain.on(f"{self.root}/event/{event_id}") if h.payload]
            return heard[-1] if heard and heard[-1]["status"] == status else None

        found = await wait_for(last, timeout, what=f"event {event_id} to be {status}")
        assert found is not None
        return found

    def schedule(self, event_id: str, start: str = "now", **more: Any) -> None:
        self.plain.publish(f"{self.root}/event/command", {"id": event_id, "start": start, **more})


@contextlib.asynccontextmanager
async def played(plain: PlainClient, station: str = "demo", **how: Any) -> AsyncIterator[PlayedHouse]:
    """A house that lives until the end."""
    house = PlayedHouse(plain, station, **how)
    task = asyncio.create_task(house.live())
    try:
        yield house
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def station_text(port: int, name: str = "demo", **changes: Any) -> str:
    """The shipped station in real time at the broker on `port`, with no dwell and `changes` to its sections."""
    body = yaml.safe_load(real_text())
    body |= {"station": name, "clock": "system"}
    body["broker"]["port"] = port
    body["positions"]["p4"] = {"sensor": "station"}  # the shipped one is the simulator's own
    body["limits"]["dwell_s"] = 0
    for section, values in changes.items():
        body[section] = body.get(section, {}) | values if isinstance(values, dict) else values
    return yaml.safe_dump(body)


def station_at(folder: Path, port: int, name: str = "demo", **changes: Any) -> Path:
    """`station_text` as a file."""
    file = folder / f"{name}.yaml"
    file.write_text(station_text(port, name, **changes), encoding="utf-8")
    return file
