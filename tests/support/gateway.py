"""A gateway with everything around it that its tests need: a real broker, and stand-ins for the controller and the recorder."""

import asyncio
import json
import threading
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import pi, sin
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import requests

from services.bus.client import Bus, Received
from services.bus.clock import SystemClock
from services.bus.contract import EVENT, EVENT_COMMAND
from services.bus.deployment import Deployment
from services.bus.messages.events import EventCommand, EventMessage
from services.bus.runtime import Context, load_station
from services.core import event_book
from services.core.config.station import Station
from services.core.event_book import Book
from services.core.events import BadValue, normalise
from services.gateway.service import run
from tests.support.brokers import TestBroker
from tests.support.plain_client import PlainClient
from tests.support.ports import free_port
from tests.support.waiting import wait_until

SHIPPED = Path(__file__).parents[2] / "config" / "station.yaml"


def station_with(**changes: Any) -> Station:
    """The shipped station on the wall clock, with `changes`."""
    return load_station(SHIPPED).model_copy(update={"clock": "system", **changes})


class StandInController:
    """Answers event commands by the rules of the event book, or, when `mute`, not at all."""

    def __init__(self, bus: Bus, station: Station) -> None:
        self.bus = bus
        self.station = station
        self.book = Book()
        self.mute = False
        self.commands: list[EventCommand] = []
        bus.subscribe(EVENT_COMMAND, self.on_command)

    def on_command(self, received: Received[EventCommand]) -> None:
        command, now = received.message, datetime.now(UTC)
        self.commands.append(command)
        if self.mute:
            return
        try:
            refusal = self._obey(command, now)
        except BadValue as bad:
            refusal = bad
        if refusal is not None:
            self.bus.report(str(refusal), field=refusal.field, value=str(refusal.value), remedy=refusal.remedy, topic="event/command")
        self.book = event_book.advance(self.book, now)
        for event in self.book.events.values():
            self.bus.publish(EVENT, EventMessage.of(event, now), event_id=event.id)

    def _obey(self, command: EventCommand, now: datetime) -> BadValue | None:
        if command.action == "schedule":
            event = normalise(command.request(), self.station.preferences.preferences(), now, self.station.zone)
            self.book, outcome = event_book.schedule(self.book, event)
        elif command.action == "opt_in":
            self.book, outcome = event_book.opt_in(self.book, str(command.id), now)
        else:
            self.book, outcome = event_book.cancel(self.book, str(command.id), now, opted_out=command.action == "opt_out")
        return outcome.refusal


class StandInRecorder(ThreadingHTTPServer):
    """Answers the query API with a made-up day."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RecorderPage)
        self.broken = False
        self.states: dict[str, list[dict[str, Any]]] = {}
        """What `/api/states` answers, by topic."""
        self.reports: dict[str, dict[str, Any]] = {}
        """What reports answer, by path."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _RecorderPage(BaseHTTPRequestHandler):
    server: StandInRecorder

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.server.broken:
            self._answer(200, b"<html>not what was asked for</html>")
        elif parts.path == "/api/series":
            self._answer(200, json.dumps(series(query)).encode())
        elif parts.path == "/api/energy":
            self._answer(200, json.dumps(energy(query)).encode())
        elif parts.path == "/api/states":
            self._answer(200, json.dumps(self.server.states.get(query["topic"], [])).encode())
        elif (told := self.server.reports.get(parts.path)) is not None:
            self._answer(200, json.dumps(told).encode())
        elif parts.path == "/api/events/known/report":
            self._answer(200, json.dumps({"event": {"id": "known"}, "decisions": [], "final": True}).encode())
        else:
            self._answer(404, b'{"detail": "not found"}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def series(query: dict[str, str]) -> dict[str, Any]:
    """A day in which the battery feeds the load in the evening and charges at night."""
    start, end, step_s = datetime.fromisoformat(query["start"]), datetime.fromisoformat(query["end"]), float(query["step_s"])
    times = [start.timestamp() + i * step_s for i in range(int((end - start).total_seconds() // step_s))]
    rows: dict[str, list[float | None]] = {name: [] for name in ("load_w", "import_w", "p1_w", "p2_w", "p3_w", "p4_w", "soc_pct")}
    soc = 62.0
    for index, t in enumerate(times):
        hour = (t / 3600) % 24
        load = 120 + 60 * sin(hour / 24 * 2 * pi * 3) + (140 if index % 23 < 4 else 0) + (90 if 17 <= hour < 22 else 0)
        pv = max(0.0, 170 * sin((hour - 7) / 11 * pi)) if 7 <= hour <= 18 else 0.0
        battery = 17 <= hour < 21
        charging = 260.0 if 1 <= hour < 3.5 else 0.0
        soc = min(95.0, max(20.0, soc + (charging + pv * 0.9 - (load * 1.15 if battery else 9)) * step_s / 3600 / 1152 * 100))
        gap = 100 <= index < 106
        row = {
            "load_w": load,
            "p1_w": 0.0 if battery else load,
            "p2_w": charging,
            "p3_w": load if battery else 0.0,
            "p4_w": pv,
            "import_w": (0.0 if battery else load) + charging,
            "soc_pct": soc,
        }
        for name, value in row.items():
            rows[name].append(None if gap else round(value, 1))
    return {"start": query["start"], "end": query["end"], "step_s": step_s, "times": times, "series": rows}


def energy(query: dict[str, str]) -> list[dict[str, Any]]:
    """The same for each day that the time touches."""
    start, end = datetime.fromisoformat(query["start"]), datetime.fromisoformat(query["end"])
    flows = {"load": 3600.0, "import": 3300.0, "p1": 3000.0, "p2": 300.0, "p3": 600.0, "p4": 250.0, "avoided": 300.0}
    rows = []
    while start < end:
        first = start.replace(hour=0, minute=0, second=0, microsecond=0)
        covered = {"metered": 1.0, **dict.fromkeys(flows, 1.0)}
        rows.append({"start": first.isoformat(), "covered": covered, **{f"{name}_wh": value for name, value in flows.items()}})
        start = first + timedelta(days=1)
    return rows


class House:
    """A running gateway; `client` speaks to its bus, `get` and `post` to its page."""

    def __init__(self, folder: Path, *, web: dict[str, Any] | None = None, deployment: Deployment | None = None, **changes: Any) -> None:
        (folder / "broker").mkdir()
        self.broker = TestBroker("mosquitto", folder / "broker")
        self.recorder = StandInRecorder()
        shipped = load_station(SHIPPED)
        self.station = station_with(
            **{
                "broker": shipped.broker.model_copy(update={"port": self.broker.port}),
                "web": shipped.web.model_copy(update={"port": free_port(), **(web or {})}),
                "recorder": shipped.recorder.model_copy(
                    update={"api": shipped.recorder.api.model_copy(update={"port": self.recorder.server_port})}
                ),
                **changes,
            }
        )
        self.url = f"http://127.0.0.1:{self.station.web.port}"
        self.var = folder / "var"
        self.deployment = deployment or Deployment()
        self.controller: StandInController
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway house", daemon=True)
        self._tasks: list[asyncio.Task[None]] = []

    def __enter__(self) -> Self:
        self.broker.start()
        self.client = PlainClient("127.0.0.1", self.broker.port).__enter__()
        self._thread.start()
        self._begin(self._control())
        self.start_gateway()
        return self

    def __exit__(self, *_: object) -> None:
        while self._tasks:
            self._end(self._tasks.pop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.client.__exit__()
        self.recorder.close()
        self.broker.close()

    def ready(self) -> bool:
        try:
            health = requests.get(f"{self.url}/healthz", timeout=2).json()
        except requests.ConnectionError:
            return False
        return bool(health["bus"]) and self.controller.bus.connected

    def start_gateway(self) -> None:
        self._begin(run(self._context()))
        wait_until(self.ready, 15, what="the gateway and the stand-in controller")

    def stop_gateway(self) -> None:
        self._end(self._tasks.pop())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        async def begin() -> None:
            self._tasks.append(asyncio.create_task(work))

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result(5)

    def _end(self, task: "asyncio.Task[None]") -> None:
        async def end() -> None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(15)

    def _context(self) -> Context:
        return Context(station=self.station, clock=SystemClock(), var=self.var, deployment=self.deployment)

    async def _control(self) -> None:
        async with self._context().bus("controller") as bus:
            self.controller = StandInController(bus, self.station)
            await asyncio.Event().wait()

    def publish(self, topic: str, message: dict[str, Any], *, retain: bool = False) -> None:
        stamped = {"ts": now_text(), **message}
        self.client.publish(f"sps/{self.station.station}/{topic}", stamped, retain=retain)

    def withdraw(self, topic: str) -> None:
        """Empty a retained topic."""
        self.client.publish(f"sps/{self.station.station}/{topic}", "", retain=True)

    def readings(self, *, soc_pct: float | None = 63.0, ac_output_on: bool = True, **power_w: float | None) -> None:
        """One round of readings: p1 to p4 in watts, and the battery's."""
        for position, power in power_w.items():
            self.publish(f"position/{position}/reading", {"power_w": power, "voltage_v": 230.0, "device": "test"})
        self.publish("battery/reading", {"soc_pct": soc_pct, "ac_output_on": ac_output_on, "device": "test"})

    def relay(self, position: str, *, on: bool | None, fault: str | None = None) -> None:
        self.publish(f"relay/{position}/state", {"on": on, "confirmed_by": "power", "fault": fault}, retain=True)

    def decision(self, *, phase: str = "normal", mode: int = 2, reason: str = "nothing to do", **more: Any) -> None:
        state = {"phase": phase, "mode_commanded": mode, "mode_confirmed": mode, "reason": reason, "reason_code": "test", **more}
        self.publish("controller/state", state, retain=True)

    def event(self, event_id: str, *, status: str = "scheduled", start_s: float = 3600, lasts_s: float = 3600, **more: Any) -> None:
        """An event that starts so many seconds from now."""
        start = datetime.now(UTC) + timedelta(seconds=start_s)
        body = {
            "id": event_id,
            "revision": 0,
            "start": start.isoformat(),
            "end": (start + timedelta(seconds=lasts_s)).isoformat(),
            "goal": {"kind": "minimize"},
            "methods": ["replacement"],
            "priority": 0,
            "status": status,
            **more,
        }
        self.publish(f"event/{event_id}", body, retain=True)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=10, **options)

    def post(self, path: str, body: object = None, **options: Any) -> requests.Response:
        return requests.post(self.url + path, json={} if body is None else body, timeout=10, **options)


def now_text() -> str:
    return datetime.now(UTC).isoformat()
