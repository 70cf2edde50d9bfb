"""The power station's end of the encryption of newer Bluetti firmware, as bluetti-bt-lib 0.1.8 describes it from the other end.

A real one signs with the maker's private key, which nobody else has. The emulated one signs with `signing_key`, so a client takes it for
real only if it is told to trust that key.
"""

import os
from hashlib import md5

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_MAGIC = b"**"
_CURVE = ec.SECP256R1()
_SIGNED = ec.ECDSA(SHA256())
_BLOCK = 16


class SecureEnd:
    """One connection."""

    def __init__(self, *, static_key: bytes, signing_key: ec.EllipticCurvePrivateKey, app_key: ec.EllipticCurvePublicKey) -> None:
        """`static_key` is common to all; `app_key` is what the vendor's app signs with."""
        self._static_key = static_key
        self._signing_key = signing_key
        self._app_key = app_key
        self._own = ec.generate_private_key(_CURVE)
        self._iv: bytes | None = None
        self._key = b""
        self._secure_key: bytes | None = None
        self._buffer = b""

    def challenge(self) -> bytes:
        """The first word."""
        seed = os.urandom(4)
        self._iv = _digest(seed[::-1])
        self._key = bytes(a ^ b for a, b in zip(self._iv, self._static_key, strict=True))
        return _message(1, seed)

    def received(self, data: bytes) -> tuple[list[bytes], list[bytes]]:
        """What to answer at once, and the requests that were in it. What cannot be understood is dropped, as the firmware does."""
        assert self._iv is not None, "challenge() first"  # noqa: S101
        if not self._buffer and data.startswith(_MAGIC):
            if data[2] != 2 or data[4:8] != self._iv[8:12]:
                return [], []
            public = self._own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
            r, s = decode_dss_signature(self._signing_key.sign(public + self._iv, _SIGNED))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
            return [_message(3, b"\0"), self._sealed(_message(4, public + signature))], []
        answers, requests = [], []
        for plain in self._opened(data):
            if self._secure_key is None:
                answers += self._agree(plain)
            else:
                requests.append(plain)
        return answers, requests

    def seal(self, reply: bytes) -> bytes:
        """`reply` as it is sent."""
        return self._sealed(reply)

    def _agree(self, plain: bytes) -> list[bytes]:
        public, signature = plain[4:68], plain[68:132]
        der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        try:
            self._app_key.verify(der, public + (self._iv or b""), _SIGNED)
        except InvalidSignature:
            return []
        accepted = self._sealed(_message(6, b"\0"))
        self._secure_key = self._own.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + public))
        return [accepted]

    def _sealed(self, plain: bytes) -> bytes:
        seed = b"" if self._secure_key is None else os.urandom(4)
        cipher = self._cipher(seed).encryptor()
        padded = plain + bytes(-len(plain) % _BLOCK)
        return len(plain).to_bytes(2, "big") + seed + cipher.update(padded) + cipher.finalize()

    def _opened(self, data: bytes) -> list[bytes]:
        self._buffer += data
        opened = []
        head = 2 if self._secure_key is None else 6
        while len(self._buffer) >= head:
            length = int.from_bytes(self._buffer[:2], "big")
            size = head + length + -length % _BLOCK
            if len(self._buffer) < size:
                break
            cipher = self._cipher(self._buffer[2:head]).decryptor()
            opened.append((cipher.update(self._buffer[head:size]) + cipher.finalize())[:length])
            self._buffer = self._buffer[size:]
        return opened

    def _cipher(self, seed: bytes) -> Cipher[modes.CBC]:
        if self._secure_key is None:
            assert self._iv is not None, "challenge() first"  # noqa: S101
            return Cipher(algorithms.AES(self._key), modes.CBC(self._iv))
        return Cipher(algorithms.AES(self._secure_key), modes.CBC(_digest(seed)))


def _digest(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()


def _message(kind: int, data: bytes) -> bytes:
    body = bytes([kind, len(data)]) + data
    return _MAGIC + body + sum(body).to_bytes(2, "big")
