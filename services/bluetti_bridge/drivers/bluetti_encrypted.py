"""A Bluetti whose firmware encrypts: the same frames, behind the handshake that bluetti-bt-lib found out.

Only that library's key exchange and cipher are used. Its reader accepts frames with a wrong CRC, swallows cancellation, and gets no answers
to writes; here the frames are checked and the link is hung up as in `bluetti_ble`.
"""

import asyncio
import logging

from services.bluetti_bridge.ble_link import Send
from services.bluetti_bridge.drivers.bluetti_ble import BluettiBle
from services.bluetti_bridge.errors import BadReply, StationRefused, StationSilent
from services.core.config.hardware import PowerStation

try:
    from bluetti_bt_lib.bluetooth import encryption
    from cryptography.exceptions import InvalidSignature
except ImportError as error:
    raise ValueError("driver: bluetti_encrypted needs bluetti-bt-lib; pip install 'smart-power-station[bluetti-encrypted]'") from error

# It logs every session key.
logging.getLogger(encryption.__name__).setLevel(logging.WARNING)

_BLOCK = 16
_KEX_LENGTHS = {1: 4, 3: None, 4: 128, 6: 1}
"""Bytes of data in each message of the handshake that comes from the power station."""


def connect(station: PowerStation) -> BluettiBle:
    """The driver for `station`. Raises ValueError for an unusable address or an unknown model."""
    return BluettiBle(station, Encrypted)


class Encrypted:
    """One connection's keys."""

    def __init__(self) -> None:
        self._keys = encryption.BluettiEncryption()
        self._buffer = bytearray()

    async def begin(self, send: Send, received: asyncio.Queue[bytes]) -> None:
        """The handshake; the power station begins it. Raises StationError."""
        try:
            while not self._keys.is_ready_for_commands:
                for message in self._kex(await received.get()):
                    await self._answer(message, send)
        except InvalidSignature:
            raise StationRefused("its signature is not the maker's: this is no Bluetti, or one of a kind not known yet") from None
        except ValueError as error:
            raise BadReply("handshake", str(error), "the key exchange of bluetti-bt-lib 0.1.8") from None

    def seal(self, frame: bytes) -> bytes:
        """See Codec."""
        self._buffer.clear()
        sealed: bytes = self._keys.aes_encrypt(frame, self._keys.secure_aes_key, None)
        return sealed

    def open(self, fragment: bytes) -> bytes:
        """See Codec."""
        try:
            return b"".join(self._opened(fragment))
        except ValueError as error:
            raise BadReply("encryption", str(error), "whole blocks") from None

    def _kex(self, fragment: bytes) -> list["encryption.Message"]:
        if not self._buffer and fragment.startswith(encryption.KEX_MAGIC):
            return [encryption.Message(fragment)]
        if self._keys.unsecure_aes_key is None:
            raise StationSilent("it does not greet as encrypted firmware does; try the driver bluetti_ble")
        return [encryption.Message(plain) for plain in self._opened(fragment)]

    async def _answer(self, message: "encryption.Message", send: Send) -> None:
        kind, length = message.body[0], len(message.data)
        if bytes(message.header) != encryption.KEX_MAGIC or kind not in _KEX_LENGTHS or _KEX_LENGTHS[kind] not in {length, None}:
            raise BadReply("handshake", bytes(message.buffer)[:20].hex(), "a message of the key exchange")
        if encryption.hexsum(message.body, 2) != bytes(message.checksum):
            raise BadReply("handshake", bytes(message.buffer)[:20].hex(), "the right checksum")
        if kind == encryption.MessageType.CHALLENGE.value:
            await send(self._keys.msg_challenge(message))
        elif kind == encryption.MessageType.PEER_PUBKEY.value:
            await send(self._keys.msg_peer_pubkey(message))
        elif kind == encryption.MessageType.PUBKEY_ACCEPTED.value:
            self._keys.msg_key_accepted(message)

    def _opened(self, fragment: bytes) -> list[bytes]:
        """What is whole by now, in plain. Raises ValueError."""
        self._buffer += fragment
        opened = []
        while len(self._buffer) >= 2:
            key, iv = self._keys.getKeyIv()
            blocks = -(-int.from_bytes(self._buffer[:2], "big") // _BLOCK)
            size = (6 if iv is None else 2) + blocks * _BLOCK
            if len(self._buffer) < size:
                break
            opened.append(bytes(self._keys.aes_decrypt(bytes(self._buffer[:size]), key, iv)))
            del self._buffer[:size]
        return opened
