"""Deferrable loads as the system sees them. Pure."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from services.core.modes import Hardware, Mode, refusal

Stage = Literal["off", "resuming", "resumed", "left"]


class LoadSeen(NamedTuple):
    """What is known of a load's relay now. None is unknown."""

    on: bool | None = None
    power_w: float | None = None
    by_hand: bool = False
    """Somebody switched it at the device, against our wish."""
    timer_fired: bool = False
    """Its own dead-man timer switched it on, against our wish."""


class ShiftRules(NamedTuple):
    """The person's limits for one load."""

    longest_off: timedelta
    off_within: timedelta
    resume_within: timedelta


@dataclass(frozen=True, slots=True)
class Shift:
    """One load in one event."""

    event_id: str
    stage: Stage
    """`off`: held off by us. `resuming`: commanded on, not yet seen on. `resumed`: it has its power back. `left`: not ours to switch."""
    off_at: datetime
    resume_at: datetime
    """When it gets its power back, at the latest."""
    event_end: datetime
    before_w: float | None = None
    """What it drew just before it was switched off."""
    deferred_wh: float = 0.0
    """What it would have drawn so far had it gone on so: `before_w` over the time it was seen off."""
    resumed_wh: float = 0.0
    """What it was measured to draw since it resumed, for as long as it had been off."""
    resumed_at: datetime | None = None
    note: str = ""
    """Why it is left alone."""

    @property
    def shifted_wh(self) -> float:
        """The energy that moved from the event to after it: put off, and measured to be drawn later. Never more than either."""
        return min(self.deferred_wh, self.resumed_wh)


def curtailment_refused(hardware: Hardware, switched_load: Sequence[str], always_on: Collection[str]) -> str | None:
    """Why the load behind P1 and P3 is never curtailed, in words; None if it may be, with its person's consent."""
    if (why := refusal(Mode.ALL_OFF, hardware)) is not None:
        return why
    if not switched_load:
        return "the station file does not say under switched_load what hangs on the switched load"
    held = [name for name in switched_load if name in always_on]
    return f"the switched load holds {', '.join(held)}, which must always be on" if held else None


def stagger(span: timedelta, *names: str) -> timedelta:
    """A delay within `span`, evenly spread over stations, events and loads, and always the same for the same names."""
    digest = hashlib.sha256("/".join(names).encode()).digest()
    return span * (int.from_bytes(digest[:4], "big") / 2**32)
