"""The aggregator's secrets: the key that signs events, and one from which every station's passwords are derived."""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FOLDER = "aggregator"


class Unusable(Exception):
    """A secret cannot be made or read; says which file and what to do."""


def signing_key(folder: Path) -> Ed25519PrivateKey:
    """The Ed25519 key in `folder`, made at the first call. Raises Unusable."""
    path = folder / FOLDER / "signing.pem"
    text = _made_once(path, lambda: _pem(Ed25519PrivateKey.generate()))
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Unusable(f"{path} is not an Ed25519 key in PEM; put the right file back, or remove it and give stations the new public key")
    return key


class StationSecrets:
    """Derives what a station shows: nothing that opens anything stands in the database, and no secret can be lost by losing it."""

    def __init__(self, folder: Path) -> None:
        """Raises Unusable."""
        path = folder / FOLDER / "stations.key"
        self._key = _made_once(path, lambda: secrets.token_hex(32).encode()).strip()
        if len(self._key) < 32:
            raise Unusable(f"{path} is too short for a key; put the right file back: without it no station's secret holds")

    def mqtt(self, name: str, generation: int) -> str:
        """The station's password at the broker."""
        return self._derived("mqtt", name, generation)

    def http(self, name: str, generation: int) -> str:
        """Its bearer token, and just as well the key of its signatures."""
        return self._derived("http", name, generation)

    def own(self, purpose: str) -> str:
        """A password of the aggregator's own."""
        return self._derived(purpose, "", 0)

    def _derived(self, purpose: str, name: str, generation: int) -> str:
        digest = hmac.new(self._key, f"{purpose}\n{name}\n{generation}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def write_private(path: Path, data: bytes) -> None:
    """Write a file that this user alone can read, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    try:
        if not path.exists():
            write_private(path, make())
        return path.read_bytes()
    except OSError as error:
        raise Unusable(f"{path} cannot be made or read: {error.strerror}; it must be this user's own") from None


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
