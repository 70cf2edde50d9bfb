"""bleak without a radio: its client and scanner on top of a bumble host that reaches its controller by HCI over TCP.

    client_type, scanner_type = backends("127.0.0.1:18090")
    async with BleakClient("F0:00:00:00:00:01", timeout=5.0, backend=client_type) as client: ...

Every client and every scanner opens a controller of its own and closes it when it disconnects or stops, so that nothing is
shared between threads or bridges; the other side must give each TCP connection a controller, as `simulator/devices/air.py`
does. Peripherals there have random static addresses, which begin with C0 to FF. For emulated devices only: bleak says that its
backend interface may change with any release; this is written for 3.1.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID as uuid_of  # noqa: N811 - bumble has a UUID too

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Advertisement, Connection, Device, Peer
from bumble.hci import Address
from bumble.transport.common import Transport
from bumble.transport.tcp_client import open_tcp_client_transport

_MTU = 247
_START_S = 5.0
"""For an adapter to begin scanning."""
_AGAIN_S = 0.1
"""Until a request that did not hear its cancellation is told again."""


def backends(hci: str) -> tuple[type[BaseBleakClient], type[BaseBleakScanner]]:
    """The client and scanner types, for bleak's `backend`, that use controllers at `hci` (`host:port`)."""
    return type("BumbleClient", (_Client,), {"hci": hci}), type("BumbleScanner", (_Scanner,), {"hci": hci})


class _Adapter:
    """A host on a controller of its own."""

    def __init__(self, hci: str) -> None:
        self._hci = hci
        self._transport: Transport | None = None
        self.device: Device | None = None

    async def open(self) -> Device:
        """Raises OSError or bumble's errors."""
        self._transport = await open_tcp_client_transport(self._hci)
        address = Address.generate_static_address()
        self.device = Device.with_hci("sps", address, self._transport.source, self._transport.sink)
        await self.device.power_on()
        return self.device

    async def close(self) -> None:
        """Hang up; the controller goes, and with it its links."""
        transport, self._transport, self.device = self._transport, None, None
        if transport is not None:
            await transport.close()


class _Client(BaseBleakClient):
    hci: ClassVar[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._adapter = _Adapter(self.hci)
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._subscribers: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        return self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        return self._connection.att_mtu if self._connection else 23

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **_: Any) -> None:  # noqa: ARG002
        try:
            async with asyncio.timeout(self._timeout):
                device = await _answered(self._adapter.open())
                connection = await _answered(device.connect(Address(self.address, Address.RANDOM_DEVICE_ADDRESS), timeout=None))
                connection.on(connection.EVENT_DISCONNECTION, self._lost)
                peer = Peer(connection)
                await _answered(peer.request_mtu(_MTU), connection)
                self.services = await _answered(_discover(peer), connection)
        except BaseException as error:
            await self._adapter.close()
            if isinstance(error, BaseBumbleError | OSError) and not isinstance(error, TimeoutError):
                raise BleakError(f"cannot connect: {error}") from error
            raise
        self._connection, self._peer = connection, peer

    async def disconnect(self) -> None:
        connection, self._connection, self._peer = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(BaseBumbleError, OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await connection.disconnect()
        await self._adapter.close()

    async def pair(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    async def unpair(self) -> None:
        raise NotImplementedError

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **_: Any) -> bytearray:
        return bytearray(await self._answered(self._gatt().read_value(characteristic.handle)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        if not response and len(data) > self.mtu_size - 3:
            raise BleakError(f"{len(data)} bytes do not fit into one packet of {self.mtu_size - 3}")
        await self._answered(self._gatt().write_value(characteristic.handle, bytes(data), with_response=response))

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **_: Any) -> bytearray:
        raise NotImplementedError

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        raise NotImplementedError

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: Any) -> None:
        def heard(value: bytes) -> None:
            callback(bytearray(value))

        await self._answered(self._gatt().subscribe(characteristic.obj, heard))
        self._subscribers[characteristic.handle] = heard

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        await self._answered(self._gatt().unsubscribe(characteristic.obj, self._subscribers.pop(characteristic.handle, None)))

    def _gatt(self) -> Any:
        if self._peer is None:
            raise BleakError("not connected")
        return self._peer.gatt_client

    async def _answered(self, request: Any) -> Any:
        return await _answered(request, self._connection)

    def _lost(self, *_: object) -> None:
        if self._connection is None:
            return
        self._connection = self._peer = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()


class _Scanner(BaseBleakScanner):
    hci: ClassVar[str]

    def __init__(self, detection_callback: Any, service_uuids: list[str] | None, *_: Any, **__: Any) -> None:
        super().__init__(detection_callback, service_uuids)
        self._adapter = _Adapter(self.hci)

    async def start(self) -> None:
        self.seen_devices = {}
        try:
            async with asyncio.timeout(_START_S):
                device = await _answered(self._adapter.open())
                device.on(device.EVENT_ADVERTISEMENT, self._heard)
                await _answered(device.start_scanning())
        except BaseException as error:
            await self._adapter.close()
            if isinstance(error, TimeoutError):
                raise BleakError(f"cannot scan: the adapter did not answer within {_START_S:g} s") from error
            if isinstance(error, BaseBumbleError | OSError):
                raise BleakError(f"cannot scan: {error}") from error
            raise

    async def stop(self) -> None:
        await self._adapter.close()

    def _heard(self, advertisement: Advertisement) -> None:
        data, kind = advertisement.data, AdvertisingData.Type
        name = data.get(kind.COMPLETE_LOCAL_NAME) or data.get(kind.SHORTENED_LOCAL_NAME)
        uuids = [
            _text(uuid)
            for group in (kind.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, kind.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS)
            for uuid in data.get(group) or []
        ]
        makers = dict(data.get_all(kind.MANUFACTURER_SPECIFIC_DATA))
        heard = AdvertisementData(name, makers, {}, uuids, None, advertisement.rssi, (advertisement,))
        if self.is_allowed_uuid(uuids):
            address = advertisement.address.to_string(with_type_qualifier=False)
            self.call_detection_callbacks(self.create_or_update_device(address, address, name, advertisement, heard), heard)


async def _answered(request: Any, connection: Connection | None = None) -> Any:
    """What `request` gives, unless it is cancelled or the link goes first.

    bumble waits for an answer even if the link is gone, and with asyncio.wait_for, which in Python 3.11 forgets a cancellation that
    comes together with the answer; then nobody would be left to end the next wait.
    """
    asked = asyncio.ensure_future(request)
    gone: asyncio.Future[None] = asked.get_loop().create_future()

    def lost(*_: object) -> None:
        if not gone.done():
            gone.set_result(None)

    if connection is not None:
        connection.on(connection.EVENT_DISCONNECTION, lost)
    try:
        await asyncio.wait([asked, gone], return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise BleakError("the device disconnected")
        return asked.result()
    except BaseBumbleError as error:
        raise BleakError(str(error)) from error
    finally:
        if connection is not None:
            connection.remove_listener(connection.EVENT_DISCONNECTION, lost)
        while not asked.done():
            asked.cancel()
            await asyncio.wait([asked], timeout=_AGAIN_S)


async def _discover(peer: Peer) -> BleakGATTServiceCollection:
    found = BleakGATTServiceCollection()
    for service in await peer.discover_services():
        ours = BleakGATTService(service, service.handle, _text(service.uuid))
        found.add_service(ours)
        for characteristic in await service.discover_characteristics():
            properties = list(gatt_char_props_to_strs(characteristic.properties))
            found.add_characteristic(
                BleakGATTCharacteristic(
                    characteristic, characteristic.handle, _text(characteristic.uuid), properties, lambda: peer.connection.att_mtu - 3, ours
                )
            )
    return found


def _text(uuid: UUID) -> str:
    """All 128 bits, as bleak writes them."""
    return str(uuid_of(bytes=uuid.to_bytes(force_128=True)[::-1]))
