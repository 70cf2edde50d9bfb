"""What must never happen to a deferrable load, checked step by step. Shares no code with the planning of the shifts."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.backtest.checker import Violation
from services.core.events import Event
from services.core.goals import Method
from services.core.loads import LoadSeen, ShiftRules

SLACK_S = 660.0
"""Two steps of a clock that are each too small to be noticed, and a decision."""


@dataclass(slots=True)
class LoadChecker:
    """Told each cycle's wishes in turn, it finds what is wrong."""

    rules: Mapping[str, ShiftRules]
    always_on: Collection[str]
    _off_since_s: dict[str, float] = field(default_factory=dict)

    def check(
        self, at: datetime, elapsed_s: float, event: Event | None, wishes: Mapping[str, bool], seen: Mapping[str, LoadSeen]
    ) -> list[Violation]:
        """What is wrong with `wishes`, which were made with `event` and `seen`; `elapsed_s` are true seconds."""
        off = {name for name, on in wishes.items() if not on}
        began = off - self._off_since_s.keys()
        self._off_since_s = {name: self._off_since_s.get(name, elapsed_s) for name in off}
        found = self._broken(elapsed_s, event, off, began, seen)
        return [Violation("load", at, f"{name} {what}") for name, what in found]

    def _broken(
        self, elapsed_s: float, event: Event | None, off: set[str], began: set[str], seen: Mapping[str, LoadSeen]
    ) -> Iterator[tuple[str, str]]:
        for name in off:
            if name in self.always_on:
                yield name, "is off though it must always be on"
            if seen.get(name, LoadSeen()).by_hand:
                yield name, "is held off though somebody switched it on"
            held_s = elapsed_s - self._off_since_s[name]
            if held_s > self.rules[name].longest_off.total_seconds() + SLACK_S:
                yield name, f"is held off for {held_s:.0f} s, longest {self.rules[name].longest_off}"
        for name in began:
            if event is None or Method.SHIFTING not in event.methods:
                yield name, "is switched off without an event that asks for it"
            if name not in seen:
                yield name, "is switched off though nothing is known of it"
