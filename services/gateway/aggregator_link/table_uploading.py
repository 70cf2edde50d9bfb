"""Keeps the station's two records in the paired network's tables up to date. A table holds the present, so nothing is kept for later."""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from services.core.consent import Grants
from services.core.sharing import shared, shared_rows
from services.core.sharing_fields import RecordKind
from services.gateway.aggregator_link import table
from services.gateway.aggregator_link.collecting import Collector
from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.aggregator_link.gate import Gate
from services.gateway.aggregator_link.packing import Packed
from services.gateway.aggregator_link.posting import Letter, Poster
from services.gateway.aggregator_link.progress import Followed, Progress
from services.gateway.aggregator_link.results import Outcome, Result
from services.gateway.problems import ApiError

log = logging.getLogger(__name__)

LIVE_EVERY_S = 60.0
"""Real seconds; the tables allow few requests."""
ANALYSIS_EVERY = timedelta(hours=1)
DAYS = timedelta(days=7)


class _Later(Exception):
    """It did not work out this time."""


@dataclass
class TableUploader:
    """Belongs to the event loop."""

    collector: Collector
    poster: Poster
    consent: ConsentBook
    random: Random
    followed: Followed
    able: Mapping[str, Any]
    who: table.Participant

    def __post_init__(self) -> None:
        self.progress = Progress()
        self._ids: dict[str, str] = {}
        self._analysed_at: Any = None

    def news(self) -> None:
        """It looks by itself."""

    async def forget(self) -> Result:
        """Tables know no deletion request."""
        return Result(Outcome.REFUSED, "a table has no deletion request: ask whoever keeps it", left=False)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._round()
            except (_Later, ApiError, OSError) as later:
                self._ids.clear()
                self.progress.state, self.progress.detail = "waiting", str(later)
                log.warning("table at %s: %s", self.poster.receiver, later)
            else:
                state = "idle" if self.consent.grants.begins(RecordKind.EVENT) else "off"
                self.progress.state, self.progress.detail = state, ""
            await self.poster.clock.sleep(LIVE_EVERY_S * self.random.uniform(0.9, 1.1))

    async def _round(self) -> None:
        grants, gate = self.consent.grants, Gate(self.consent.gate)
        now = self.poster.clock.now()
        if (fields := await self.live(grants, now)) is not None:
            record = await self._record("live", gate)
            await self._patch("/live", {"records": [{"id": record, "fields": fields}]}, "table live", gate)
        if self._analysed_at is None or now - self._analysed_at >= ANALYSIS_EVERY:
            if (analysis := await self.analysis(grants, now)) is not None:
                record = await self._record("analysis", gate)
                await self._patch(f"/analysis/{record}", {"fields": analysis}, "table analysis", gate)
            self._analysed_at = now

    async def live(self, grants: Grants, now: datetime) -> dict[str, str] | None:
        """The live record as `grants` let it be now. Raises ApiError."""
        return table.live(self.who, await self._latest_row(grants), shared(RecordKind.REGISTRATION, self.able, grants), now)

    async def analysis(self, grants: Grants, now: datetime) -> dict[str, str] | None:
        """The analysis record, likewise."""
        able = shared(RecordKind.REGISTRATION, self.able, grants)
        return table.analysis(self.who, await self._last_events(grants, now), await self._hours(grants), able, now)

    async def _latest_row(self, grants: Grants) -> dict[str, Any] | None:
        if grants.begins(RecordKind.FULL) is None:
            return None
        start = (self.poster.clock.now() - timedelta(minutes=5)).isoformat()
        answer = await self.collector.recorder.get("/api/rows", {"start": start, "limit": "1000"})
        rows = shared_rows(answer.get("columns", ()), answer.get("rows", ()), grants) if isinstance(answer, dict) else []
        return rows[-1] if rows else None

    async def _last_events(self, grants: Grants, now: datetime) -> list[dict[str, Any]]:
        """What is shared of the latest events, in their order; asked for no further back than the table looks."""
        if grants.begins(RecordKind.EVENT) is None:
            return []
        begun = sorted(((start, event_id) for event_id, start in self.followed.ids() if start is None or start <= now), key=_start)
        events: list[dict[str, Any]] = []
        for _, event_id in reversed(begun):
            if len(events) == table.LAST_EVENTS:
                break
            if (found := await self.collector.event(event_id, grants)) is not None:
                events.insert(0, found)
        return events

    async def _hours(self, grants: Grants) -> list[dict[str, Any]]:
        if grants.begins(RecordKind.HOURLY) is None:
            return []
        now = self.poster.clock.now()
        span = {"start": (now - DAYS).isoformat(), "end": now.replace(minute=0, second=0, microsecond=0).isoformat()}
        answer = await self.collector.recorder.get("/api/hours", span)
        found = (shared(RecordKind.HOURLY, one, grants) for one in answer if isinstance(one, dict)) if isinstance(answer, list) else ()
        return [one for one in found if one is not None]

    async def _record(self, name: str, gate: Gate) -> str:
        if name not in self._ids:
            result, answer = await asyncio.to_thread(self.poster.sender.get, table.query(name, self.who.name), gate)
            if result.outcome is not Outcome.TAKEN:
                raise _Later(result.detail)
            if (found := table.record_id(answer)) is None:
                raise _Later(f"table {name} has no record named {self.who.name}: have it made there once")
            self._ids[name] = found
        return self._ids[name]

    async def _patch(self, path: str, content: dict[str, Any], kind: str, gate: Gate) -> None:
        body = json.dumps(content, separators=(",", ":")).encode()

        letter = Letter("PATCH", path, Packed.of(body), kind, 1, packed=False)
        result, _ = await asyncio.to_thread(self.poster.post, letter, gate)
        if result.outcome not in (Outcome.TAKEN, Outcome.WITHDRAWN):
            raise _Later(result.detail)


def _start(one: tuple[datetime | None, str]) -> datetime:
    return one[0] or datetime.min.replace(tzinfo=UTC)
