"""`python -m services.gateway.documents` writes the REST API's own description for people and tools: `docs/api/openapi.json`."""

import json
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from fastapi import FastAPI

from services.bus.client import Bus
from services.bus.clock import SystemClock
from services.bus.runtime import load_station
from services.gateway import sharing_loop
from services.gateway.access.control import OFF, Control, Settings
from services.gateway.app import create_app
from services.gateway.desk import Desk
from services.gateway.notify.notifier import Notifier
from services.gateway.routes.state import stream_of
from services.gateway.security import Names

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "api" / "openapi.json"


def bare_app(settings: Settings = OFF) -> FastAPI:
    """The application without a bus behind it: its routes and its description are those of the running one."""
    station, clock = load_station(ROOT / "config" / "station.yaml"), SystemClock()
    bus = Bus(station.station, "gateway", (station.broker.host, station.broker.port), clock=clock, jitter=Random(0))  # noqa: S311
    desk = Desk(station, clock, bus, station.preferences)
    names, control = Names(frozenset({"testserver"})), Control(settings, clock.monotonic)
    with TemporaryDirectory() as folder:
        desk.sharing = sharing_loop.joined(desk, Path(folder), Random(0))  # noqa: S311
        app = create_app(desk, stream_of(desk), names, control, Notifier(desk, Path(folder) / "notified.json"))
        desk.sharing.sent.close()
    return app


def text() -> str:
    """The OpenAPI document; the same for the same routes."""
    return json.dumps(bare_app().openapi(), indent=2, ensure_ascii=False) + "\n"


def main(file: Path) -> None:
    """Write the document to `file`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
