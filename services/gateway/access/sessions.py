"""Sessions of people at a browser: kept in memory, so that a restart of the gateway ends them."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

IDLE_S = 12 * 3600.0
"""Real seconds without a request or an open page after which a session ends."""
LONGEST_S = 7 * 24 * 3600.0
MOST_SESSIONS = 64


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that gave the password."""

    csrf_token: str
    begun_s: float
    used_s: float
    epoch: int
    """The state of access when it began: a later one ends it."""


class Sessions:
    """The open sessions. An id is known to the browser alone; what is kept is its hash."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._open: dict[str, Session] = {}

    def begin(self, epoch: int) -> str:
        """The id of a new session; always a fresh one, whatever the browser brought."""
        now_s, session_id = self._now_s(), secrets.token_urlsafe(32)
        while len(self._open) >= MOST_SESSIONS:
            del self._open[min(self._open, key=lambda key: self._open[key].used_s)]
        self._open[_key(session_id)] = Session(secrets.token_urlsafe(32), now_s, now_s, epoch)
        return session_id

    def use(self, session_id: str, epoch: int) -> Session | None:
        """The session of that id, used now; None if there is none, or it has ended."""
        key, now_s = _key(session_id), self._now_s()
        session = self._open.get(key)
        if session is None:
            return None
        if session.epoch != epoch or now_s - session.used_s > IDLE_S or now_s - session.begun_s > LONGEST_S:
            del self._open[key]
            return None
        session = replace(session, used_s=now_s)
        self._open[key] = session
        return session

    def end(self, session_id: str) -> None:
        """End one session."""
        self._open.pop(_key(session_id), None)

    def __len__(self) -> int:
        """How many are open, ended ones that nobody asked for again included."""
        return len(self._open)


def _key(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()
