"""Bluetooth controllers and the ether between them, where bumble's own assume that nobody ever goes away.

As over the air, what reaches nobody is lost, and a controller that talks to nobody loses its connection; and whatever a host
asks of its controller is answered, because a host waits for the answer without an end.
"""

import asyncio
import logging
from collections.abc import Callable

from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.hci import Address, HCI_Command, HCI_Disconnect_Command, HCI_ErrorCode
from bumble.link import LocalLink
from bumble.ll import AdvertisingPdu, ControlPdu

log = logging.getLogger(__name__)


class Ether(LocalLink):
    """Carries packets between controllers, each a moment later."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def send_advertising_pdu(self, sender_controller: Controller, packet: AdvertisingPdu) -> None:
        """To all who are there by then; a request to connect, too, takes this way."""
        for receiver in self.controllers - {sender_controller}:
            asyncio.get_running_loop().call_soon(self._advertise, sender_controller, receiver, packet)

    def _advertise(self, sender: Controller, receiver: Controller, packet: AdvertisingPdu) -> None:
        # Somebody who is gone must not connect any more: nobody would ever end that connection.
        if {sender, receiver} <= self.controllers:
            receiver.on_ll_advertising_pdu(packet)

    def send_ll_control_pdu(self, sender_address: Address, receiver_address: Address, packet: ControlPdu) -> None:
        """Within a connection."""
        self._send(sender_address, receiver_address, lambda receiver: receiver.on_ll_control_pdu(sender_address, packet))

    def send_acl_data(self, sender_controller: Controller, destination_address: Address, transport: PhysicalTransport, data: bytes) -> None:
        """Within a connection."""
        sender = sender_controller.random_address
        self._send(sender, destination_address, lambda receiver: receiver.on_link_acl_data(sender, transport, data))

    def _send(self, sender: Address, receiver: Address, hand_over: Callable[[Controller], None]) -> None:
        asyncio.get_running_loop().call_soon(self._carry, sender, receiver, hand_over)

    def _carry(self, sender: Address, receiver: Address, hand_over: Callable[[Controller], None]) -> None:
        found = self.find_le_controller(receiver)
        if found is not None and sender in found.le_connections:
            hand_over(found)
            return
        forlorn = self.find_le_controller(sender)
        if forlorn is not None and (connection := forlorn.le_connections.get(receiver)) is not None:
            forlorn.on_le_disconnected(connection, HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)


class Radio(Controller):
    """A controller that answers every command, if only with an error."""

    _told = False
    """Whether the command under way was answered."""

    def on_hci_command_packet(self, command: HCI_Command) -> None:
        """See Controller."""
        self._told = False
        try:
            super().on_hci_command_packet(command)
        except Exception:
            log.exception("%s: %s failed", self.name, command.name)
            if not self._told:
                self._send_hci_command_status(HCI_ErrorCode.UNSPECIFIED_ERROR_ERROR, command.op_code)

    def on_hci_disconnect_command(self, command: HCI_Disconnect_Command) -> None:
        """See Controller, which promises an end also to connections that it does not have, and tells of none."""
        if self.find_connection_by_handle(command.connection_handle) is None:
            self._send_hci_command_status(HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, command.op_code)
        else:
            super().on_hci_disconnect_command(command)

    def _send_hci_command_status(self, status: int, op_code: int) -> None:
        self._told = True
        super()._send_hci_command_status(status, op_code)
