"""What was received from the aggregator, on disk: what is still to be delivered, what is known, and which nonces were used."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.bus.messages.base import Utc
from services.bus.state_file import read_state, write_atomic
from services.gateway.aggregator_link.judging import REPLAY_WINDOW, Signal

FILE = "inbox.json"
MOST_KNOWN = 1000
MOST_NONCES = 2000
MOST_PENDING = 100

Outcome = Literal["waiting", "delivered", "refused", "missed"]


class Known(BaseModel):
    """The last that was heard about one event."""

    model_config = ConfigDict(extra="ignore")

    signal: Signal
    outcome: Outcome = "waiting"
    why: str = ""
    answered: str = ""
    """Revision and status that the aggregator was last told, as `3 scheduled`."""


class _Nonce(BaseModel):
    kid: str
    nonce: str
    sent: Utc
    first: Utc
    digest: str


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    known: Annotated[tuple[Known, ...], Field(max_length=MOST_KNOWN)] = ()
    pending: tuple[Signal, ...] = ()
    nonces: tuple[_Nonce, ...] = ()
    floor: Utc | None = None
    """Signed messages sent at or before this are refused: their nonces had to make room."""
    presence: bool = False


class InboxStore:
    """Belongs to the event loop; `snapshot` and `write` part the reading of it from the slow writing."""

    def __init__(self, folder: Path) -> None:
        """What was kept in `folder`. Raises OSError; a damaged file counts as none, and `complaint` says so."""
        self._path = folder / FILE
        self.complaint: str | None = None
        self.known: OrderedDict[str, Known] = OrderedDict()
        self.pending: list[Signal] = []
        self._nonces: OrderedDict[tuple[str, str], _Nonce] = OrderedDict()
        self._floor: datetime | None = None
        self._texts: dict[int, tuple[BaseModel, str]] = {}
        self.presence = False
        """Whether the aggregator's broker keeps a word of ours about being online."""
        self._load()

    def last(self, event_id: str) -> Known | None:
        """What is known of an event; None for one that the aggregator never sent."""
        return self.known.get(event_id)

    def nonce_of(self, signal: Signal) -> tuple[datetime, str] | None:
        """When a signed message's nonce was first seen and on which message; None if it is new or there is none."""
        found = self._nonces.get((signal.kid or "", signal.nonce or ""))
        return None if found is None else (found.first, found.digest)

    def below_floor(self, signal: Signal) -> bool:
        """Whether its nonce may have been forgotten."""
        return signal.nonce is not None and self._floor is not None and signal.sent <= self._floor

    def distrust(self, until: datetime) -> None:
        """Refuse signed messages sent up to then: their nonces are not known any more."""
        self._floor = until if self._floor is None else max(self._floor, until)

    def take(self, signal: Signal, now: datetime) -> None:
        """Remember `signal` as to be delivered."""
        before = self.known.pop(signal.id, None)
        self.known[signal.id] = Known(signal=signal, answered=before.answered if before else "")
        while len(self.known) > MOST_KNOWN:
            self.known.popitem(last=False)
        # Of one event only the last word is still worth delivering, a cancellation after its schedule apart.
        waiting = self.pending_of(signal.id)
        overtaken = waiting[-1] if waiting and waiting[-1].action == signal.action else None
        self.pending = [one for one in self.pending if one is not overtaken]
        self.pending.append(signal)
        if signal.nonce is not None and signal.kid is not None:
            self._note_nonce(signal, now)

    def pending_of(self, event_id: str) -> list[Signal]:
        """What is still to be delivered of one event, in the order in which it came."""
        return [one for one in self.pending if one.id == event_id]

    def settle(self, signal: Signal, outcome: Outcome, why: str = "") -> None:
        """`signal` needs no more delivering."""
        self.pending = [one for one in self.pending if one is not signal]
        if (known := self.known.get(signal.id)) is not None and known.signal == signal:
            self.known[signal.id] = known.model_copy(update={"outcome": outcome, "why": why[:300]})

    def told(self, event_id: str, answer: str) -> None:
        """The aggregator was told `answer` about an event."""
        if (known := self.known.get(event_id)) is not None:
            self.known[event_id] = known.model_copy(update={"answered": answer})

    def snapshot(self) -> bytes:
        """All of it, to be written."""
        before, self._texts = self._texts, {}
        known, pending, nonces = (self._joined(part, before) for part in (self.known.values(), self.pending, self._nonces.values()))
        rest = _File(floor=self._floor, presence=self.presence).model_dump_json(exclude={"known", "pending", "nonces"})
        return f'{{"known":[{known}],"pending":[{pending}],"nonces":[{nonces}],{rest[1:]}'.encode()

    def _joined(self, models: Iterable[BaseModel], before: Mapping[int, tuple[BaseModel, str]]) -> str:
        """As JSON. Of a thousand events one or two have changed since the last time: the others' texts are at hand."""
        texts = []
        for model in models:
            # Held by what it is kept with, a model's id is nobody else's.
            kept = before.get(id(model)) or (model, model.model_dump_json())
            self._texts[id(model)] = kept
            texts.append(kept[1])
        return ",".join(texts)

    def write(self, snapshot: bytes) -> None:
        """Keep a snapshot: on disk once this returns. From any thread, one at a time. Raises OSError."""
        write_atomic(self._path, snapshot)

    def _note_nonce(self, signal: Signal, now: datetime) -> None:
        kid, nonce = signal.kid or "", signal.nonce or ""
        self._nonces[kid, nonce] = _Nonce(kid=kid, nonce=nonce, sent=signal.sent, first=now, digest=signal.digest)
        for key in [key for key, one in self._nonces.items() if one.sent < now - REPLAY_WINDOW]:
            del self._nonces[key]
        while len(self._nonces) > MOST_NONCES:
            _, gone = self._nonces.popitem(last=False)
            self.distrust(gone.sent)

    def _load(self) -> None:
        if (data := read_state(self._path)) is None:
            return
        try:
            file = _File.model_validate_json(data)
        except ValidationError:
            self.complaint = f"{self._path} cannot be read and is begun anew; events that were not delivered yet are lost"
            return
        self.known = OrderedDict((one.signal.id, one) for one in file.known)
        self.pending = list(file.pending)
        self._nonces = OrderedDict(((one.kid, one.nonce), one) for one in file.nonces)
        self._floor = file.floor
        self.presence = file.presence
