"""A Shelly Gen2 in the emulated air: JSON-RPC over the GATT service of Mongoose OS, on the same switches as over HTTP."""

import asyncio
import contextlib
import json
import struct
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from bumble.att import Attribute
from bumble.core import AdvertisingData, BaseBumbleError
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, CharacteristicValue, Service

from services.simulator.devices.air import Air
from services.simulator.devices.faults import Faults
from services.simulator.devices.shelly_gen2 import ShellyGen2
from services.simulator.devices.shelly_switch import Switch

SERVICE = "5f6d4f53-5f52-5043-5f53-56435f49445f"
DATA = "5f6d4f53-5f52-5043-5f64-6174615f5f5f"
TX_CONTROL = "5f6d4f53-5f52-5043-5f74-785f63746c5f"
RX_CONTROL = "5f6d4f53-5f52-5043-5f72-785f63746c5f"
_LENGTH = struct.Struct(">I")
_ADVERTISE_MS = 100.0
_NONSENSE = b"\xff\xfe<html>not what you asked for"
_BROKEN = {"code": 500, "message": "Internal Server Error"}


@dataclass
class _Talk:
    """One connection's frames, both ways."""

    expected: int = 0
    asked: bytes = b""
    answer: bytes = b""
    length: int = 0
    """Of the answer as announced, from the moment that it is ready until the last piece was read."""


class ShellyBle:
    """The device. Its address is random static: it begins with C0 to FF. While the grid is out it is not there."""

    def __init__(self, air: Air, shelly: ShellyGen2, *, address: str, powered: bool = True) -> None:
        """`shelly` answers the frames; whether it also listens on its port is another matter."""
        self.name = shelly.name
        self.shelly = shelly
        self._powered = powered
        self._started = False
        self._faults = Faults()
        self._talks: dict[Connection, _Talk] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._radio = asyncio.Lock()
        self._device = air.device(self.name, address)
        self._device.gatt_server.max_mtu = 247
        properties, read, write = Characteristic.Properties, Attribute.READABLE, Attribute.WRITEABLE
        characteristics: list[Characteristic[bytes]] = [
            Characteristic(
                DATA, properties.READ | properties.WRITE, read | write, CharacteristicValue(read=self._next_piece, write=self._more)
            ),
            Characteristic(TX_CONTROL, properties.WRITE, write, CharacteristicValue(write=self._begin)),
            Characteristic(RX_CONTROL, properties.READ, read, CharacteristicValue(read=self._ready)),
        ]
        self._device.add_service(Service(SERVICE, characteristics))
        self._device.on(Device.EVENT_CONNECTION, self._connected)
        self._device.advertising_data = bytes(
            AdvertisingData([(AdvertisingData.Type.FLAGS, b"\x06"), (AdvertisingData.Type.COMPLETE_LOCAL_NAME, self.name.encode()[:26])])
        )

    @property
    def switches(self) -> dict[int, Switch]:
        """By channel."""
        return self.shelly.switches

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._talks)

    async def start(self) -> None:
        """Boot, if there is power, and advertise."""
        if self._powered:
            self.shelly.boot()
        await self._device.power_on()
        self._started = True
        await self._settle()

    async def stop(self) -> None:
        """Go away."""
        self._started = False
        self._halt()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._settle()
        await self._device.power_off()

    async def reboot(self) -> None:
        """Restart now: connections and timers are lost."""
        await self._drop()
        self.shelly.boot()
        await self._settle()

    async def power(self, on: bool) -> None:
        """The supply comes or goes."""
        if on == self._powered:
            return
        self._powered = on
        if on:
            self.shelly.boot()
        else:
            self._halt()
        await self._settle()

    async def suffer(self, faults: Faults) -> None:
        """Have `faults` in the air from now on, instead of those before; see Switch.suffer for the others."""
        self._faults = faults
        await self._settle()

    def _halt(self) -> None:
        for switch in self.switches.values():
            switch.halt()

    async def _settle(self) -> None:
        """Be in the air or not, as things are."""
        async with self._radio:
            here = self._started and self._powered and not self._faults.refuse
            if not here:
                await self._drop()
            if here and not self._talks and not self._device.is_advertising:
                await self._device.start_advertising(advertising_interval_min=_ADVERTISE_MS, advertising_interval_max=_ADVERTISE_MS)
            elif not here and self._device.is_advertising:
                await self._device.stop_advertising()

    async def _drop(self) -> None:
        for connection in list(self._talks):
            with contextlib.suppress(BaseBumbleError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await connection.disconnect()

    def _connected(self, connection: Connection) -> None:
        self._talks[connection] = _Talk()
        connection.on(connection.EVENT_DISCONNECTION, lambda *_: self._disconnected(connection))

    def _disconnected(self, connection: Connection) -> None:
        self._talks.pop(connection, None)
        self._spawn(self._settle())

    def _begin(self, connection: Connection, value: bytes) -> None:
        if len(value) == _LENGTH.size:
            self._talks[connection] = _Talk(expected=_LENGTH.unpack(value)[0])

    def _more(self, connection: Connection, value: bytes) -> None:
        talk = self._talks[connection]
        talk.asked += value
        if talk.expected and len(talk.asked) >= talk.expected:
            frame, talk.expected = talk.asked[: talk.expected], 0
            self._spawn(self._answer(connection, frame))

    async def _answer(self, connection: Connection, frame: bytes) -> None:
        faults = self._faults
        # Done at once; it is the answer that is late.
        answer = self.shelly.answer_frame(frame)
        if faults.delay_s:
            await asyncio.sleep(faults.delay_s)
        if faults.silent:
            return
        if faults.http_500:
            answer = {name: value for name, value in answer.items() if name != "result"} | {"error": _BROKEN}
        body = _NONSENSE if faults.nonsense else json.dumps(answer).encode()
        # A late answer comes in the place of the one that is now waited for.
        if (talk := self._talks.get(connection)) is None:
            return
        talk.length = len(body)
        talk.answer = body[: len(body) // 2] if faults.half else body

    def _ready(self, connection: Connection) -> bytes:
        return _LENGTH.pack(self._talks[connection].length)

    def _next_piece(self, connection: Connection) -> bytes:
        talk = self._talks[connection]
        # Shorter than a read may be, so that no client takes it for the beginning of a long one.
        size = connection.att_mtu - 3
        piece, talk.answer = talk.answer[:size], talk.answer[size:]
        if not talk.answer:
            talk.length = 0
        return piece

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
