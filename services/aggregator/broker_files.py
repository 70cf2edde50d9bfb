"""What the aggregator's Mosquitto reads: who may log in, and which topics each may use."""

import base64
import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from services.aggregator.keys import FOLDER, StationSecrets, write_private
from services.aggregator.store.stations import Enrolled

OWN_USER = "aggregator"
ROUNDS = 101
"""Mosquitto's own default; the passwords are 256 random bits, which nobody guesses however quick the hash is."""


def folder(secrets: Path) -> Path:
    """Where the files lie."""
    return secrets / FOLDER / "mosquitto"


def acl_text(network: str) -> str:
    """A station reads what is for it or for all, and writes only its own; its user is its name, so nothing changes with the fleet."""
    return f"""# Written by `sps aggregator`. %u is the user that is logged in: a station's own name.
user {OWN_USER}
topic readwrite dr/{network}/#
topic write OpenDemandResponse/Event/{network}
topic read OpenDemandResponse/Participant/+

pattern read dr/{network}/event
pattern read dr/{network}/station/%u/event
pattern write dr/{network}/station/%u/answer
pattern write dr/{network}/station/%u/online
pattern read OpenDemandResponse/Event/{network}
pattern write OpenDemandResponse/Participant/%u
"""


def password_line(user: str, password: str) -> str:
    """A line of Mosquitto's password file: PBKDF2 with SHA-512."""
    # The salt is derived, so that writing the file anew changes no line; every password is another one anyhow.
    salt = hashlib.sha256(f"{user}\n{password}".encode()).digest()[:12]
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)
    return f"{user}:$7${ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


@contextlib.contextmanager
def alone(secrets: Path) -> Iterator[None]:
    """Let nobody else write the files meanwhile: who read the fleet earlier must not write later. Raises OSError."""
    folder(secrets).mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder(secrets) / ".lock").open("ab") as lock:
        if os.geteuid() == 0:
            # Another user's aggregator goes on with what root enrolled.
            owner = folder(secrets).stat()
            os.fchown(lock.fileno(), owner.st_uid, owner.st_gid)
        # Given back when the file is closed, however that comes about.
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write(secrets_folder: Path, network: str, secrets: StationSecrets, stations: Iterable[Enrolled]) -> bool:
    """Write both files anew; True if one changed. Raises OSError."""
    lines = [password_line(OWN_USER, secrets.own("mqtt"))]
    lines += [password_line(one.name, secrets.mqtt(one.name, one.generation)) for one in stations]
    files = {"passwd": "\n".join(lines) + "\n", "acl": acl_text(network)}
    changed = False
    for name, text in files.items():
        path = folder(secrets_folder) / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_private(path, text.encode())
            changed = True
    return changed


def configuration(host: str, port: int, *, secrets: Path, state: Path, certificate: tuple[Path, Path] | None) -> str:
    """The text of `mosquitto.conf` for the broker that is started here."""
    lines = [
        f"listener {port} {host}",
        "allow_anonymous false",
        f"password_file {folder(secrets).absolute() / 'passwd'}",
        f"acl_file {folder(secrets).absolute() / 'acl'}",
        # Whoever connects under another's client id takes that one's place, and its session.
        "use_username_as_clientid true",
        "set_tcp_nodelay true",
        # Sessions of stations that are away, with what they have yet to hear.
        "persistence true",
        f"persistence_location {state.absolute()}/",
        "autosave_interval 60",
        "persistent_client_expiration 14d",
        "message_size_limit 65536",
        # All answers of a fleet come at once, and each is acknowledged when it is on disk: a window of 20 would be 20 a commit.
        "max_inflight_messages 1000",
        "max_queued_messages 100000",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
    ]
    if certificate is not None:
        lines += [f"certfile {certificate[0].absolute()}", f"keyfile {certificate[1].absolute()}", "tls_version tlsv1.2"]
    if os.geteuid() == 0:
        # Started by root it would turn into the user `mosquitto`, who can read none of these.
        lines.append("user root")
    return "\n".join(lines) + "\n"
