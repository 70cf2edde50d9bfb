"""The simulated power station as a Bluetti in an air of its own, at an address such as `hci:tcp:127.0.0.1:18084/AC1802237000123456`."""

import re
from collections.abc import Callable

from services.simulator.devices.air import Air
from services.simulator.devices.bluetti import Bluetti, BluettiFaults
from services.simulator.devices.bluetti_registers import LAYOUTS, Registers, Status
from services.simulator.devices.faults import Faults

SCHEME = "hci:"
_ADDRESS = re.compile(r"hci:tcp:([A-Za-z0-9._-]+):(\d{1,5})(?:/(.+))?")
_BLUETOOTH = re.compile(r"[C-F][0-9A-F](:[0-9A-F]{2}){5}")
_DEFAULT = "F0:B1:E7:00:00:01"
_SERIAL = "2237000123456"
_FALLBACK = "AC180"


class BluettiPort:
    """A power station, and the air around it."""

    def __init__(
        self,
        address: str,
        model: str | None,
        status: Callable[[], Status],
        set_ac_output: Callable[[bool], None],
        *,
        listens_at: Callable[[str], str | None],
    ) -> None:
        """`listens_at` gives what to bind for the host in an address, or None where that is no host of ours.

        Raises ValueError, naming what would be right.
        """
        found = _ADDRESS.fullmatch(address)
        if found is None or int(found[2]) > 65535 or (host := listens_at(found[1])) is None:
            raise ValueError(
                f"battery.address: {address!r}; a simulated Bluetti needs an address such as 'hci:tcp:127.0.0.1:18084/AC180{_SERIAL}'"
            )
        who = found[3] or ""
        bluetooth = who.upper() if _BLUETOOTH.fullmatch(who.upper()) else None
        name = model or next((known for known in LAYOUTS if re.fullmatch(rf"{known}\d{{10,}}", who)), _FALLBACK)
        if (layout := LAYOUTS.get(name.upper())) is None:
            raise ValueError(f"battery.model: {name!r} cannot be simulated; use one of {', '.join(sorted(LAYOUTS))}")
        self.host, self.port = host, int(found[2])
        self._air = Air(host=self.host, port=self.port)
        self._registers = Registers(layout, status, set_ac_output)
        self._name = who if who and bluetooth is None else layout.name + _SERIAL
        self._bluetooth = bluetooth or _DEFAULT
        self._device: Bluetti | None = None
        self._faults = BluettiFaults()

    async def start(self) -> None:
        """Switch it on. Raises OSError when the port is taken."""
        await self._air.start()
        # Its controller belongs to the running loop.
        self._device = Bluetti(self._air, self._registers, name=self._name, address=self._bluetooth)
        await self._device.start()
        await self._device.suffer(self._faults)

    async def stop(self) -> None:
        """Switch it off."""
        if self._device is not None:
            await self._device.stop()
            self._device = None
        await self._air.stop()

    async def suffer(self, faults: Faults, *, reboot: bool) -> None:
        """Have `faults`, the nearest that such a device can have. Raises ValueError for one that it cannot."""
        if faults.welded or faults.counter_reset:
            raise ValueError("device: 'station' has no contact and no energy counter")
        self._faults = BluettiFaults.of(faults)
        if self._device is not None:
            await self._device.suffer(self._faults)
            if reboot:
                await self._device.reboot()
