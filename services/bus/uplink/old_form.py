"""The paired network's older form: `event#type#start_time#timestamp` in, and words between the same marks out."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from services.core.events import BadValue, EventStatus

MARK = "#"
FIELDS = ("event", "type", "start_time", "timestamp")
TYPES = ("contingency", "immediate")
"""`contingency` starts at its start time; `immediate` at once, where it names no later one."""
MAX_BYTES = 512
_FORMAT = "%Y-%m-%d %H:%M:%S"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}")
_HOUR = re.compile(r"\d{1,2}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")


@dataclass(frozen=True, slots=True)
class OldEvent:
    """One event in the older form, its local times made plain."""

    programme: str
    """The word in `event`: the programme, such as CSRP."""
    immediate: bool
    start: datetime
    sent: datetime
    id: str
    """Derived from programme and start, so that the same event, sent each minute, is one."""


def parse(payload: bytes, zone: ZoneInfo) -> OldEvent:
    """The event in `payload`. Times are local in `zone`. Raises BadValue naming the field, its value and the remedy."""
    if len(payload) > MAX_BYTES:
        raise BadValue("payload", f"{len(payload)} bytes", f"send at most {MAX_BYTES} bytes")
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise BadValue("payload", repr(payload[:40]), f"byte {error.start} is not UTF-8") from None
    parts = [part.strip() for part in text.split(MARK)]
    if len(parts) != len(FIELDS):
        raise BadValue("payload", text[:80], f"it has {len(parts)} fields; send {MARK.join(FIELDS)}")
    programme, kind, start_text, sent_text = parts
    if _NAME.fullmatch(programme) is None:
        raise BadValue("event", programme[:80], "use a name such as CSRP, of 1 to 32 letters, digits, spaces and . _ -")
    if kind.lower() not in TYPES:
        raise BadValue("type", kind[:80], f"use {' or '.join(TYPES)}")
    sent = _instant("timestamp", sent_text, zone)
    if _HOUR.fullmatch(start_text):
        # The oldest stations are sent a bare hour of the day on which it was sent.
        if int(start_text) > 23:
            raise BadValue("start_time", start_text, "an hour is 0 to 23")
        start_text = f"{sent_text[:10]} {int(start_text):02}:00:00"
    start = _instant("start_time", start_text, zone)
    immediate = kind.lower() == "immediate"
    word = re.sub(r"[^a-z0-9]+", "-", programme.lower()).strip("-") or "event"
    digest = hashlib.sha256(f"{programme}|{kind.lower()}|{start.isoformat()}".encode()).hexdigest()[:6]
    return OldEvent(programme, immediate, start, sent, f"{word}-{start:%Y%m%d-%H%M}-{digest}")


def event_text(programme: str, kind: str, start: datetime, sent: datetime, zone: ZoneInfo) -> str:
    """The older form of an event, for whoever sends it."""
    return MARK.join((programme, kind, _local(start, zone), _local(sent, zone)))


def answer_text(event_id: str, status: EventStatus, start: datetime, now: datetime, zone: ZoneInfo) -> str:
    """What a station says to an event: `id#status#start_time#timestamp`, local times."""
    return MARK.join((event_id, status.value, _local(start, zone), _local(now, zone)))


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime(_FORMAT)


def _instant(field: str, text: str, zone: ZoneInfo) -> datetime:
    """The instant of a local time; one that came twice is the first of the two. Raises BadValue."""
    if _TIME.fullmatch(text) is None:
        raise BadValue(field, text[:80], 'use local time as "2026-07-01 16:00:00"')
    try:
        local = datetime.fromisoformat(text).replace(tzinfo=zone)
        instant = local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadValue(field, text[:80], 'there is no such date or time; use local time as "2026-07-01 16:00:00"') from None
    if instant.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        later = instant.astimezone(zone)
        raise BadValue(field, text[:80], f"clocks in {zone.key} were put forward over it; did you mean {later:%H:%M}?")
    return instant
