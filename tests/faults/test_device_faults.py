"""Every fault of every relay driver's device while its relay is held unsafe in an event; a table of it is printed with `-s`.

One bridge a driver goes through them all, so each fault also finds what the one before has left.
"""

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.simulator.devices.faults import Faults
from tests.support.brokers import TestBroker
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated import var_with_secret
from tests.unit.relay_bridge.kinds import KINDS, Kind
from tests.unit.relay_bridge.running import House, bridge, house_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLL_S = 0.3
DRIVERS = ["shelly_gen1", "shelly_gen2, digest", "shelly_ble", "kasa", "kasa, KLAP"]
SILENT, UNUSABLE = "not answering since 20", "not answering usably since 20"
FAULTS: dict[str, tuple[Faults, str]] = {
    "silent": (Faults(silent=True), SILENT),
    "refused connection": (Faults(refuse=True), SILENT),
    "too slow": (Faults(delay_s=3.0), SILENT),
    "half a frame": (Faults(half=True), SILENT),
    "error to everything": (Faults(http_500=True), UNUSABLE),
    "nonsense": (Faults(nonsense=True), UNUSABLE),
    "says the opposite": (Faults(wrong_state=True), "found on though off was set"),
    "welded contact": (Faults(welded=True), "welded contact"),
}
UNKNOWN = (SILENT, UNUSABLE)


class Bridged:
    """A running bridge with two devices of one kind, and the table."""

    def __init__(self, name: str, house: House, rows: list[tuple[str, str, str]]) -> None:
        self.name = name
        self.kind: Kind = KINDS[name]
        self.house = house
        self._rows = rows

    @property
    def limit_s(self) -> float:
        """Two polls that fail, each at the end of its time-outs, and the fraction of a period until the first.

        To learn that somebody is out of reach takes Bluetooth three time-outs more.
        """
        return 3 * POLL_S + 2 * self.kind.timeout_s * (4 if self.name == "shelly_ble" else 1) + 0.5

    def row(self, fault: str, what: str) -> None:
        self._rows.append((self.name, fault, what))

    async def held_off(self) -> str:
        """P1 off, as in an event; returns the wish."""
        wish = self.house.command("p1", on=False)
        await self.house.state("p1", within_s=15.0, on=False, command_id=wish, fault=None)
        return wish


@pytest.fixture(scope="module")
def rows() -> Iterator[list[tuple[str, str, str]]]:
    """Rows of what happened, printed at the end."""
    found: list[tuple[str, str, str]] = []
    yield found
    sys.stdout.write("\n".join(["", f"{'device':<21}{'fault':<21}what the bridge did", *(f"{d:<21}{f:<21}{w}" for d, f, w in found), ""]))


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=DRIVERS)
async def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> AsyncIterator[Bridged]:
    name: str = request.param
    kind, folder = KINDS[name], tmp_path_factory.mktemp("bridge")
    settings: dict[str, Any] = {"poll_s": POLL_S, "push": name.startswith("shelly_gen2")}
    if kind.password is not None:
        settings["secret"] = "relays"
    var = var_with_secret(folder, "relays", kind.password or "")
    running = TestBroker("mosquitto", _made(folder / "broker"))
    running.start()
    try:
        async with (
            kind.make(on=True, name="p1") as p1,
            kind.make(on=False, name="p2") as p2,
            house_of(p1, p2, running, var, kind.timeout_s, **settings) as house,
            bridge(house, device_timer_s=30.0),
        ):
            yield Bridged(name, house, rows)
    finally:
        running.close()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def seconds(until: Awaitable[object]) -> float:
    started = time.monotonic()
    await until
    return time.monotonic() - started


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_in_mid_event_is_told_within_two_polls_and_over_when_the_device_is_well(served: Bridged, fault: str) -> None:
    house, (faults, told) = served.house, FAULTS[fault]
    wish = await served.held_off()
    errors = len(house.errors())
    await house.p1.suffer(faults)

    def is_told() -> bool:
        """As a state, or as a report where the bridge has put it right before the next state."""
        state = house.states("p1")[-1]
        if told in UNKNOWN:
            return state["on"] is None and str(state["fault"]).startswith(told)
        return str(state["fault"]).startswith(told) or any(told in error["message"] for error in house.errors()[errors:])

    told_s = await seconds(wait_for(is_told, 15.0, what=f"{told}; last: {house.states('p1')[-1]}"))
    assert told_s < served.limit_s
    heard = len(house.readings("p1"))
    await house.reads_again("p2")
    if told in UNKNOWN:
        assert len(house.readings("p1")) == heard, "no reading is made up"
        assert any("p1 (" in error["message"] and error["remedy"] for error in house.errors())
    await house.p1.suffer(Faults())
    house.command("p1", on=False, command_id=wish)
    well_s = await seconds(house.state("p1", within_s=20.0, on=False, fault=None))
    assert not house.p1.load.closed
    served.row(fault, f"{'unknown' if told in UNKNOWN else 'told'} after {told_s:.2f} s, well {well_s:.2f} s after the device")


async def test_a_reboot_in_mid_event_is_found_by_the_next_poll_and_the_timer_runs_again(served: Bridged) -> None:
    """It comes back safe where it can be told to; else as it was, without its timer."""
    p1 = served.house.p1
    await served.held_off()
    await p1.device.reboot()
    assert p1.load.closed == served.kind.has_boot_state
    again_s = await seconds(wait_for(lambda: not p1.load.closed and p1.left_s is not None, 15.0, what="the wish and its timer again"))
    came_back = "came back on" if served.kind.has_boot_state else "came back off, without its timer"
    served.row("reboot", f"{came_back}; the wish and its timer again after {again_s:.2f} s")
    await served.house.state("p1", within_s=15.0, on=False, fault=None)


async def test_a_counter_that_starts_again_neither_falls_nor_leaps_in_the_readings(served: Bridged) -> None:
    house = served.house
    before_wh = (await house.reads_again("p1"))["energy_wh"]
    first = len(house.readings("p1"))
    await house.p1.suffer(Faults(counter_reset=True))
    await house.reads_again("p1")
    await house.reads_again("p1")
    house.p1.load.energy_wh += 3.0
    await wait_for(lambda: house.readings("p1")[-1]["energy_wh"] == pytest.approx(before_wh + 3.0, abs=0.05), what="counted on")
    told_wh = [reading["energy_wh"] for reading in house.readings("p1")[first:]]
    assert told_wh == sorted(told_wh)
    served.row("counter reset", "the published energy goes on from where it stood")
