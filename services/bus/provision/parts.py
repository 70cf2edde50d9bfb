"""Each file that a station needs in its folder of secrets: what is right about it, and how it is made."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.bus import access
from services.bus.contract import OPERATOR
from services.bus.provision.hashes import fits, hashed
from services.bus.secrets import MQTT, NoSecret, secret_in
from services.core.config.station import Station

PRIVATE, PUBLIC = 0o600, 0o644


class State(StrEnum):
    """How a file was found."""

    THERE = "there"
    MISSING = "missing"
    OLD = "out of date"
    """It is made of others and no longer fits them, or nears its end: it is made anew."""
    WRONG = "wrong"
    """It holds what we did not write, and is never overwritten: a person must look."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found, and about it, in words."""

    state: State
    detail: str = ""


THERE = Look(State.THERE)
MISSING = Look(State.MISSING)


@dataclass(frozen=True, slots=True)
class Part:
    """One file."""

    name: str
    """Relative to the folder of secrets."""
    meaning: str
    look: Callable[[Path], Look]
    """How the file at a path is. Parts are looked at in their order, each after those it is made of; raises OSError, NoSecret."""
    make: Callable[[], bytes]
    """What belongs into it. Raises NoSecret."""
    mode: int = PRIVATE


def new_password() -> bytes:
    """192 random bits in letters and digits, which survive every shell and every file of options."""
    return f"{secrets.token_hex(24)}\n".encode()


def password(name: str, meaning: str) -> Part:
    """A password or token that nobody chose."""

    def look(path: Path) -> Look:
        secret_in(path)
        return THERE

    return Part(name, meaning, look, new_password)


def passwords() -> list[Part]:
    """Everything that is only random."""
    return [
        *(password(f"{MQTT}/{user}", f"password of {user} on the broker") for user in access.USERS),
        password("recorder/api.token", "token of the recorder's query API, where it is asked from another container"),
        password("influx/admin.password", "InfluxDB: password of its administrator"),
        password("influx/admin.token", "InfluxDB: token of its administrator"),
        password("influx/recorder.token", "InfluxDB: token of the recorder, to write"),
        password("influx/grafana.token", "InfluxDB: token of Grafana, to read"),
        password("grafana/admin.password", "Grafana: password of its administrator"),
    ]


def broker_files(folder: Path, station: Station) -> list[Part]:
    """What Mosquitto reads, and its own command-line clients beside it."""
    return [
        Part("mosquitto/passwd", "the broker's users, with hashed passwords", _look_at_users(folder), lambda: _users(folder)),
        _derived("mosquitto/acl", "who may read and write what", lambda: access.rules(access.rights(station)).encode()),
        *(
            _derived(f"mosquitto/client/{tool}", f"options of {tool} beside the broker: the operator's login", lambda: _options(folder))
            for tool in ("mosquitto_pub", "mosquitto_sub")
        ),
    ]


def _derived(name: str, meaning: str, make: Callable[[], bytes]) -> Part:
    def look(path: Path) -> Look:
        kept = path.read_bytes()
        try:
            return THERE if kept == make() else Look(State.OLD)
        except (NoSecret, FileNotFoundError):
            return Look(State.OLD, "what it is made of cannot be read")

    return Part(name, meaning, look, make)


def _options(folder: Path) -> bytes:
    return f"-u {OPERATOR}\n-P {secret_in(folder / MQTT / OPERATOR)}\n".encode()


def _users(folder: Path) -> bytes:
    return "".join(f"{user}:{hashed(secret_in(folder / MQTT / user))}\n" for user in access.USERS).encode()


def _look_at_users(folder: Path) -> Callable[[Path], Look]:
    def look(path: Path) -> Look:
        try:
            kept = dict(line.split(":", 1) for line in path.read_text(encoding="ascii").splitlines())
        except ValueError:
            return Look(State.OLD, "it is no list of users")
        if set(kept) != set(access.USERS):
            return Look(State.OLD, f"it has other users: {', '.join(sorted(set(kept) ^ set(access.USERS)))}")
        for user in access.USERS:
            try:
                if not fits(secret_in(folder / MQTT / user), kept[user]):
                    return Look(State.OLD, f"it knows another password of {user} than {MQTT}/{user}")
            except (NoSecret, FileNotFoundError):
                return Look(State.OLD, f"there is no password of {user}")
        return THERE

    return look
