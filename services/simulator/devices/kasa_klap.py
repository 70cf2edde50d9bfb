"""A Kasa plug with newer firmware: the IOT protocol's JSON within KLAP (version 1), over HTTP.

Two handshakes prove to either side that the other knows the account's hash, and give both the keys of a session; see the analysis in
python-kasa's `klaptransport.py`, to which this is written anew from the device's side.
"""

import hashlib
import hmac
import json
import secrets
import struct
from collections.abc import Mapping
from http import HTTPStatus

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from services.simulator.devices.kasa_iot import KasaIot
from services.simulator.devices.shelly_device import ShellyDevice
from services.simulator.devices.shelly_switch import Switch
from services.simulator.http_server import Request, Response

_COOKIE = "TP_SESSIONID"
_BINARY = "application/octet-stream"
_SEED = 16
_SIGNATURE = 32
_SEQUENCE = struct.Struct(">i")


class _Session:
    """What both sides know after the first handshake."""

    def __init__(self, theirs: bytes, account: bytes) -> None:
        self.account = account
        self.theirs = theirs
        self.ours = secrets.token_bytes(_SEED)
        self.proved = False
        both = theirs + self.ours + account
        self._key = hashlib.sha256(b"lsk" + both).digest()[:16]
        self._iv = hashlib.sha256(b"iv" + both).digest()[:12]
        self._sign = hashlib.sha256(b"ldk" + both).digest()[:28]

    def open(self, body: bytes, sequence: bytes) -> bytes | None:
        """The request in `body`; None when it was not made by the other side."""
        signature, cipher = body[:_SIGNATURE], body[_SIGNATURE:]
        if not hmac.compare_digest(signature, self._signature(cipher, sequence)):
            return None
        decryptor = self._cipher(sequence).decryptor()
        unpadder = padding.PKCS7(128).unpadder()
        try:
            return unpadder.update(decryptor.update(cipher) + decryptor.finalize()) + unpadder.finalize()
        except ValueError:
            return None

    def seal(self, plain: bytes, sequence: bytes) -> bytes:
        """The answer as it is sent."""
        padder = padding.PKCS7(128).padder()
        encryptor = self._cipher(sequence).encryptor()
        cipher = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
        return self._signature(cipher, sequence) + cipher

    def _cipher(self, sequence: bytes) -> Cipher[modes.CBC]:
        return Cipher(algorithms.AES(self._key), modes.CBC(self._iv + sequence))

    def _signature(self, cipher: bytes, sequence: bytes) -> bytes:
        return hashlib.sha256(self._sign + sequence + cipher).digest()


class KasaKlap(ShellyDevice):
    """The plug, on an HTTP port as the emulated Shellys are. `account` is `e-mail:password`; a session ends with a restart."""

    def __init__(self, name: str, switches: Mapping[int, Switch], *, account: str, host: str, port: int, powered: bool = True) -> None:
        """Raises ValueError for more channels than one."""
        if list(switches) != [0]:
            raise ValueError(f"channel: {', '.join(map(str, switches))}; a Kasa plug has channel 0 alone")
        self.iot = KasaIot(name, switches[0])
        user, _, password = account.partition(":")
        self._account = _md5(_md5(user.encode()) + _md5(password.encode()))
        self._sessions: dict[str, _Session] = {}
        super().__init__(name, switches, self._respond_to, host=host, port=port, powered=powered)

    def boot(self) -> None:
        """Take the state of before, as after a power cut."""
        self._sessions.clear()
        self.iot.boot()

    def _halt(self) -> None:
        self.iot.halt()

    def _respond_to(self, request: Request) -> Response:
        if request.path == "/app/handshake1" and len(request.body) == _SEED:
            return self._begin(request.body)
        session = self._sessions.get(_cookie(request))
        if session is None:
            return _refused()
        if request.path == "/app/handshake2":
            session.proved = hmac.compare_digest(request.body, hashlib.sha256(session.ours + session.account).digest())
            return Response(HTTPStatus.OK, b"", _BINARY) if session.proved else _refused()
        if request.path == "/app/request" and session.proved:
            return self._request(session, request)
        return _refused()

    def _begin(self, seed: bytes) -> Response:
        session, cookie = _Session(seed, self._account), secrets.token_hex(16).upper()
        self._sessions[cookie] = session
        proof = hashlib.sha256(seed + self._account).digest()
        return Response(HTTPStatus.OK, session.ours + proof, _BINARY, headers=(("Set-Cookie", f"{_COOKIE}={cookie};TIMEOUT=86400"),))

    def _request(self, session: _Session, request: Request) -> Response:
        try:
            sequence = _SEQUENCE.pack(int(request.query.get("seq", "")))
        except (ValueError, struct.error):
            return _refused()
        if (plain := session.open(request.body, sequence)) is None:
            return _refused()
        try:
            asked = json.loads(plain)
        except (ValueError, RecursionError):
            asked = None
        return Response(HTTPStatus.OK, session.seal(json.dumps(self.iot.answer(asked)).encode(), sequence), _BINARY)


def _cookie(request: Request) -> str:
    for part in request.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == _COOKIE:
            return value.strip('"')
    return ""


def _refused() -> Response:
    return Response(HTTPStatus.FORBIDDEN, b"", _BINARY)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
