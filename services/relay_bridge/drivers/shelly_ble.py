"""Shelly relays of the second generation and later over Bluetooth Low Energy, for sites without Wi-Fi.

The same JSON-RPC and the same rules as over HTTP. The address is the device's Bluetooth address or its advertised name;
`hci:tcp:<host>:<port>/<address>` is an emulated device. RPC over Bluetooth must be switched on in the device (`BLE.SetConfig`,
`rpc`), and passwords over it are not supported. The link is held; a held link is unproven on real devices, as is all else
here that no document states. Give it a generous `timeout_s`: connecting takes a few seconds where the radio is busy.
"""

from collections.abc import Callable

from services.core.config.hardware import RelayDevice
from services.relay_bridge.drivers.shelly_ble_link import BleSession
from services.relay_bridge.drivers.shelly_gen2 import RpcSwitch


def connect(device: RelayDevice, monotonic: Callable[[], float], password: str | None = None) -> "ShellyBle":
    """The driver for `device`. Raises ValueError for an unusable address, and for a password."""
    if password is not None:
        raise ValueError("secret: RPC over Bluetooth with a password is not supported; use driver 'shelly_gen2', or take the password off")
    return ShellyBle(device.address, device.channel, device.timeout_s, monotonic)


class ShellyBle(RpcSwitch):
    """One channel of one Shelly. There is one link, so a command waits for the exchange that a poll may be in."""

    def __init__(self, address: str, channel: int, timeout_s: float, monotonic: Callable[[], float]) -> None:
        session = BleSession(address, timeout_s)
        super().__init__(channel, monotonic, session, session)
