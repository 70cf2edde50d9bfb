"""What to make of one message from the aggregator: an event for the station, or why it is none. Pure."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.bus.decode import Refused, decode
from services.bus.messages.base import Payload, Utc
from services.bus.messages.events import EventCommand
from services.bus.uplink import old_form, signing
from services.bus.uplink.messages import MAX_EVENT_BYTES, AggregatorEvent
from services.core.config.policy import Duration, GoalSection
from services.core.events import START_GRACE, BadValue
from services.core.goals import Method
from services.core.problems import shortened
from services.core.sharing import AnswerReason
from services.core.sharing_values import as_event_id, as_whole

Way = Literal["all", "one", "old"]
"""Over which topic it came: to all stations, to this one, or in the old form."""
REPLAY_WINDOW = timedelta(days=30)
"""A signed message older than this is refused: its nonce is no longer remembered."""
AHEAD = timedelta(minutes=10)
"""How far the aggregator's clock may be ahead of ours."""
IMMEDIATE_WITHIN = timedelta(minutes=15)
"""So long after it was sent an old-form event `immediate` still means at once."""
WORTH_JOINING = timedelta(minutes=5)
"""An event that has begun is joined if at least so much of it is left."""


class Signal(Payload):
    """An event as the aggregator meant it, whichever form it came in."""

    id: str
    revision: int
    action: Literal["schedule", "cancel"]
    start: Utc | None = None
    duration: Duration | None = None
    goal: GoalSection | None = None
    methods: tuple[Method, ...] | None = None
    priority: int = 0
    test: bool = False
    notice: str = ""
    programme: str | None = None
    form: Literal["json", "old"]
    kid: str | None = None
    nonce: str | None = None
    sent: Utc
    received: Utc
    digest: str
    """Of the message as it came: the same message again is the same event."""


class Refusal(ValueError):
    """Why a message is not taken, for the log and the page, and as a code for its sender."""

    def __init__(
        self,
        reason: AnswerReason,
        message: str,
        *,
        field: str = "",
        value: str = "",
        remedy: str = "",
        event: tuple[str, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.value = value
        self.remedy = remedy
        self.event = event
        """Id and revision of the event it is about, where that much is certain."""


@dataclass(frozen=True)
class Rules:
    """Whom this station believes, and in which words."""

    network: str
    name: str
    forms: tuple[str, ...]
    require_signed: bool
    keys: Mapping[str, Ed25519PublicKey]
    zone: ZoneInfo
    length_of: Callable[[str, datetime], timedelta | None] = lambda _programme, _start: None
    """How long an event of a programme lasts, by the old form's word for it."""


def digest(payload: bytes) -> str:
    """What tells one message from another."""
    return hashlib.blake2b(payload, digest_size=16).hexdigest()


def judge(way: Way, payload: bytes, rules: Rules, now: datetime) -> Signal:
    """The event in `payload`. Raises Refusal."""
    if len(payload) > MAX_EVENT_BYTES:
        remedy = f"send at most {MAX_EVENT_BYTES} bytes"
        raise Refusal(
            AnswerReason.BAD_MESSAGE, f"it has {len(payload)} bytes", field="payload", value=shortened(payload[:40]), remedy=remedy
        )
    return _old(payload, rules, now) if way == "old" else _json(way, payload, rules, now)


def _old(payload: bytes, rules: Rules, now: datetime) -> Signal:
    try:
        event = old_form.parse(payload, rules.zone)
    except BadValue as bad:
        raise Refusal(AnswerReason.BAD_MESSAGE, str(bad), field=bad.field, value=shortened(bad.value), remedy=bad.remedy) from None
    start = event.start
    if event.immediate and start < now <= event.sent + IMMEDIATE_WITHIN:
        start = now
    return Signal(
        id=event.id,
        revision=0,
        action="schedule",
        start=start,
        duration=rules.length_of(event.programme, event.start),
        programme=None,
        notice=event.programme,
        form="old",
        sent=event.sent,
        received=now,
        digest=digest(event.id.encode()),
    )


def _json(way: Way, payload: bytes, rules: Rules, now: datetime) -> Signal:
    body, kid = _verified(payload, rules)
    try:
        event = decode(AggregatorEvent, body)
    except Refused as refused:
        first = refused.problems[0]
        message = f"{first.field or 'the message'} is refused"
        raise Refusal(
            AnswerReason.BAD_MESSAGE, message, field=first.field, value=first.value, remedy=first.remedy, event=_about(body)
        ) from None
    about = event.id, event.revision
    if event.network not in (None, rules.network) or event.station not in (None, rules.name):
        value = f"{event.network or rules.network}/{event.station or rules.name}"
        remedy = f"this is {rules.name} of {rules.network}"
        raise Refusal(AnswerReason.WRONG_NETWORK, "it is for another network or station", field="network", value=value, remedy=remedy)
    if kid is not None:
        _bound(way, event, now)
    return Signal(
        id=about[0],
        revision=about[1],
        action=event.action,
        start=event.start,
        duration=event.duration,
        goal=event.goal,
        methods=event.methods,
        priority=event.priority,
        test=event.test,
        notice=event.notice,
        programme=event.programme,
        form="json",
        kid=kid,
        nonce=event.nonce if kid is not None else None,
        sent=event.ts,
        received=now,
        digest=digest(payload),
    )


def _verified(payload: bytes, rules: Rules) -> tuple[bytes, str | None]:
    if not signing.looks_signed(payload):
        if rules.require_signed:
            remedy = "sign events with one of aggregator.keys, or set aggregator.require_signed: false"
            raise Refusal(AnswerReason.BAD_SIGNATURE, "it is not signed", field="signature", remedy=remedy, event=_about(payload))
        return payload, None
    try:
        signed = signing.verify(payload, rules.keys)
    except signing.BadSignature as bad:
        raise Refusal(AnswerReason.BAD_SIGNATURE, str(bad), field="signature") from None
    return signed.payload, signed.kid


def _about(body: bytes) -> tuple[str, int] | None:
    """Which event a message that is refused is about, if it says so in good form."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    event_id = as_event_id(found.get("id")) if isinstance(found, dict) else None
    return None if event_id is None else (event_id, as_whole(found.get("revision")) or 0)


def _bound(way: Way, event: AggregatorEvent, now: datetime) -> None:
    """A signed event says for whom it is and when it was sent, so that nobody can carry it elsewhere or send it again."""
    needed = {"network": event.network, "nonce": event.nonce} | ({"station": event.station} if way == "one" else {})
    for name, value in needed.items():
        if value is None:
            raise Refusal(AnswerReason.BAD_MESSAGE, f"a signed event needs {name}", field=name, remedy=f"put {name} into what is signed")
    if not now - REPLAY_WINDOW <= event.ts <= now + AHEAD:
        remedy = f"send it anew; a signed event is taken within {REPLAY_WINDOW.days} days, and at most {AHEAD.seconds // 60} min ahead"
        about = event.id, event.revision
        raise Refusal(
            AnswerReason.REPLAYED, "it is too old, or ahead of time", field="ts", value=event.ts.isoformat(), remedy=remedy, event=about
        )


def command_of(signal: Signal, now: datetime, usual: timedelta) -> EventCommand | None:
    """What the controller is to be told; None for an event that is over. One that has begun is joined for the rest of it."""
    if signal.action == "cancel" or signal.start is None:
        return EventCommand(action="cancel", id=signal.id, revision=signal.revision)
    start, duration = signal.start, signal.duration
    if start < now - START_GRACE:
        left = start + (usual if duration is None else duration) - now
        if left < WORTH_JOINING:
            return None
        start, duration = now, left
    return EventCommand(
        action="schedule",
        id=signal.id,
        revision=signal.revision,
        start=start.isoformat(),
        duration=duration,
        goal=signal.goal,
        methods=signal.methods,
        priority=signal.priority,
        test=signal.test,
    )
