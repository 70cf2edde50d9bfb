"""The token of the recorder's query API: made by the recorder, read by whoever asks it from the same state folder."""

import os
import secrets
from pathlib import Path

FILE = Path("recorder") / "api.token"


def make_token(var: Path) -> str:
    """The token under `var`, made at the first call and readable by this user alone. Raises OSError."""
    path = var / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token := secrets.token_urlsafe(32))
        file.flush()
        os.fsync(file.fileno())
    return token


def headers(var: Path) -> dict[str, str]:
    """What a request to the recorder of this machine carries: its token, if one was ever made under `var`."""
    try:
        return {"Authorization": f"Bearer {(var / FILE).read_text(encoding='ascii').strip()}"}
    except OSError:
        return {}
