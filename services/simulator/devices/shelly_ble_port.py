"""A simulated Shelly on Bluetooth in an air of its own, at an address such as `hci:tcp:127.0.0.1:18084/F0:5E:11:00:00:01`."""

import re
from urllib.parse import unquote, urlsplit

from services.simulator.devices.air import Air
from services.simulator.devices.faults import Faults
from services.simulator.devices.shelly_ble import ShellyBle
from services.simulator.devices.shelly_gen2 import ShellyGen2
from services.simulator.devices.shelly_switch import Switch

_BLUETOOTH = re.compile(r"[C-F][0-9A-F](:[0-9A-F]{2}){5}")
_DEFAULT = "F0:5E:11:00:00:01"


class ShellyBlePort:
    """The device, and the air around it."""

    def __init__(self, name: str, switches: dict[int, Switch], *, who: str, host: str, port: int, powered: bool = True) -> None:
        """`who` is its Bluetooth address, or the name that it advertises. Raises ValueError for one that it cannot have."""
        if not who or (":" in who and not _BLUETOOTH.fullmatch(who.upper())):
            raise ValueError(f"{who!r}; a simulated device needs a name, or a Bluetooth address that begins with C0 to FF")
        self.switches = switches
        named = ":" not in who
        self._bluetooth = _DEFAULT if named else who.upper()
        # Only as the one who answers frames: nothing listens on its own port.
        self._shelly = ShellyGen2(who if named else name, switches, host=host, port=0)
        self._air = Air(host=host, port=port)
        self._powered = powered
        self._faults = Faults()
        self._device: ShellyBle | None = None

    @property
    def port(self) -> int:
        """The port for adapters."""
        return self._air.port

    async def start(self) -> None:
        """Boot, if there is power, and advertise. Raises OSError when the port is taken."""
        await self._air.start()
        # Its controller belongs to the running loop.
        self._device = ShellyBle(self._air, self._shelly, address=self._bluetooth, powered=self._powered)
        await self._device.start()
        await self._device.suffer(self._faults)

    async def stop(self) -> None:
        """Go away."""
        if self._device is not None:
            await self._device.stop()
            self._device = None
        await self._air.stop()

    async def reboot(self) -> None:
        """Restart now: connections and timers are lost."""
        if self._device is not None:
            await self._device.reboot()

    async def power(self, on: bool) -> None:
        """The supply comes or goes."""
        self._powered = on
        if self._device is not None:
            await self._device.power(on)

    async def suffer(self, faults: Faults) -> None:
        """Have `faults` from now on; `refuse` means not to be in the air."""
        self._faults = faults
        if self._device is not None:
            await self._device.suffer(faults)


def who_at(url: str) -> str:
    """The device in the path of `url`."""
    return unquote(urlsplit(url).path.strip("/"))
