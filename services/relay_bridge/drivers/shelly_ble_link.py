"""JSON-RPC to a Shelly over GATT: the length of a frame through one characteristic, the frame itself in pieces through another.

Mongoose OS's `_mOS_RPC_SVC_ID_`: https://kb.shelly.cloud/knowledge-base/kbsa-communicating-with-shelly-devices-via-bluetoo
"""

import asyncio
import contextlib
import json
import re
import struct
from itertools import count
from typing import Any

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from services.bus.ble import adapter
from services.bus.loop_thread import LoopThread, NotFinished
from services.relay_bridge.drivers.shelly_reply import Reply, parse_frame
from services.relay_bridge.errors import BadReply, DeviceError, DeviceRefused, DeviceSilent

SERVICE_UUID = "5f6d4f53-5f52-5043-5f53-56435f49445f"
DATA_UUID = "5f6d4f53-5f52-5043-5f64-6174615f5f5f"
TX_CONTROL_UUID = "5f6d4f53-5f52-5043-5f74-785f63746c5f"
RX_CONTROL_UUID = "5f6d4f53-5f52-5043-5f72-785f63746c5f"
"""A frame's length is written to TX and read from RX, where it is zero until there is an answer."""

_LENGTH = struct.Struct(">I")
_MOST_BYTES = 64 * 1024
_FIRST_WAIT_S = 0.005
_LONGEST_WAIT_S = 0.1
_CONNECT_SHARE = 3.0
"""Finding and connecting may take so many time-outs, an exchange one."""
_HANG_UP_S = 1.0
_EMULATED = re.compile(r"hci:tcp:(?P<hci>[^/:]+:\d{1,5})/(?P<who>.+)")
_MAC_OR_UUID = re.compile(r"([0-9A-F]{2}:){5}[0-9A-F]{2}|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.IGNORECASE)
_LOST = (BleakError, OSError, EOFError, TimeoutError)
"""All that a Bluetooth library raises when somebody is out of reach, or the adapter is."""


class BleSession:
    """A link to one device, made when it is needed and kept. Calls may come from two threads; they take turns."""

    def __init__(self, address: str, timeout_s: float) -> None:
        """Raises ValueError for an unusable address."""
        self._who, self._backends = _parse(address)
        self._timeout_s = timeout_s
        self._ids = count(1)
        self._loop = LoopThread(f"shelly_ble {self._who}")
        self._turn: asyncio.Lock | None = None
        self._client: BleakClient | None = None

    def call(self, method: str, **params: object) -> Reply:
        """The result of `method`. Raises DeviceSilent, DeviceRefused or BadReply. Tried once."""
        try:
            return self._loop.call(lambda: self._call(method, params), 2 * (_CONNECT_SHARE + 1.0) * self._timeout_s + _HANG_UP_S)
        except NotFinished as error:
            raise DeviceSilent(f"the driver: {error}") from None

    def close(self) -> None:
        """Hang up."""
        self._loop.close(self._hang_up)

    async def _call(self, method: str, params: dict[str, object]) -> Reply:
        self._turn = self._turn or asyncio.Lock()
        async with self._turn:
            client = await self._connected()
            request_id = next(self._ids)
            request = json.dumps({"id": request_id, "src": "sps", "method": method, "params": params}, separators=(",", ":"))
            try:
                async with asyncio.timeout(self._timeout_s):
                    await _send(client, request.encode())
                    body = await _receive(client)
            except BaseException as error:
                # What is left of a broken exchange must not be taken for the next one's.
                await self._hang_up()
                if isinstance(error, _LOST):
                    raise _silent(error, f"did not answer within {self._timeout_s:g} s") from error
                raise
        return parse_frame(body, request_id)

    async def _connected(self) -> BleakClient:
        if self._client is not None and self._client.is_connected:
            return self._client
        await self._hang_up()
        limit_s = _CONNECT_SHARE * self._timeout_s
        try:
            async with asyncio.timeout(limit_s), adapter.turn(real=self._backends[0] is None):
                client = self._client = BleakClient(await self._find(limit_s), timeout=limit_s, **_backend(self._backends[0]))
                await client.connect()
        except BaseException as error:
            await self._hang_up()
            if isinstance(error, _LOST):
                raise _silent(error, f"not heard or not connected within {limit_s:g} s") from error
            raise
        if client.services.get_service(SERVICE_UUID) is None:
            await self._hang_up()
            raise DeviceRefused("offers no RPC over Bluetooth: switch it on in the device, or it is no Shelly of the second generation")
        return client

    async def _find(self, limit_s: float) -> BLEDevice:
        who = self._who.casefold()
        found = await BleakScanner.find_device_by_filter(
            lambda device, data: who in (device.address.casefold(), (data.local_name or "").casefold()),
            timeout=limit_s,
            **_backend(self._backends[1]),
        )
        if found is None:
            raise DeviceSilent(f"not heard within {limit_s:g} s: out of reach, or its Bluetooth is off")
        return found

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(*_LOST):
                async with asyncio.timeout(_HANG_UP_S):
                    await client.disconnect()


async def _send(client: BleakClient, frame: bytes) -> None:
    await client.write_gatt_char(TX_CONTROL_UUID, _LENGTH.pack(len(frame)), response=True)
    data = client.services.get_characteristic(DATA_UUID)
    if data is None:
        raise BadReply("data characteristic", None, "one in the RPC service")
    size = data.max_write_without_response_size
    for start in range(0, len(frame), size):
        await client.write_gatt_char(data, frame[start : start + size], response=True)


async def _receive(client: BleakClient) -> bytes:
    wait_s = _FIRST_WAIT_S
    while not (length := _length(bytes(await client.read_gatt_char(RX_CONTROL_UUID)))):
        await asyncio.sleep(wait_s)
        wait_s = min(_LONGEST_WAIT_S, 2.0 * wait_s)
    body = b""
    while len(body) < length:
        if not (piece := bytes(await client.read_gatt_char(DATA_UUID))):
            raise DeviceSilent(f"broke off after {len(body)} of {length} bytes")
        body += piece
    return body[:length]


def _length(value: bytes) -> int:
    if len(value) != _LENGTH.size or (length := int(_LENGTH.unpack(value)[0])) > _MOST_BYTES:
        raise BadReply("frame length", value[:8].hex(" "), f"4 bytes, for at most {_MOST_BYTES}")
    return length


def _parse(address: str) -> tuple[str, tuple[Any, Any]]:
    """Whom to look for, and bleak's backends to do it with: None for the machine's own."""
    if found := _EMULATED.fullmatch(address):
        try:
            from services.bus.ble.bumble_backend import backends  # noqa: PLC0415 - for emulated devices only
        except ImportError:
            raise ValueError("address: an emulated adapter needs bumble; pip install 'smart-power-station[simulator]'") from None
        return found["who"], backends(found["hci"])
    if not address or "/" in address or (":" in address and not _MAC_OR_UUID.fullmatch(address)):
        raise ValueError(f"address: {address!r} is not usable; use a Bluetooth address such as 'A0:DD:6C:4B:9C:36', or the advertised name")
    return address, (None, None)


def _backend(kind: Any) -> dict[str, Any]:
    return {} if kind is None else {"backend": kind}


def _silent(error: BaseException, late: str) -> DeviceError:
    if isinstance(error, TimeoutError):
        return DeviceSilent(late)
    return DeviceSilent(f"the link failed: {type(error).__name__}{f' ({error})' if str(error) else ''}")
