"""The way to a power station over Bluetooth Low Energy: find it, connect, exchange frames, hang up. Knows no registers."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from bleak import BleakClient, BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakError

from services.bluetti_bridge.errors import BadReply, NoBluetooth, StationSilent
from services.bluetti_bridge.frames import Reply, Request
from services.bus.ble import adapter

WRITE_UUID = "0000ff02-0000-1000-8000-00805f9b34fb"
NOTIFY_UUID = "0000ff01-0000-1000-8000-00805f9b34fb"
_ATTEMPTS = 2
"""A frame may be hurt on its way; a second attempt in the same connection costs less than another connection."""
_HANG_UP_S = 5.0
_EMULATED = re.compile(r"hci:tcp:(?P<hci>[^/:]+:\d{1,5})(?:/(?P<who>.+))?")
_MAC_OR_UUID = re.compile(r"([0-9A-F]{2}:){5}[0-9A-F]{2}|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.IGNORECASE)
_LOST = (BleakError, OSError, EOFError, TimeoutError)
"""All that a Bluetooth library raises when somebody is out of reach, or the adapter is."""

Send = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class BleAddress:
    """Where a power station is."""

    hci: str | None
    """`host:port` of an emulated adapter; None for the machine's own."""
    who: str | None
    """A Bluetooth address, the identifier that macOS uses instead, or an advertised name; None takes the first of the model."""

    @classmethod
    def parse(cls, text: str) -> "BleAddress":
        """Raises ValueError with a remedy."""
        if found := _EMULATED.fullmatch(text):
            return cls(found["hci"], found["who"])
        if not text or (":" in text and not _MAC_OR_UUID.fullmatch(text)) or "/" in text:
            raise ValueError(
                f"address: {text!r} is not usable; use a Bluetooth address such as 'A4:C1:38:12:34:56', or the advertised name"
            )
        return cls(None, text)

    def fits(self, address: str, name: str | None, model: str | None) -> bool:
        """Whether it is the one that advertises so."""
        if self.who is not None:
            return self.who.casefold() == address.casefold() or self.who == name
        return model is not None and name is not None and re.fullmatch(rf"{re.escape(model)}\d+", name) is not None


class Codec(Protocol):
    """What firmware does to the frames between two connected ends."""

    async def begin(self, send: Send, received: asyncio.Queue[bytes]) -> None:
        """Whatever must be said before the first request. Raises StationError."""
        ...

    def seal(self, frame: bytes) -> bytes:
        """`frame` as it is sent."""
        ...

    def open(self, fragment: bytes) -> bytes:
        """What a received fragment adds to the reply. Raises StationError."""
        ...


class Plain:
    """Firmware that does nothing to them."""

    async def begin(self, send: Send, received: asyncio.Queue[bytes]) -> None:
        """See Codec."""

    def seal(self, frame: bytes) -> bytes:
        """See Codec."""
        return frame

    def open(self, fragment: bytes) -> bytes:
        """See Codec."""
        return fragment


@dataclass(frozen=True, slots=True)
class Found:
    """A power station that advertises."""

    device: BLEDevice
    name: str
    rssi_dbm: float


class Link:
    """An open connection. One request at a time."""

    def __init__(self, client: BleakClient, codec: Codec, timeout_s: float) -> None:
        self._client = client
        self._codec = codec
        self._timeout_s = timeout_s
        self._received: asyncio.Queue[bytes] = asyncio.Queue()

    async def begin(self) -> None:
        """Listen. Raises StationError."""
        await self._client.start_notify(NOTIFY_UUID, lambda _, data: self._received.put_nowait(bytes(data)))
        await self._codec.begin(self._send, self._received)

    async def exchange(self, request: Request) -> bytes:
        """The registers' bytes. Raises StationError."""
        for attempt in range(_ATTEMPTS):
            try:
                return await self._once(request)
            except BadReply:
                if attempt == _ATTEMPTS - 1:
                    raise
                # The rest of the hurt frame must not become the beginning of the next.
                await asyncio.sleep(0.1)
        raise AssertionError

    async def _once(self, request: Request) -> bytes:
        while not self._received.empty():
            self._received.get_nowait()
        reply = Reply(request)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._send(self._codec.seal(request.frame))
                while True:
                    fragment = await self._received.get()
                    if fragment.startswith(b"AT+"):
                        raise StationSilent("its Bluetooth module lost touch with the rest of it; switch it off and on again")
                    if (body := reply.feed(self._codec.open(fragment))) is not None:
                        return body
        except TimeoutError:
            far = f"broke off after {len(reply)} of {request.reply_size} bytes" if len(reply) else "did not answer"
            raise StationSilent(f"connected, but it {far} within {self._timeout_s:g} s") from None

    async def _send(self, data: bytes) -> None:
        await self._client.write_gatt_char(WRITE_UUID, data)


class Ble:
    """The machine's Bluetooth adapter, or an emulated one."""

    def __init__(self, address: BleAddress, timeout_s: float) -> None:
        """Raises ValueError when the address is an emulated one and bumble is not installed."""
        self._address = address
        self._timeout_s = timeout_s
        self._client: type[BaseBleakClient] | None = None
        self._scanner: type[BaseBleakScanner] | None = None
        if address.hci is not None:
            try:
                from services.bus.ble.bumble_backend import backends  # noqa: PLC0415 - for emulated power stations only
            except ImportError as error:
                raise ValueError("address: an emulated adapter needs bumble; pip install 'smart-power-station[simulator]'") from error
            self._client, self._scanner = backends(address.hci)

    async def find(self, model: str | None) -> Found:
        """Scan until it is heard. Raises StationSilent or NoBluetooth."""
        heard: asyncio.Future[Found] = asyncio.get_running_loop().create_future()

        def advertised(device: BLEDevice, data: AdvertisementData) -> None:
            name = data.local_name or device.name
            if not heard.done() and self._address.fits(device.address, name, model):
                heard.set_result(Found(device, name or "", float(data.rssi)))

        try:
            async with asyncio.timeout(self._timeout_s), adapter.turn(real=self._scanner is None):
                scanner = BleakScanner(advertised, backend=self._scanner) if self._scanner else BleakScanner(advertised)
                async with scanner:
                    return await heard
        except TimeoutError:
            raise StationSilent(f"not heard within {self._timeout_s:g} s: asleep, out of reach, or connected to an app") from None
        except (BleakBluetoothNotAvailableError, FileNotFoundError) as error:
            # BlueZ is reached over the system's D-Bus; where that has no socket, there is no BlueZ.
            raise NoBluetooth(f"this machine's Bluetooth is not available: {_words(error)}") from error
        except _LOST as error:
            raise StationSilent(f"cannot scan: {_words(error)}") from error

    @asynccontextmanager
    async def connected(self, found: Found, codec: Codec) -> AsyncIterator[Link]:
        """A connection that ends with the context, whatever happens in it. Raises StationError."""
        client = (
            BleakClient(found.device, timeout=self._timeout_s, backend=self._client)
            if self._client
            else BleakClient(found.device, timeout=self._timeout_s)
        )
        try:
            async with asyncio.timeout(self._timeout_s), adapter.turn(real=self._client is None):
                await client.connect()
            link = Link(client, codec, self._timeout_s)
            async with asyncio.timeout(2 * self._timeout_s):
                await link.begin()
            yield link
        except _LOST as error:
            raise StationSilent(f"the connection failed: {_words(error)}") from error
        finally:
            # Never left open: power stations have been seen to hang after days of a held link.
            with contextlib.suppress(*_LOST):
                async with asyncio.timeout(_HANG_UP_S):
                    await client.disconnect()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}{f' ({error})' if str(error) else ''}"
