"""What the emulated air does when somebody is gone in the middle of something: nobody waits for ever, nobody keeps a ghost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest
from bumble.controller import Controller
from bumble.device import Device, Peer
from bumble.hci import Address, HCI_Error, HCI_Read_BD_ADDR_Command
from bumble.transport.tcp_client import open_tcp_client_transport

from services.simulator.devices.bluetti import BluettiFaults
from tests.support.bluetti import ADDRESS, Emulated, emulated_bluetti
from tests.support.waiting import wait_for

SOON_S = 2.0
PEER = Address(ADDRESS, Address.RANDOM_DEVICE_ADDRESS)


@pytest.fixture
async def station() -> AsyncIterator[Emulated]:
    async with emulated_bluetti() as emulated:
        yield emulated


class Guest:
    """A host with an adapter of its own in the air."""

    def __init__(self, station: Emulated) -> None:
        self._station = station

    async def __aenter__(self) -> Self:
        self.transport = await open_tcp_client_transport(f"127.0.0.1:{self._station.air.port}")
        self.device = Device.with_hci("guest", Address.generate_static_address(), self.transport.source, self.transport.sink)
        await self.device.power_on()
        (self.plug,) = self._station.air._plugs
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.transport.close()
        await wait_for(lambda: self._station.air.adapters == 0, what="the adapter is gone")


def radio(station: Emulated) -> Controller:
    """The power station's controller."""
    return next(c for c in station.air._link.controllers if PEER in (c.random_address, *(s.address for s in c.advertising_sets.values())))


def connections(station: Emulated) -> dict[Any, Any]:
    """Those that it believes in."""
    return radio(station).le_connections


async def test_an_adapter_pulled_out_while_it_connects_leaves_no_ghost_that_holds_the_device(station: Emulated) -> None:
    async with Guest(station) as guest:
        connecting = asyncio.ensure_future(guest.device.connect(PEER, timeout=None))
        await wait_for(lambda: guest.plug._controller.pending_le_connection is not None, what="looking for it")
        # Gone in the very moment in which the device is heard.
        guest.plug.pull()
        (advertising,) = radio(station).advertising_sets.values()
        advertising.send_extended_advertising_data()
        await wait_for(lambda: station.air.adapters == 0, what="pulled out")
        connecting.cancel()
    assert not connections(station)
    async with asyncio.timeout(SOON_S):
        await station.device.suffer(BluettiFaults(absent=True))
        await station.device.suffer(BluettiFaults())
    async with Guest(station) as another, asyncio.timeout(SOON_S):
        await another.device.connect(PEER, timeout=None)


async def test_a_device_whose_peer_vanished_without_a_word_can_still_hang_up(station: Emulated) -> None:
    async with Guest(station) as guest:
        await guest.device.connect(PEER, timeout=None)
        await wait_for(lambda: connections(station), what="connected")
        guest.plug._controller.le_connections.clear()
        station.air._link.remove_controller(guest.plug._controller)
        async with asyncio.timeout(SOON_S):
            await station.device.suffer(BluettiFaults(absent=True))
        assert not connections(station)
        station.air._link.add_controller(guest.plug._controller)


async def test_who_talks_to_nobody_loses_the_connection(station: Emulated) -> None:
    async with Guest(station) as guest:
        connection = await guest.device.connect(PEER, timeout=None)
        await wait_for(lambda: connections(station), what="connected")
        lost = asyncio.Event()
        connection.on(connection.EVENT_DISCONNECTION, lambda _: lost.set())
        connections(station).clear()
        asked = asyncio.ensure_future(Peer(connection).request_mtu(100))
        async with asyncio.timeout(SOON_S):
            await lost.wait()
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)


async def test_a_command_that_the_controller_fails_at_is_answered_with_an_error(station: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Guest(station) as guest:

        def fail(_: object) -> None:
            raise LookupError("no such thing")

        monkeypatch.setattr(guest.plug._controller, "on_hci_read_bd_addr_command", fail, raising=False)
        async with asyncio.timeout(SOON_S):
            with pytest.raises((HCI_Error, AssertionError)):
                await guest.device.host.send_sync_command(HCI_Read_BD_ADDR_Command())
        monkeypatch.undo()
        async with asyncio.timeout(SOON_S):
            await guest.device.host.send_sync_command(HCI_Read_BD_ADDR_Command())
