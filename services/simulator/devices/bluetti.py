"""A Bluetti power station in the emulated air: GATT service ff00, requests written to ff02, replies notified on ff01."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from bumble.att import Attribute
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, CharacteristicValue, Service

from services.simulator.devices.air import Air
from services.simulator.devices.bluetti_encryption import SecureEnd
from services.simulator.devices.bluetti_registers import IllegalAddress, Registers
from services.simulator.devices.faults import Faults

log = logging.getLogger(__name__)

SERVICE, NOTIFY, WRITE = UUID(0xFF00), UUID(0xFF01), UUID(0xFF02)
_READ, _WRITE = 3, 6
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _DEVICE_FAILURE = 1, 2, 4
_BOOT_S = 1.0
_ADVERTISE_MS = 100.0


@dataclass(frozen=True, slots=True)
class BluettiFaults:
    """The faults of one power station. As built, it has none."""

    silent: bool = False
    """Accepts connections and never answers."""
    absent: bool = False
    """Neither advertises nor answers: asleep, or out of reach."""
    delay_s: float = 0.0
    bad_crc: bool = False
    half: bool = False
    """Breaks off in the middle of a frame."""
    failure: bool = False
    """Answers every request with MODBUS exception 4."""
    strange: bool = False
    """Enumerations and switches have values that nobody knows."""
    stubborn: bool = False
    """Acknowledges a write and does nothing."""

    @classmethod
    def of(cls, faults: Faults) -> "BluettiFaults":
        """The nearest to what other devices call a fault."""
        return cls(
            silent=faults.silent,
            absent=faults.refuse,
            delay_s=faults.delay_s,
            bad_crc=faults.nonsense,
            half=faults.half,
            failure=faults.http_500,
            strange=faults.wrong_state,
        )


def crc16(data: bytes) -> bytes:
    """CRC-16/MODBUS as it is sent: by table, where the bridge's is by bit."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ 0xA001 * (value & 1)
    return value


_TABLE = [_entry(byte) for byte in range(256)]


class Bluetti:
    """One power station. `name` is what it advertises: the model and a serial number."""

    def __init__(
        self, air: Air, registers: Registers, *, name: str, address: str, mtu: int = 247, secure: Callable[[], SecureEnd] | None = None
    ) -> None:
        """With `secure`, its firmware encrypts."""
        self.registers = registers
        self.name = name
        self.connections = 0
        """Since it was built."""
        self.faults = BluettiFaults()
        self._connected_s = 0.0
        self._connected_at: float | None = None
        self._connection: Connection | None = None
        self._secure = secure
        self._session: SecureEnd | None = None
        self._answers: set[asyncio.Task[None]] = set()
        self._settling: set[asyncio.Task[None]] = set()
        """These talk to the controller and must not be cut off in mid-command."""
        self._radio = asyncio.Lock()
        self._off = True
        self._device: Device = air.device(name, address)
        self._device.gatt_server.max_mtu = mtu
        self._notify: Characteristic[bytes] = Characteristic(NOTIFY, Characteristic.Properties.NOTIFY, Attribute.READABLE, b"")
        self._notify.on(Characteristic.EVENT_SUBSCRIPTION, self._subscribed)
        properties = Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE
        requests: Characteristic[bytes] = Characteristic(WRITE, properties, Attribute.WRITEABLE, CharacteristicValue(write=self._asked))
        self._device.add_service(Service(SERVICE, [self._notify, requests]))
        self._device.on(Device.EVENT_CONNECTION, self._connected)

    @property
    def connected_s(self) -> float:
        """Real seconds spent in connections."""
        return self._connected_s + (0.0 if self._connected_at is None else time.monotonic() - self._connected_at)

    @property
    def gone(self) -> bool:
        """Whether nobody could find it now."""
        return self._off or self.faults.absent or self.registers.powered_off

    async def start(self) -> None:
        """Switch on and advertise."""
        await self._device.power_on()
        self._off = False
        await self._settle()

    async def stop(self) -> None:
        """Switch off."""
        self._off = True
        for task in list(self._answers):
            task.cancel()
        await asyncio.gather(*self._answers, *self._settling, return_exceptions=True)
        await self._settle()
        await self._device.power_off()

    async def suffer(self, faults: BluettiFaults) -> None:
        """Have `faults`, and no others."""
        self.faults = faults
        self.registers.forced = dict.fromkeys((70, 2011, 2017, 1509, 48, 3001, 3065, 2020), 77) if faults.strange else {}
        await self._settle()

    async def reboot(self) -> None:
        """Drop the link, be gone for a moment, come back as delivered."""
        before = self.faults
        await self.suffer(replace(before, absent=True))
        self.registers.settings = dict(self.registers.layout.defaults)
        self._spawn(self._boot(before), self._settling)

    async def _boot(self, faults: BluettiFaults) -> None:
        await asyncio.sleep(_BOOT_S)
        await self.suffer(faults)

    async def _settle(self) -> None:
        """Advertise exactly while somebody could connect."""
        async with self._radio:
            if self.gone:
                await self._vanish()
            elif self._connection is None and not self._device.is_advertising:
                data = AdvertisingData(
                    [
                        (AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()),
                        (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, SERVICE.to_bytes()),
                    ]
                )
                await self._device.start_advertising(
                    advertising_data=bytes(data), advertising_interval_min=_ADVERTISE_MS, advertising_interval_max=_ADVERTISE_MS
                )

    async def _vanish(self) -> None:
        with contextlib.suppress(BaseBumbleError):
            await self._device.stop_advertising()
            if self._connection is not None:
                await self._connection.disconnect()

    def _connected(self, connection: Connection) -> None:
        self.connections += 1
        self._connection = connection
        self._connected_at = time.monotonic()
        connection.on(Connection.EVENT_DISCONNECTION, self._disconnected)

    def _disconnected(self, *_: object) -> None:
        self._connected_s, self._connected_at, self._connection = self.connected_s, None, None
        self._session = None
        self._spawn(self._settle(), self._settling)

    def _subscribed(self, connection: Connection, notify: bool, _indicate: bool) -> None:
        if notify and self._secure is not None and not self.faults.silent:
            self._session = self._secure()
            self._spawn(self._send(connection, self._session.challenge()), self._answers)

    def _asked(self, connection: Connection, value: bytes) -> None:
        self._spawn(self._hear(connection, bytes(value)), self._answers)

    async def _hear(self, connection: Connection, value: bytes) -> None:
        if self._session is None:
            await self._answer(connection, value)
            return
        answers, requests = self._session.received(value)
        for answer in answers:
            await self._send(connection, answer)
        for request in requests:
            await self._answer(connection, request)

    async def _answer(self, connection: Connection, request: bytes) -> None:
        faults = self.faults
        if faults.silent or self.gone or request[-2:] != crc16(request[:-2]) or len(request) != 8:
            return
        await asyncio.sleep(faults.delay_s)
        reply = self._reply(request)
        reply += bytes(b ^ 0x5A for b in crc16(reply)) if faults.bad_crc else crc16(reply)
        if self._session is not None:
            reply = self._session.seal(reply)
        await self._send(connection, reply[: len(reply) // 2] if faults.half else reply)

    async def _send(self, connection: Connection, data: bytes) -> None:
        size = connection.att_mtu - 3
        for start in range(0, len(data), size):
            with contextlib.suppress(BaseBumbleError):
                await self._device.notify_subscriber(connection, self._notify, data[start : start + size])

    def _reply(self, request: bytes) -> bytes:
        unit, function = request[:2]
        address, argument = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        try:
            if self.faults.failure:
                return bytes([unit, function | 0x80, _DEVICE_FAILURE])
            if function == _READ:
                data = self.registers.read(address, argument)
                return bytes([unit, function, len(data)]) + data
            if function == _WRITE:
                if not self.faults.stubborn:
                    self.registers.write(address, argument)
                return request[:6]
        except IllegalAddress:
            return bytes([unit, function | 0x80, _ILLEGAL_ADDRESS])
        return bytes([unit, function | 0x80, _ILLEGAL_FUNCTION])

    def _spawn(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        def done(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("%s: %r", self.name, error)

        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(done)
