"""Which emulated device stands in for which relay driver."""

from typing import Protocol

from services.core.config.hardware import RelayDevice
from services.simulator.devices.faults import Faults
from services.simulator.devices.kasa import KasaPlug
from services.simulator.devices.kasa_klap import KasaKlap
from services.simulator.devices.shelly_ble_port import ShellyBlePort, who_at
from services.simulator.devices.shelly_gen1 import ShellyGen1
from services.simulator.devices.shelly_gen2 import ShellyGen2
from services.simulator.devices.shelly_switch import Switch

_HCI = "hci:tcp:"


class RelayEmulator(Protocol):
    """A device with its switches behind one port."""

    @property
    def switches(self) -> dict[int, Switch]:
        """By channel."""
        ...

    @property
    def port(self) -> int:
        """The port it listens on."""
        ...

    async def start(self) -> None:
        """Boot, if there is power, and listen. Raises OSError when the port is taken."""
        ...

    async def stop(self) -> None:
        """Go away."""
        ...

    async def reboot(self) -> None:
        """Restart now."""
        ...

    async def power(self, on: bool) -> None:
        """The supply comes or goes."""
        ...

    async def suffer(self, faults: Faults) -> None:
        """Have `faults` on the wire from now on."""
        ...


def url_of(relay: RelayDevice) -> str:
    """The address as a URL, in whatever form the driver wants it."""
    return relay.address.replace(_HCI, "hci://", 1) if relay.address.startswith(_HCI) else relay.address


def emulator(
    relay: RelayDevice, name: str, switches: dict[int, Switch], *, host: str, port: int, powered: bool, password: str | None
) -> RelayEmulator:
    """The device for the driver of `relay`, at loopback. Raises ValueError for what it cannot be."""
    if relay.driver == "shelly_ble" and password is not None:
        raise ValueError("secret: a simulated device of this kind has no password")
    if relay.driver == "kasa" and password is not None:
        return KasaKlap(name, switches, account=password, host=host, port=port, powered=powered)
    if relay.driver == "kasa":
        return KasaPlug(name, switches, host=host, port=port, powered=powered)
    if relay.driver == "shelly_ble":
        return ShellyBlePort(name, switches, who=who_at(url_of(relay)), host=host, port=port, powered=powered)
    kind = ShellyGen1 if relay.driver == "shelly_gen1" else ShellyGen2
    return kind(name, switches, host=host, port=port, powered=powered, password=password)
