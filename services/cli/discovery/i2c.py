"""INA260 sensors by asking each address that one can have on each I²C bus who it is."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from services.cli.discovery.found import Finding, Kind, Outcome

if TYPE_CHECKING:
    from services.ina260_reader.port import WordPort

TECHNIQUE = "I²C"
_ADDRESSES = range(0x40, 0x50)
DEVICES = Path("/dev")


async def search(seconds: float, buses: Sequence[str] | None = None) -> Outcome:
    """Look on `buses`: device files, or a simulated bus such as `tcp:127.0.0.1:18085`; on all of this machine by default."""
    if buses is None:
        buses = buses_here()
    if not buses:
        return Outcome(TECHNIQUE, problem="this machine has no I²C bus (/dev/i2c-*); on a Raspberry Pi, raspi-config switches it on")
    try:
        async with asyncio.timeout(seconds):
            looked = await asyncio.gather(*(asyncio.to_thread(_look, bus) for bus in buses))
    except TimeoutError:
        return Outcome(TECHNIQUE, problem=f"a bus did not answer within {seconds:g} s; check its wires")
    except ImportError:
        return Outcome(TECHNIQUE, problem="smbus2 is not installed: pip install 'smart-power-station[ina260-reader]'")
    problems = "; ".join(outcome.problem for outcome in looked if outcome.problem)
    return Outcome(TECHNIQUE, tuple(finding for outcome in looked for finding in outcome.findings), problems)


def buses_here() -> list[str]:
    """The device files of this machine's I²C buses."""
    return sorted(str(path) for path in DEVICES.glob("i2c-*"))


def _look(bus: str) -> Outcome:
    from services.ina260_reader.port import open_port

    try:
        port = open_port(bus)
    except OSError as error:
        return Outcome(TECHNIQUE, problem=f"{bus} cannot be opened: {error.strerror or error}")
    try:
        return Outcome(TECHNIQUE, tuple(_chips(bus, port)))
    finally:
        port.close()


def _chips(bus: str, port: "WordPort") -> Iterator[Finding]:
    from services.ina260_reader.chip import Register, is_ina260, swapped

    for address in _ADDRESSES:
        try:
            manufacturer, die = (swapped(port.read_word(address, register)) for register in (Register.MANUFACTURER, Register.DIE))
        except OSError:
            # Nobody there.
            continue
        if is_ina260(manufacturer, die):
            yield Finding(Kind.SENSOR, f"INA260 at {address:#04x}", "INA260", "ina260", f"{bus} {address:#04x}", (TECHNIQUE,))
