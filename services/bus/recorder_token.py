"""The token of the recorder's query API: made by the recorder, read by whoever asks it from the same state folder.

Where the two share no folder of state, in containers, it is a secret that both were given.
"""

import contextlib
import os
import secrets
from pathlib import Path

from services.bus.secrets import secrets_folder

FILE = Path("recorder") / "api.token"
"""Under the state folder, or where it was given as a secret under the folder of secrets."""


def make_token(var: Path) -> str:
    """The token, made under `var` at the first call unless it was given; readable by this user alone. Raises OSError."""
    if (given := _read(secrets_folder(var) / FILE)) is not None:
        return given
    path = var / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if token := path.read_text(encoding="ascii").strip():
            return token
    # Whole or not at all: on a full disk an empty token would be left, and taken for one for ever.
    token, fresh = secrets.token_urlsafe(32), path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(token)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return token


def headers(var: Path) -> dict[str, str]:
    """What a request to the recorder carries: its token, if one was given, or ever made under `var`."""
    token = _read(secrets_folder(var) / FILE) or _read(var / FILE)
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip() or None
    except OSError:
        return None
