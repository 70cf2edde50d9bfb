"""Signed events: JWS compact (RFC 7515) with Ed25519 (RFC 8037), by the `cryptography` package."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_PART = re.compile(rb"[A-Za-z0-9_-]+")
_HEADER = frozenset({"alg", "kid", "typ"})


class BadSignature(ValueError):
    """A message whose signature does not hold; says why, and nothing of the message itself."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A payload whose signature holds, and by which key."""

    payload: bytes
    kid: str


def looks_signed(message: bytes) -> bool:
    """Whether `message` is in the signed form, right or wrong: JSON begins with a brace, a signature never does."""
    return message.count(b".") == 2 and not message.lstrip().startswith((b"{", b"["))


def sign(payload: bytes, key: Ed25519PrivateKey, kid: str) -> bytes:
    """The compact form of `payload`, signed by `key`, which stations know as `kid`."""
    header = json.dumps({"alg": "EdDSA", "kid": kid}, separators=(",", ":")).encode()
    signed = _encode(header) + b"." + _encode(payload)
    return signed + b"." + _encode(key.sign(signed))


def verify(message: bytes, keys: Mapping[str, Ed25519PublicKey]) -> Signed:
    """What `message` carries, if one of `keys` (by key id) signed it. Raises BadSignature."""
    parts = message.split(b".")
    if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
        raise BadSignature("it is not a signed message: three parts in base64url, with dots between")
    try:
        header = json.loads(_decode(parts[0]))
        payload, signature = _decode(parts[1]), _decode(parts[2])
    except (ValueError, RecursionError):
        raise BadSignature("its parts are not base64url, or its header is not JSON") from None
    if not isinstance(header, dict) or not set(header) <= _HEADER or header.get("alg") != "EdDSA":
        raise BadSignature('its header must hold "alg":"EdDSA" and "kid", and nothing that we do not know')
    kid = header.get("kid")
    if not isinstance(kid, str) or (key := keys.get(kid)) is None:
        raise BadSignature(f"it is signed by a key that is not known here: {str(kid)[:64]!r}; add it to aggregator.keys if it is right")
    try:
        key.verify(signature, parts[0] + b"." + parts[1])
    except InvalidSignature:
        raise BadSignature(f"the signature is not by key {kid!r}, or the message was changed") from None
    return Signed(payload, kid)


def public_key(text: str) -> Ed25519PublicKey:
    """The key in `text`: 32 bytes in base64url. Raises ValueError."""
    try:
        raw = _decode(text.strip().encode("ascii"))
        return Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, UnicodeEncodeError):
        raise ValueError("a public key is 32 bytes in base64url (43 characters), as `public_text` writes it") from None


def public_text(key: Ed25519PublicKey) -> str:
    """`key` as the station file holds it."""
    return _encode(key.public_bytes_raw()).decode()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(data: bytes) -> bytes:
    try:
        decoded = base64.b64decode(data + b"=" * (-len(data) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    # One spelling only: the last character's spare bits must be zero, or two different texts would pass for one signature.
    if _encode(decoded) != data.rstrip(b"="):
        raise ValueError("not canonical base64url")
    return decoded
