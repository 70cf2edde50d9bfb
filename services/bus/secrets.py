"""Passwords from files, so that none stands in a station file, a message or a log."""

from dataclasses import dataclass, field
from pathlib import Path

from services.bus import deployment

FOLDER = "secrets"
MQTT = "mqtt"
"""Where in the folder of secrets each user's password on the broker lies, in a file of its name."""


class NoSecret(Exception):
    """A secret that cannot be had; says which file and what to do."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are to the broker."""

    user: str
    password: str = field(repr=False)


def secrets_folder(var: Path) -> Path:
    """Where secrets lie: where `SPS_SECRETS` says, else beside the folder of state, which for `var` is `secrets`."""
    return deployment.here().secrets or var.absolute().parent / FOLDER


def read_secret(name: str, var: Path) -> str:
    """The one line of text in the secret `name`. Raises NoSecret."""
    path = secrets_folder(var) / name
    try:
        return secret_in(path)
    except FileNotFoundError as error:
        raise NoSecret(
            f"{path} cannot be read ({error.strerror}); write the password into that file, readable by this user alone"
        ) from None


def login(user: str, folder: Path) -> Login | None:
    """How `user` logs in on the broker; None, anonymously, if no password was ever made for it. Raises NoSecret."""
    try:
        return Login(user, secret_in(folder / MQTT / user))
    except FileNotFoundError:
        return None


def secret_in(path: Path) -> str:
    """The one line of text in `path`. Raises FileNotFoundError, and NoSecret for a file that holds no secret."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(2, "No such file or directory", str(path)) from None
    except IsADirectoryError:
        raise NoSecret(f"{path} is a folder, as a container makes for a file that is missing; remove it, and run sps setup") from None
    except OSError as error:
        raise NoSecret(f"{path} cannot be read ({error.strerror}); make it readable by this user alone") from None
    except UnicodeDecodeError:
        raise NoSecret(f"{path} is not UTF-8 text") from None
    if not text or "\n" in text:
        raise NoSecret(f"{path} must hold the password on one line and nothing else")
    return text
