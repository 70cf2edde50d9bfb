"""`access.json`: the password's hash and the tokens' hashes on disk, for the gateway and `sps access` alike."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.bus.state_file import read_state, write_atomic
from services.core.problems import field_problems
from services.gateway.access.tokens import MOST_TOKENS, Token

FILE = "access.json"


class AccessUnusable(ValueError):
    """The state of access cannot be used, or a change of it is refused; says why and what to do."""


class AccessState(BaseModel):
    """What is kept of who may enter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    password_hash: str | None = None
    own_password: bool = False
    """Whether a person chose it; else it is the first one, which was made for them."""
    epoch: int = 0
    """Grows when every session has to end."""
    tokens: Annotated[tuple[Token, ...], Field(max_length=MOST_TOKENS)] = ()

    def with_password(self, password_hash: str, *, own: bool) -> "AccessState":
        """With another password; all sessions end."""
        return self.model_copy(update={"password_hash": password_hash, "own_password": own, "epoch": self.epoch + 1})

    def with_token(self, token: Token) -> "AccessState":
        """With one more token. Raises AccessUnusable when there are too many."""
        if len(self.tokens) >= MOST_TOKENS:
            raise AccessUnusable(f"there are {MOST_TOKENS} tokens already; revoke one first")
        return self.model_copy(update={"tokens": (*self.tokens, token)})

    def without_token(self, token_id: str) -> "AccessState":
        """Without that token. Raises AccessUnusable when there is none of that id."""
        if all(token.id != token_id for token in self.tokens):
            raise AccessUnusable(f"there is no token {token_id!r}; known are {', '.join(t.id for t in self.tokens) or 'none'}")
        return self.model_copy(update={"tokens": tuple(token for token in self.tokens if token.id != token_id)})

    def logged_out(self) -> "AccessState":
        """With all sessions ended."""
        return self.model_copy(update={"epoch": self.epoch + 1})


class Store:
    """The file in `folder`. Several processes may change it: each sees what the others wrote."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._seen: tuple[int, int, int] | None = None
        self._state = AccessState()

    def current(self) -> AccessState:
        """The state as it stands on disk; the first one where there is no file. Raises AccessUnusable and OSError."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._seen, self._state = None, AccessState()
            return self._state
        seen = status.st_mtime_ns, status.st_ino, status.st_size
        if seen != self._seen:
            self._state = self._read()
            self._seen = seen
        return self._state

    def change(self, changed: Callable[[AccessState], AccessState]) -> AccessState:
        """Write what `changed` makes of the state, and return it. Raises AccessUnusable and OSError; then nothing is changed."""
        with self._alone():
            state = changed(self.current())
            self._write(state)
        return state

    def replace(self, state: AccessState) -> None:
        """Write `state` whatever was there, for the rescue of a damaged file. Raises OSError."""
        with self._alone():
            self._write(state)

    def _read(self) -> AccessState:
        try:
            return AccessState.model_validate_json(read_state(self.path) or b"")
        except ValidationError as error:
            problem = field_problems(error)[0]
            where = problem.field or "the file"
            raise AccessUnusable(
                f"{self.path}: {where} cannot be used; nobody can log in until 'sps access password' writes it anew"
            ) from None

    def _write(self, state: AccessState) -> None:
        write_atomic(self.path, state.model_dump_json(indent=2).encode(), private=True)
        # `sps access` as root must not leave a file that the gateway's own user cannot read.
        if os.geteuid() == 0:
            owner = self.path.parent.stat()
            os.chown(self.path, owner.st_uid, owner.st_gid)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with (self.path.parent / ".access.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
