"""An uploader with everything around it: a journal behind the recorder's real query API, and a server to send to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from services.bus import web
from services.bus.clock import SystemClock
from services.core.config.aggregator import AggregatorHttp
from services.core.config.station import Endpoint
from services.core.preferences import SharingLevel
from services.gateway.aggregator_link import uploading
from services.gateway.aggregator_link.collecting import Collector
from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.aggregator_link.posting import Poster
from services.gateway.aggregator_link.sending import Sender
from services.gateway.aggregator_link.sent_log import SentLog
from services.gateway.aggregator_link.uploading import Uploader
from services.gateway.recorder_link import RecorderLink
from services.recorder.api import create_app
from services.recorder.history import History
from services.recorder.journal import FILE_NAME, Journal
from tests.support.misbehaving import Aggregator
from tests.support.ports import free_port
from tests.support.waiting import wait_for

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ABLE = {"capacity_wh": 1152.0, "power_w": 1800.0, "pledge_w": 150.0, "programme": "coned-csrp"}


@dataclass
class NoEvents:
    """Nothing but readings."""

    stamps: dict[str, str] = field(default_factory=dict)

    def ids(self) -> list[tuple[str, datetime | None]]:
        return [(event_id, None) for event_id in self.stamps]

    def stamp(self, event_id: str) -> str:
        return self.stamps[event_id]


@contextlib.asynccontextmanager
async def query_api(journal: Path) -> AsyncIterator[str]:
    """The recorder's own, over `journal`; its address."""
    endpoint = Endpoint(port=free_port())
    app = create_app(
        History(journal),
        SystemClock(),
        max_gap_s=lambda: 150,
        account=lambda _: None,
        committed_until=lambda: None,
        settled_ms=lambda: 0,
    )
    task = asyncio.create_task(web.serve(app, web.listen(endpoint)))
    try:
        yield f"http://127.0.0.1:{endpoint.port}"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@dataclass
class Rig:
    """One station's upload, begun and ended as often as a test likes."""

    folder: Path
    recorder: str
    server: Aggregator
    settings: dict[str, Any] = field(default_factory=dict)
    followed: NoEvents = field(default_factory=NoEvents)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gateway = self.folder / "var" / "gateway"
        self.gateway.mkdir(parents=True, exist_ok=True)
        self.consent = ConsentBook(self.gateway)
        self.sent = SentLog(self.gateway)

    def share(
        self, level: SharingLevel, switches: Mapping[str, bool] | None = None, *, since: datetime | None = None, past: bool = False
    ) -> None:
        self.consent.choose(level, switches or {}, since or datetime.now(UTC), share_past=past)

    def make(self) -> Uploader:
        http = AggregatorHttp.model_validate({"url": self.server.url, "batch_records": 100, "timeout_s": 1.0, **self.settings})
        collector = Collector(RecorderLink(self.recorder), "Borough", "demo")
        return Uploader(
            collector,
            Poster(Sender(http, self.folder / "var"), self.sent, SystemClock(), self.server.url),
            self.consent,
            Random(1),
            batch_records=http.batch_records,
            followed=self.followed,
            able=ABLE,
            tell=lambda message, _remedy: self.told.append(message),
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Uploader]:
        uploader = self.make()
        task = asyncio.create_task(uploader.run())
        try:
            yield uploader
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until_idle(self, uploader: Uploader, within_s: float = 30.0) -> None:
        await wait_for(lambda: uploader.progress.state in ("idle", "off"), within_s, what=f"the upload to be done: {uploader.progress}")


@contextlib.contextmanager
def quick(monkeypatch: Any) -> Iterator[None]:
    """Waits of the uploader that a test can sit out."""
    monkeypatch.setattr(uploading, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(uploading, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(uploading, "IDLE_S", 0.2)
    yield


def fill(folder: Path, rows: int, *, step_s: float = 60) -> Path:
    """A journal with that many rows."""
    path = folder / "var" / FILE_NAME
    journal = Journal(path)
    journal.append_rows(_rows(rows, step_s))
    journal.close()
    return path


def _rows(count: int, step_s: float) -> Iterable[tuple[datetime, dict[str, float]]]:
    for i in range(count):
        figures = {"p1_w": float(i % 500), "p3_w": 20.0, "p2_w": 0.0, "p4_w": 5.0, "soc_pct": 50.0 + i % 40}
        yield START + timedelta(seconds=i * step_s), figures
