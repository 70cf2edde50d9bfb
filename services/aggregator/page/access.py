"""Who may see the fleet: a password, kept as an argon2 hash, and sessions that this process remembers."""

import hmac
import json
import secrets
from collections import OrderedDict
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from services.aggregator.allowance import Allowance
from services.aggregator.keys import write_private
from services.bus.state_file import read_state, write_atomic

COOKIE = "fleet_session"
SESSION_S = 12 * 3600.0
MOST_SESSIONS = 100
TRIES_PER_MINUTE = 5
SHORTEST = 10


class Access:
    """The door of the page. Without a password (loopback only) it stands open, and forms still carry their token."""

    def __init__(self, state: Path, secrets_folder: Path, *, guarded: bool) -> None:
        """Makes the first password where one is needed and none is kept. Raises OSError."""
        self.guarded = guarded
        self._path = state / "access.json"
        self._hasher = PasswordHasher()
        self._sessions: OrderedDict[str, tuple[float, str]] = OrderedDict()
        # Until when, and under which password: a new one ends them all, whoever set it.
        self._tries = Allowance(TRIES_PER_MINUTE)
        self._form_key = secrets.token_bytes(32)
        self.first_password = secrets_folder / "aggregator" / "first-password"
        if guarded and self._kept() is None:
            password = secrets.token_urlsafe(15)
            write_private(self.first_password, f"{password}\n".encode())
            self.set_password(password)

    def set_password(self, password: str) -> None:
        """Keep `password` from now on; sessions under another one end. Raises ValueError for a short one, OSError."""
        if len(password) < SHORTEST:
            raise ValueError(f"a password needs {SHORTEST} characters or more")
        write_atomic(self._path, json.dumps({"argon2": self._hasher.hash(password)}).encode())
        self._path.chmod(0o600)

    def wait_s(self, address: str, now_s: float) -> int:
        """After how many seconds `address` may try a password; 0 counts as a try."""
        return self._tries.wait_s(address, now_s)

    def log_in(self, password: str, now_s: float) -> str | None:
        """A new session's id, or None for a wrong password. Takes as long as argon2 takes: call it beside the loop."""
        kept = self._kept()
        try:
            if kept is None or not self._hasher.verify(kept, password):
                return None
        except (VerifyMismatchError, InvalidHashError):
            return None
        session = secrets.token_urlsafe(32)
        self._sessions[session] = now_s + SESSION_S, kept
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def log_out(self, session: str) -> None:
        """End a session."""
        self._sessions.pop(session, None)

    def open_to(self, session: str | None, now_s: float) -> bool:
        """Whether the page may be seen."""
        if not self.guarded:
            return True
        until_s, password = self._sessions.get(session or "", (0.0, ""))
        return until_s > now_s and password == self._kept()

    def form_token(self, session: str | None) -> str:
        """What a form of this session carries."""
        return hmac.new(self._form_key, (session or "").encode(), "sha256").hexdigest()

    def form_holds(self, session: str | None, token: str) -> bool:
        """Whether a form came from a page that this process rendered for this session."""
        return hmac.compare_digest(self.form_token(session).encode(), token.encode())

    def _kept(self) -> str | None:
        data = read_state(self._path)
        try:
            return None if data is None else str(json.loads(data)["argon2"])
        except (ValueError, KeyError, TypeError):
            return None
