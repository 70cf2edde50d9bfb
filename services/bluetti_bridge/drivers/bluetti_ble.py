"""A Bluetti over Bluetooth Low Energy: connect, read, hang up; a link is never held.

Field reports speak of power stations whose Bluetooth hangs until they are power-cycled after two days of an open connection, and the
vendor's app needs the only link there is.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.bluetti_bridge.ble_link import Ble, BleAddress, Codec, Found, Link, Plain
from services.bluetti_bridge.driver import Manners, Reply
from services.bluetti_bridge.errors import BadReply, StationRefused, StationSilent
from services.bluetti_bridge.frames import ModbusException, read, write
from services.bluetti_bridge.model import Model
from services.bluetti_bridge.models import model_named, model_of
from services.bus.loop_thread import LoopThread, NotFinished
from services.core.config.hardware import PowerStation

_LONGEST_WAIT_S = 300.0

T = TypeVar("T")


class NotAllowed(StationRefused):
    """A write that is not on the model's whitelist. Nothing was sent."""

    remedy = "see the model's file under services/bluetti_bridge/models for what may be written"


def connect(station: PowerStation) -> "BluettiBle":
    """The driver for `station`. Raises ValueError for an unusable address or an unknown model."""
    return BluettiBle(station, Plain)


class BluettiBle:
    """One power station. A call takes at most a scan, a connection and a few exchanges, each within `timeout_s`."""

    def __init__(self, station: PowerStation, codec: Callable[[], Codec]) -> None:
        address = BleAddress.parse(station.address)
        self._model = model_named(station.model) if station.model else None
        if self._model is None and address.who is None:
            raise ValueError("model: name it, such as AC180, or give the advertised name in the address")
        self.manners = Manners(longest_wait_s=max(_LONGEST_WAIT_S, station.poll_s), connections_per_hour=station.connections_per_hour)
        self._ble = Ble(address, station.timeout_s)
        self._codec = codec
        self._loop = LoopThread("bluetti")

    def read(self) -> Reply:
        """See PowerStationDriver."""
        return self._call(self._read)

    def set(self, control: str, value: str) -> None:
        """Write `value` to `control`, both by name, and read it back. Raises NotAllowed, or what `read` raises.

        Only what the model's whitelist names can be written; switching a power station off is in none.
        """

        async def work(model: Model, link: Link, _: Found) -> None:
            allowed = model.controls.get(control)
            if allowed is None:
                raise NotAllowed(f"{model.name} has no {control!r}; there is {', '.join(sorted(model.controls)) or 'nothing to write'}")
            if (raw := allowed.values.get(value)) is None:
                raise NotAllowed(f"{control} cannot be {value!r}; use one of {', '.join(allowed.values)}")
            await link.exchange(write(allowed.address, raw))
            said = int.from_bytes(await link.exchange(read(allowed.address, 1)), "big")
            if said != raw:
                raise BadReply(control, said, f"{raw} ({value}), which was written and acknowledged")

        self._call(work)

    def close(self) -> None:
        """See PowerStationDriver."""
        self._loop.close()

    async def _read(self, model: Model, link: Link, found: Found) -> Reply:
        blocks: dict[int, bytes] = {}
        refused: list[BadReply] = []
        refusal: ModbusException | None = None
        for address, count in model.blocks:
            try:
                blocks[address] = await link.exchange(read(address, count))
            except ModbusException as error:
                refusal = error
                refused.append(BadReply(f"registers {address} to {address + count - 1}", f"MODBUS exception {error.code}", "an answer"))
        if refusal is not None and not blocks:
            raise refusal
        reply = model.reply(blocks, refused)
        return Reply(reply.reading, reply.refused, found.rssi_dbm)

    def _call(self, work: Callable[[Model, Link, Found], Awaitable[T]]) -> T:
        async def connected() -> T:
            found = await self._ble.find(self._model.name if self._model else None)
            model = self._model or _model_of(found)
            async with self._ble.connected(found, self._codec()) as link:
                return await work(model, link, found)

        try:
            return self._loop.call(connected)
        except NotFinished as error:
            raise StationSilent(f"the driver: {error}") from None


def _model_of(found: Found) -> Model:
    if (name := model_of(found.name)) is None:
        raise BadReply("advertised name", found.name, "a known model and a serial number; else name battery.model in the configuration")
    return model_named(name)
