"""What a person chose to share over time, and what that allows now. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from services.core.preferences import SharingLevel
from services.core.sharing_fields import FIELDS, ON_LEVEL, RecordKind

ALWAYS = datetime.min.replace(tzinfo=UTC)
"""From when something may leave whose past was expressly included."""
MOST_CONSENTS = 200


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person chose at one moment."""

    since: datetime
    level: SharingLevel
    switches: Mapping[str, bool] = field(default_factory=dict)
    """Single fields switched on or off; those left out are as they come."""
    share_past: bool = False
    """What is shared from here on may leave with its past."""

    def includes(self, name: str) -> bool:
        """Whether the field `name` may leave under this consent."""
        shared = ON_LEVEL.get(name)
        return shared is not None and shared.within(self.level) and self.switches.get(name, shared.default_on) is True


@dataclass(frozen=True, slots=True)
class Life:
    """All consents, in their order: the last one holds."""

    consents: tuple[Consent, ...] = ()
    forgotten: int = 0
    """How many older ones were dropped; that can only hold more back."""

    @property
    def epoch(self) -> int:
        """Grows with each change."""
        return self.forgotten + len(self.consents)

    @property
    def now(self) -> Consent | None:
        """The consent that holds."""
        return self.consents[-1] if self.consents else None

    def granted_from(self, name: str) -> datetime | None:
        """From which time on records may carry the field `name`; None if it may not leave at all.

        Only the unbroken run of consents up to now counts: what was held back once stays held back, unless its past is expressly included.
        """
        granted: datetime | None = None
        for consent in reversed(self.consents):
            if not consent.includes(name):
                break
            granted = consent.since
            if consent.share_past:
                return ALWAYS
        return granted


def changed(life: Life, level: SharingLevel, switches: Mapping[str, bool], now: datetime, *, share_past: bool = False) -> Life:
    """`life` with a new choice from `now` on; the same choice again, without its past, changes nothing."""
    last = life.now
    if last is not None and not share_past and (last.level, dict(last.switches)) == (level, dict(switches)):
        return life
    since = now if last is None else max(now, last.since)  # a clock that was put back must not open what was closed
    consents = (*life.consents, Consent(since, level, MappingProxyType(dict(switches)), share_past))
    excess = max(len(consents) - MOST_CONSENTS, 0)
    return Life(consents[excess:], life.forgotten + excess)


@dataclass(frozen=True, slots=True)
class Grants:
    """What may leave now: each field's name, and from which time on its records may carry it."""

    since: Mapping[str, datetime]
    epoch: int

    @classmethod
    def of(cls, life: Life) -> "Grants":
        """The grants of `life`."""
        found = {one.name: life.granted_from(one.name) for one in FIELDS}
        return cls(MappingProxyType({name: since for name, since in found.items() if since is not None}), life.epoch)

    def allows(self, name: str, at: datetime) -> bool:
        """Whether a record about the time `at` may carry the field `name`."""
        since = self.since.get(name)
        return since is not None and at >= since

    def begins(self, kind: RecordKind) -> datetime | None:
        """From which time on there may be records of `kind` at all; None for none."""
        return min(self.of_kind(kind).values(), default=None)

    def of_kind(self, kind: RecordKind) -> dict[str, datetime]:
        """From which time on records of `kind` may carry each field that they may carry."""
        return {name: since for name, since in self.since.items() if ON_LEVEL[name].kind is kind}
