"""Who asks, and what they may do."""

from dataclasses import dataclass
from typing import Literal, get_args

from services.gateway.languages.reason_patterns import N_

Scope = Literal["read", "events", "preferences", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
MEANING: dict[Scope, str] = {
    "read": N_("see state, events, history and metrics"),
    "events": N_("schedule, cancel, opt out of and in to events, and choose a mode by hand"),
    "preferences": N_("change preferences and what is shared"),
    "admin": N_("everything: switch tests and access itself, too"),
}
"""What each scope allows, in words. None includes another, except `admin`, which includes all."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who was let in."""

    kind: Literal["local", "person", "script"]
    """`local`: access control is off. `person`: by password and session. `script`: by an API token."""
    scopes: frozenset[Scope]
    csrf_token: str = ""
    """What a person's own page sends along with each write; empty where none is needed."""

    def may(self, scope: Scope) -> bool:
        """Whether this visitor has `scope`."""
        return scope in self.scopes or "admin" in self.scopes


LOCAL = Visitor("local", frozenset({"admin"}))
