"""Sharing as the page sees it: the consent that holds, what it would send, and the link that sends it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

from services.bus.clock import Clock
from services.core.config.policy import PreferencesSection
from services.core.config.station import Station
from services.core.consent import ALWAYS, Consent, Grants, Life
from services.core.preferences import SharingLevel
from services.core.sharing import shared, shared_rows
from services.core.sharing_fields import FIELDS, LEVELS, RecordKind
from services.gateway.aggregator_link.answers import reason_of
from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.aggregator_link.judging import Signal
from services.gateway.aggregator_link.link import AggregatorLink, able
from services.gateway.aggregator_link.sent_log import SentLog
from services.gateway.aggregator_link.table_uploading import TableUploader
from services.gateway.heard import Heard
from services.gateway.problems import ApiError
from services.gateway.recorder_link import RecorderLink
from services.gateway.sharing_models import (
    ExampleRecord,
    ExampleView,
    FieldView,
    LinkView,
    NoteView,
    SharingView,
    SignalsView,
    UploadView,
)  # fmt: skip

NOTES_SHOWN = 20
_SHOWN: Mapping[RecordKind, Literal["answers", "event", "hourly", "full"]] = {
    RecordKind.ANSWERS: "answers",
    RecordKind.EVENT: "event",
    RecordKind.HOURLY: "hourly",
    RecordKind.FULL: "full",
}


def narrower(one: PreferencesSection, life: Life) -> PreferencesSection:
    """What both the preferences and the last consent allow: they differ only if a change was cut off in the middle."""
    last = life.now
    if last is None:
        return one
    level = min(one.sharing, last.level, key=LEVELS.index)
    switches = dict(one.sharing_fields)
    for shared_field in FIELDS:
        if last.switches.get(shared_field.name, shared_field.default_on) is False:
            switches[shared_field.name] = False
    return one.model_copy(update={"sharing": level, "sharing_fields": switches})


@dataclass
class Sharing:
    """The gateway's parts that have to do with sharing."""

    station: Station
    clock: Clock
    heard: Heard
    recorder: RecorderLink
    consent: ConsentBook
    sent: SentLog
    link: AggregatorLink | None = None

    def choose(self, chosen: PreferencesSection, *, share_past: bool) -> None:
        """Let this hold from now on. Raises OSError when it cannot be kept; then no more leaves than before, nor more than this."""
        self.consent.choose(chosen.sharing, chosen.sharing_fields, self.clock.now(), share_past=share_past)

    def view(self, preferences: PreferencesSection) -> SharingView:
        """What is shared, and how the link stands."""
        consent = Consent(ALWAYS, preferences.sharing, preferences.sharing_fields)
        fields = tuple(
            FieldView(name=one.name, kind=_SHOWN[one.kind], on=consent.includes(one.name), default_on=one.default_on, meaning=one.meaning)
            for one in FIELDS
        )
        notes = () if self.link is None or self.link.inbox is None else tuple(self.link.inbox.notes)[:NOTES_SHOWN]
        received = tuple(NoteView(**asdict(note)) for note in notes)
        return SharingView(level=preferences.sharing, fields=fields, link=self._link_view(), received=received)

    def _link_view(self) -> LinkView:
        if self.link is None:
            off = UploadView(state="off", detail="the station file names no aggregator", last_sent=None, pending_rows=0)
            return LinkView(network=None, mqtt=SignalsView(state="off", detail="", since=None), upload=off)
        state, detail, since = self.link.mqtt_state()
        upload = self.link.upload_state()
        return LinkView(
            network=self.link.settings.network,
            mqtt=SignalsView.model_validate({"state": state, "detail": detail, "since": since}),
            upload=UploadView(
                state=upload.state,
                detail=upload.detail,
                last_sent=self.sent.last_sent(),
                pending_rows=None if upload.more else upload.pending,
                until=upload.until,
            ),
        )

    async def example(self, level: SharingLevel, switches: Mapping[str, bool]) -> ExampleView:
        """What would be sent now under that choice: by the function that decides, from the latest that there is.

        By the routes that the station file has; without an aggregator by all, for what it would look like.
        """
        grants = Grants.of(Life((Consent(ALWAYS, level, switches, share_past=True),)))
        settings = None if self.link is None else self.link.settings
        found: list[ExampleRecord] = []
        missing: list[str] = []
        if settings is None or settings.mqtt is not None:
            found += self._over_mqtt(grants)
            if self._latest_event() is None:
                missing.append("no event of the aggregator's is known yet, so there is no answer to show")
        uploader = None if self.link is None else self.link.uploader
        try:
            if isinstance(uploader, TableUploader):
                await self._into_tables(uploader, grants, found)
            elif settings is None or uploader is not None:
                await self._over_http(grants, found)
        except ApiError as error:
            missing.append(error.problem.message)
        return ExampleView(records=tuple(found), none_because="; ".join(missing) or None)

    def _over_mqtt(self, grants: Grants) -> list[ExampleRecord]:
        found: list[ExampleRecord] = []
        if (event_id := self._latest_event()) is not None:
            event = self.heard.events[event_id]
            answer = {"id": event.id, "revision": event.revision, "status": event.status.value, "reason": reason_of(event).value}
            _put(found, RecordKind.ANSWERS, answer | {"ts": self.clock.now()}, grants)
        _put(found, RecordKind.ONLINE, {"online": True, "ts": self.clock.now()}, grants)
        return found

    async def _over_http(self, grants: Grants, found: list[ExampleRecord]) -> None:
        _put(found, RecordKind.REGISTRATION, able(self.station), grants)
        event_id = self._latest_event()
        if event_id is not None and grants.begins(RecordKind.EVENT) is not None:
            _put(found, RecordKind.EVENT, await self.recorder.get(f"/api/events/{event_id}/report"), grants)
        if grants.begins(RecordKind.HOURLY) is not None:
            _put(found, RecordKind.HOURLY, await self._last_hour(), grants)
        if grants.begins(RecordKind.FULL) is not None and (row := await self._last_row(grants)) is not None:
            found.append(ExampleRecord(kind="full", record=row))

    async def _into_tables(self, uploader: TableUploader, grants: Grants, found: list[ExampleRecord]) -> None:
        now = self.clock.now()
        for kind, record in (("table live", uploader.live), ("table analysis", uploader.analysis)):
            if (left := await record(grants, now)) is not None:
                found.append(ExampleRecord(kind=kind, record=dict(left)))

    def called(self, event_id: str) -> Signal | None:
        """The aggregator's last word about an event; None for one that it never sent."""
        known = None if self.link is None else self.link.store.last(event_id)
        return None if known is None else known.signal

    def _latest_event(self) -> str | None:
        """The aggregator's latest event; without an aggregator any event, for what it would look like."""
        known = set(self.heard.events) if self.link is None else set(self.heard.events) & set(self.link.store.known)
        return max(known, key=lambda event_id: self.heard.events[event_id].start, default=None)

    async def _last_hour(self) -> dict[str, Any] | None:
        end = self.clock.now().replace(minute=0, second=0, microsecond=0)
        span = {"start": (end - timedelta(hours=1)).isoformat(), "end": end.isoformat()}
        hours = await self.recorder.get("/api/hours", span)
        charge = await self.recorder.get("/api/series", {**span, "names": "soc_pct", "step_s": "300"})
        try:
            return {**hours[-1], "soc_pct": charge["series"]["soc_pct"][-1]}
        except (KeyError, IndexError, TypeError):
            return None

    async def _last_row(self, grants: Grants) -> dict[str, Any] | None:
        # Rows are handed out once they are settled, a real minute behind; in a fast simulation that is hours.
        start = (self.clock.now() - timedelta(seconds=max(600.0, 180.0 * self.clock.speed))).isoformat()
        answer = await self.recorder.get("/api/rows", {"start": start, "limit": "1000"})
        rows = shared_rows(answer.get("columns", ()), answer.get("rows", ()), grants) if isinstance(answer, dict) else []
        return rows[-1] if rows else None


def _put(found: list[ExampleRecord], kind: RecordKind, record: Mapping[str, Any] | None, grants: Grants) -> None:
    """Put into `found` what of `record` may leave, if anything."""
    if record is not None and (left := shared(kind, record, grants)) is not None:
        found.append(ExampleRecord(kind=kind.value, record=left))
