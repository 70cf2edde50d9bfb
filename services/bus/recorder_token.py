"""The token of the recorder's query API: made by the recorder, read by whoever asks it from the same state folder."""

import contextlib
import os
import secrets
from pathlib import Path

FILE = Path("recorder") / "api.token"


def make_token(var: Path) -> str:
    """The token under `var`, made at the first call and readable by this user alone. Raises OSError."""
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
    """What a request to the recorder of this machine carries: its token, if one was ever made under `var`."""
    try:
        return {"Authorization": f"Bearer {(var / FILE).read_text(encoding='ascii').strip()}"}
    except OSError:
        return {}
