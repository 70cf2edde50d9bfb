"""The first password: made for the person at the first start, in a file that only they can read."""

from pathlib import Path

from services.bus.secrets import secrets_folder
from services.bus.state_file import write_atomic
from services.gateway.access import passwords

NAME = Path("gateway") / "first-password"


def first_password_file(var: Path) -> Path:
    """Where it lies."""
    return secrets_folder(var) / NAME


def fallback_file(var: Path) -> Path:
    """Where it lies if the folder of secrets cannot be written: with the gateway's own state."""
    return var / "gateway" / NAME.name


def where_it_lies(var: Path) -> Path | None:
    """The file that holds it; None once another password was chosen."""
    return next((path for path in (first_password_file(var), fallback_file(var)) if path.exists()), None)


def first_password(path: Path) -> str:
    """The password in the file at `path`, made now if there is none. Raises OSError."""
    try:
        if kept := path.read_text(encoding="utf-8").strip():
            return kept
    except FileNotFoundError:
        pass
    password = passwords.generated()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, f"{password}\n".encode(), private=True)
    return password
