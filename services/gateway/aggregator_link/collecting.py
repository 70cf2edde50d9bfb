"""From the recorder's answers to batches of what may leave: nothing gets into a body but by `services.core.sharing`."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from services.bus.messages.base import Utc
from services.bus.uplink.batches import Kind, idempotency_key
from services.core.consent import ALWAYS, Grants
from services.core.sharing import shared, shared_rows
from services.core.sharing_fields import RecordKind
from services.gateway.aggregator_link.packing import Packed
from services.gateway.aggregator_link.positions import Place
from services.gateway.aggregator_link.reading_ahead import ReadingAhead
from services.gateway.problems import ApiError, Problem
from services.gateway.recorder_link import RecorderLink

HOUR = timedelta(hours=1)
HOURS_AT_ONCE = 168
SETTLED = timedelta(minutes=5)
"""An hour is told this long after its end, when its readings are on disk."""
SOC_STEP_S = 300


class Resume(BaseModel):
    """What of a batch is kept beside its body, so that it is sent again as it is, even after a restart."""

    model_config = ConfigDict(frozen=True)

    key: str
    epoch: int
    place: Place | None = None
    events: dict[str, str] | None = None
    until: Utc | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Records ready to be sent, and where the station stands once they are taken."""

    kind: Kind
    epoch: int
    """Of the consent they were made under."""
    records: int
    body: Packed
    key: str
    place: Place | None = None
    """For the kinds that follow a cursor."""
    events: Mapping[str, str] | None = None
    """For the kind `event`: the digests."""
    until: datetime | None = None
    """Up to when the records reach."""
    more: bool = False

    def resume(self) -> str:
        """What is kept beside its body."""
        events = None if self.events is None else dict(self.events)
        return Resume(key=self.key, epoch=self.epoch, place=self.place, events=events, until=self.until).model_dump_json()

    @classmethod
    def resumed(cls, kind: Kind, records: int, body: Packed, resume: str) -> "Batch":
        """The batch that was begun. Raises ValueError if what was kept makes no sense."""
        kept = Resume.model_validate_json(resume)
        return cls(kind, kept.epoch, records, body, kept.key, kept.place, kept.events, kept.until, more=kept.place is not None)


@dataclass(frozen=True, slots=True)
class Collector:
    """Asks the recorder. Raises ApiError where it does not answer, or with what cannot be used."""

    recorder: RecorderLink
    network: str
    name: str
    _rows: ReadingAhead = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is asked yet."""
        object.__setattr__(self, "_rows", ReadingAhead(self.recorder))

    async def full(self, place: Place | None, grants: Grants, limit: int) -> Batch | None:
        """The readings that follow `place`; None where level `full` is not shared. A batch without records only moves on."""
        begins = grants.begins(RecordKind.FULL)
        if begins is None:
            return None
        place = _from(place, begins, grants.of_kind(RecordKind.FULL))
        question = {"limit": str(limit)}
        if place.cursor:
            question["after"] = place.cursor
        elif begins.year >= 2000:
            question["start"] = begins.isoformat()
        answer = await self._rows.ask(question)
        return await asyncio.to_thread(self._of_rows, answer, place, grants)

    def _of_rows(self, answer: Any, place: Place, grants: Grants) -> Batch:
        try:
            columns, rows, cursor, more = answer["columns"], answer["rows"], str(answer["cursor"]), bool(answer["more"])
        except (KeyError, TypeError):
            raise _unusable("rows") from None
        records = shared_rows(columns, rows, grants)
        until = datetime.fromisoformat(records[-1]["ts"]) if records else None
        return self._batch("full", records, grants, place, place.at(cursor), until, more=more)

    async def hours(self, place: Place | None, grants: Grants, now: datetime, limit: int) -> Batch | None:
        """The whole hours that follow `place`, at most `limit`; None where there is none, or level `hourly` is not shared."""
        begins = grants.begins(RecordKind.HOURLY)
        if begins is None:
            return None
        place = _from(place, begins, grants.of_kind(RecordKind.HOURLY))
        start = datetime.fromisoformat(place.cursor) if place.cursor else await self._first_hour(begins)
        if start is None:
            return None
        last = _hour_of(now - SETTLED)
        end = min(last, start + min(HOURS_AT_ONCE, limit) * HOUR)
        if end <= start:
            return None
        span = {"start": start.isoformat(), "end": end.isoformat()}
        hours = await self.recorder.get("/api/hours", span)
        charge = await self.recorder.get("/api/series", {**span, "names": "soc_pct", "step_s": str(SOC_STEP_S)})
        if not isinstance(hours, list):
            raise _unusable("hours")
        charges = _at_the_end_of_hours(charge)
        found = (
            shared(RecordKind.HOURLY, {**one, "soc_pct": charges.get(str(one.get("start")))}, grants) for one in hours if _within(one, end)
        )
        records = [record for record in found if record is not None]
        return self._batch("hourly", records, grants, place, place.at(end.isoformat()), end, more=end < last)

    async def event(self, event_id: str, grants: Grants) -> dict[str, Any] | None:
        """What of one event's figures may leave, as they stand now."""
        try:
            report = await self.recorder.get(f"/api/events/{event_id}/report")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return shared(RecordKind.EVENT, report, grants) if isinstance(report, dict) else None

    def events(self, records: Mapping[str, dict[str, Any]], grants: Grants) -> Batch:
        """The batch of several events' records, by id."""
        digests = {event_id: digest(record) for event_id, record in records.items()}
        cursor = hashlib.sha256("".join(digests.values()).encode()).hexdigest()[:16]
        return self._batch(
            "event", list(records.values()), grants, Place(begins=ALWAYS), Place(begins=ALWAYS, cursor=cursor), None, events=digests
        )

    async def _first_hour(self, begins: datetime) -> datetime | None:
        if begins != ALWAYS:
            return _hour_of(begins + HOUR - timedelta(microseconds=1))
        answer = await self.recorder.get("/api/rows", {"limit": "1"})
        try:
            return _hour_of(datetime.fromtimestamp(answer["rows"][0][0] / 1000, UTC))
        except (KeyError, TypeError, IndexError):
            return None

    def _batch(
        self,
        kind: Kind,
        records: list[dict[str, Any]],
        grants: Grants,
        before: Place,
        after: Place,
        until: datetime | None,
        *,
        more: bool = False,
        events: Mapping[str, str] | None = None,
    ) -> Batch:
        # How far the batch goes is told by its own records alone: the recorder's cursor knows of readings that are not shared.
        last = str((records[-1].get("ts") or records[-1].get("start")) if records else "")
        cursor = after.cursor if kind == "event" else last
        content = {"v": 1, "network": self.network, "kind": kind, "cursor": cursor, "records": records}
        body = to_json(content) if records else b""
        key = idempotency_key(self.name, kind, before.cursor, after.cursor, grants.epoch, body)
        place = None if kind == "event" else after
        return Batch(kind, grants.epoch, len(records), Packed.of(body), key, place, events, until, more)


def digest(record: Mapping[str, Any]) -> str:
    """What tells one state of an event's figures from another."""
    return hashlib.blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=12).hexdigest()


def _from(place: Place | None, begins: datetime, since: Mapping[str, datetime]) -> Place:
    """Where to go on: at `place`, or at the beginning where more of what lies before it may leave by now."""
    if place is None or not place.holds(begins, since):
        return Place(begins=begins, since=dict(since))
    return place.model_copy(update={"since": dict(since)})


def _at_the_end_of_hours(series: Any) -> dict[str, float]:
    """The state of charge in the last minutes of each hour, by the hour's start as the recorder writes it."""
    try:
        times, values = series["times"], series["series"]["soc_pct"]
        pairs = list(zip(times, values, strict=True))
    except (KeyError, TypeError, ValueError):
        raise _unusable("series") from None
    found = {}
    for at, value in pairs:
        if value is not None and (at + SOC_STEP_S) % 3600 == 0:
            start = datetime.fromtimestamp(at + SOC_STEP_S - 3600, UTC)
            found[start.isoformat(timespec="milliseconds").replace("+00:00", "Z")] = float(value)
    return found


def _within(one: object, end: datetime) -> bool:
    try:
        return isinstance(one, dict) and datetime.fromisoformat(one["start"]) < end
    except (KeyError, TypeError, ValueError):
        return False


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _unusable(what: str) -> ApiError:
    return ApiError(502, Problem(message=f"the recorder's answer holds no {what}", remedy="its log says more"))
