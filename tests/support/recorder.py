"""A recorder for tests: its station, itself in this process or in one of its own, and what bridges would tell it."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import yaml

from services.bus.clock import SystemClock
from services.bus.runtime import Context
from services.core.config.load import parse_station
from services.core.config.station import Station
from services.recorder.service import run
from tests.support.brokers import TestBroker
from tests.support.ports import free_port
from tests.support.sps import real_text

SHIPPED = Path(__file__).parents[2] / "config" / "station.yaml"
COMMIT_EVERY_S = 0.1


def station_text(broker: TestBroker) -> str:
    """The shipped station in real time, at `broker`, on a free port."""
    body = yaml.safe_load(real_text())
    body["clock"] = "system"
    body["positions"]["p4"] = {"sensor": "station"}  # the shipped one is the simulator's own
    body["broker"]["port"] = broker.port
    body["recorder"] = {"api": {"port": free_port()}, "commit_every_s": COMMIT_EVERY_S}
    return yaml.safe_dump(body)


@contextlib.asynccontextmanager
async def recording(station: Station, var: Path) -> AsyncIterator[asyncio.Task[None]]:
    """A recorder in this process; stopped at the end as `sps run` stops it."""
    task = asyncio.create_task(run(Context(station=station, clock=SystemClock(), var=var)))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def start_process(station_file: Path, var: Path) -> subprocess.Popen[bytes]:
    """A recorder in a process of its own, to be killed."""
    command = [sys.executable, "-m", "services.recorder", "--config", str(station_file), "--var", str(var), "--log-level", "warning"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def make_station(broker: TestBroker) -> Station:
    """`station_text`, checked."""
    return parse_station(station_text(broker))


def reading(power_w: float | None, ts: datetime, **more: Any) -> dict[str, Any]:
    """The body of a position's reading."""
    return {"ts": rfc3339(ts), "power_w": power_w, "device": "test", **more}


def event(event_id: str, start: datetime, end: datetime, status: str, **more: Any) -> str:
    """The body of an event."""
    body = {
        "ts": rfc3339(start),
        "id": event_id,
        "revision": 0,
        "start": rfc3339(start),
        "end": rfc3339(end),
        "goal": {"kind": "pledge", "reduction_w": 50},
        "methods": ["replacement"],
        "priority": 0,
        "status": status,
    }
    return json.dumps(body | more)


def rfc3339(ts: datetime) -> str:
    return ts.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def ask(station: Station, path: str, **query: str) -> Any:
    """The recorder's answer to a good question."""
    answer = await asyncio.to_thread(requests.get, f"http://127.0.0.1:{station.recorder.api.port}{path}", params=query, timeout=5)
    assert answer.status_code == 200, answer.text
    return answer.json()
