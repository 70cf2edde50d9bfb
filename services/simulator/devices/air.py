"""The air between emulated Bluetooth devices and the bridges: no radio, but HCI over TCP.

Whoever connects to the port gets a controller of its own, as if a Bluetooth adapter had been plugged in; bridges do so with
`services.bus.ble.bumble_backend`. Emulated devices take part through `device`.
"""

import asyncio
from typing import Any

from bumble.device import Device
from bumble.hci import HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR, HCI_Disconnect_Command
from bumble.hci import Address as BluetoothAddress
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink, StreamPacketSource

from services.simulator.devices.radio import Ether, Radio


class Air:
    """A stretch of ether with a port for adapters."""

    def __init__(self, *, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._link = Ether()
        self._server: asyncio.Server | None = None
        self._plugs: set[_Plug] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server and self._server.sockets else self._port

    @property
    def adapters(self) -> int:
        """How many are plugged in."""
        return len(self._plugs)

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Plug(self._link, self._plugs), self._host, self._port)
        self._port = self.port

    async def stop(self) -> None:
        """Pull all plugs and close the port."""
        if self._server is None:
            return
        self._server.close()
        for plug in list(self._plugs):
            plug.pull()
        await self._server.wait_closed()
        self._server = None

    def device(self, name: str, address: str) -> Device:
        """A device in the air, still switched off (`power_on`). `address` is random static: it begins with C0 to FF."""
        controller = Radio(name, link=self._link)
        # Its host must not be called back from within its own call.
        host = Host(controller, AsyncPipeSink(controller))
        return Device(name=name, address=BluetoothAddress(address), host=host)


class _Plug(StreamPacketSource):
    """One TCP connection: a controller for as long as it lasts."""

    def __init__(self, link: Ether, plugs: "set[_Plug]") -> None:
        super().__init__()
        self._link = link
        self._plugs = plugs

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._controller = Radio("adapter", host_source=self, host_sink=self, link=self._link)
        self._plugs.add(self)

    def on_packet(self, packet: bytes) -> None:
        """From the controller to its host."""
        if not self._transport.is_closing():
            self._transport.write(packet)

    def pull(self) -> None:
        """End the connection."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._plugs.discard(self)
        # The others learn at once what a real one would tell them by its silence.
        for connection in list(self._controller.le_connections.values()):
            command = HCI_Disconnect_Command(connection_handle=connection.handle, reason=HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR)
            self._controller.on_hci_disconnect_command(command)
        self._link.remove_controller(self._controller)
