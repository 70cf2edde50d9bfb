"""How an emulated Shelly asks for its password: SHA-256 digest (Gen2 and later) and Basic (Gen1).

https://shelly-api-docs.shelly.cloud/gen2/General/Authentication
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from urllib.request import parse_http_list, parse_keqv_list

USER = "admin"


def sha256(*parts: object) -> str:
    """The hash, in hex, of the parts joined by colons."""
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()


class DigestGate:
    """One device's lock. A nonce is good until `forget`."""

    def __init__(self, realm: str, password: str) -> None:
        self._realm = realm
        self._ha1 = sha256(USER, realm, password)
        self._nonce = secrets.token_hex(8)
        self.challenges = 0

    def forget(self) -> None:
        """Let every nonce be stale, as after a while."""
        self._nonce = secrets.token_hex(8)

    def admits(self, method: str, header: str) -> bool:
        """Whether the `Authorization` header of an HTTP request opens it."""
        scheme, _, rest = header.partition(" ")
        if scheme.lower() != "digest":
            return False
        fields = parse_keqv_list([item for item in parse_http_list(rest) if "=" in item])
        ha2 = sha256(method, fields.get("uri", ""))
        wanted = sha256(self._ha1, self._nonce, fields.get("nc"), fields.get("cnonce"), "auth", ha2)
        return self._agrees(fields, wanted)

    def admits_frame(self, auth: object) -> bool:
        """Whether the `auth` object of a request frame opens it."""
        if not isinstance(auth, dict):
            return False
        wanted = sha256(self._ha1, self._nonce, auth.get("nc", 1), auth.get("cnonce"), "auth", sha256("dummy_method", "dummy_uri"))
        return self._agrees(auth, wanted)

    def challenge(self) -> dict[str, object]:
        """What a client must know to answer."""
        self.challenges += 1
        return {"auth_type": "digest", "nonce": self._nonce, "nc": 1, "realm": self._realm, "algorithm": "SHA-256"}

    def header(self) -> tuple[str, str]:
        """The challenge as an HTTP header."""
        self.challenges += 1
        return "WWW-Authenticate", f'Digest qop="auth", realm="{self._realm}", nonce="{self._nonce}", algorithm=SHA-256'

    def _agrees(self, fields: Mapping[str, object], wanted: str) -> bool:
        named = fields.get("username") == USER and fields.get("realm") == self._realm and fields.get("nonce") == self._nonce
        return named and fields.get("response") == wanted


def basic_admits(password: str, header: str) -> bool:
    """Whether a Basic `Authorization` header carries `password`."""
    return header == "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()
