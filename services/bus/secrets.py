"""Passwords from files, so that none stands in a station file, a message or a log."""

from pathlib import Path

from services.bus import deployment

FOLDER = "secrets"


class NoSecret(Exception):
    """A secret that cannot be had; says which file and what to do."""


def secrets_folder(var: Path) -> Path:
    """Where secrets lie: where `SPS_SECRETS` says, else beside the folder of state, which for `var` is `secrets`."""
    return deployment.here().secrets or var.absolute().parent / FOLDER


def read_secret(name: str, var: Path) -> str:
    """The one line of text in the secret `name`. Raises NoSecret."""
    path = secrets_folder(var) / name
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise NoSecret(
            f"{path} cannot be read ({error.strerror}); write the password into that file, readable by this user alone"
        ) from None
    except UnicodeDecodeError:
        raise NoSecret(f"{path} is not UTF-8 text") from None
    if not text or "\n" in text:
        raise NoSecret(f"{path} must hold the password on one line and nothing else")
    return text
