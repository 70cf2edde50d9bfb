"""`sps relay`: tell relays apart by their click, and prove on the real device that its dead-man works."""

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from services.cli.exits import EPILOG, WRONG_USAGE, CommandFailed, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, ConfigOption, VarOption, load_station

if TYPE_CHECKING:
    from services.core.config.hardware import RelayDevice
    from services.core.config.station import Station
    from services.relay_bridge.driver import RelayDriver
    from services.relay_bridge.status import Status

app = typer.Typer(help="Tell relays apart, and prove their dead-men.", epilog=EPILOG, no_args_is_help=True)

OTHER_STATE_S = 1.0
"""How long a click lasts."""
CLICK_TIMER_S = 4.0
"""The device's own way back, should this program die in mid-click."""
_RESTORES = 5

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: whatever hangs on it may lose power.")]


@app.command(epilog=EPILOG)
def identify(
    which: Annotated[str, typer.Argument(metavar="P1|P2|P3|ADDRESS", help="A position of the station file, or a device's address.")],
    driver: Annotated[str, typer.Option(help="For an address that is not in the station file: the driver to use.")] = "shelly_gen2",
    channel: Annotated[int, typer.Option(min=0, max=3, help="Likewise: which relay of a device with several.")] = 0,
    clicks: Annotated[int, typer.Option(min=1, max=5, help="How often.")] = 2,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    var: VarOption = DEFAULT_VAR,
) -> None:
    """Click one relay for a second or so, and put it back as it was. Never during an event.

    Example: sps relay identify p2

    Example: sps relay identify http://192.168.1.21 --yes
    """
    station = load_station(config) if config.exists() or _is_position(which) else None
    position, device = _device(station, which, driver, channel)
    try:
        asyncio.run(_identify(station, position, device, var, clicks=clicks, yes=yes))
    except CommandFailed as failure:
        fail(str(failure), failure.code)
    except KeyboardInterrupt:
        fail("stopped; the relay was put back")


@app.command("verify-deadman", epilog=EPILOG)
def verify_deadman(
    position: Annotated[str, typer.Argument(metavar="P1|P2|P3", help="A position of the station file.")],
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    var: VarOption = DEFAULT_VAR,
) -> None:
    """Set a relay unsafe with its own timer, leave it alone, and watch it flip back by itself. Once for each relay before the first event.

    The station must be stopped. Takes about a quarter of a minute; the proof is kept under --var.

    Example: sps relay verify-deadman p1
    """
    station = load_station(config)
    if not _is_position(position):
        fail(f"{position!r} is no position; use p1, p2 or p3", WRONG_USAGE)
    name, device = _device(station, position, "", 0)
    if name is None:
        fail(f"{position!r} is no position", WRONG_USAGE)
    try:
        asyncio.run(_verify(station, name, device, var, yes=yes))
    except CommandFailed as failure:
        fail(str(failure), failure.code)
    except KeyboardInterrupt:
        fail("stopped; the relay was set safe, and nothing is proved")


async def _identify(station: "Station | None", position: str | None, device: "RelayDevice", var: Path, *, clicks: int, yes: bool) -> None:
    from contextlib import nullcontext

    from services.cli.running_station import RunningStation, watched

    async with watched(station) if station is not None else nullcontext(RunningStation()) as running:
        if (why := running.event) is not None:
            raise CommandFailed(f"not now: {why}")
        if position != "p2":
            what = f"{position.upper()} feeds the load" if position else "this relay may feed your load"
            also = ", and the station runs" if running.bridge_online else ""
            await asyncio.to_thread(_confirm, f"{what}{also}: it may be without power for {clicks} x {OTHER_STATE_S:g} s. Go on?", yes=yes)
        if (why := running.event) is not None:
            raise CommandFailed(f"not now: {why}")
        await asyncio.to_thread(_with_driver, device, var, clicks)


def _with_driver(device: "RelayDevice", var: Path, clicks: int) -> None:
    from services.relay_bridge.errors import DeviceError

    driver = _connect(device, var)
    try:
        before = driver.status()
        if before.timer_s is not None:
            raise CommandFailed("its timer runs: the station, or something else, holds it in this state now; try again later")
        click(driver, before, clicks, CLICK_TIMER_S if device.deadman == "device" else None)
    except DeviceError as error:
        raise CommandFailed(f"{device.address}: {error}; {error.remedy}") from None
    finally:
        driver.close()
    typer.echo(f"{device.address} clicked {clicks} x, and is {'on' if before.on else 'off'} again")


def click(driver: "RelayDriver", before: "Status", clicks: int, timer_s: float | None) -> None:
    """Put the relay into the other state and back, so often. Whatever happens it is put back. Raises DeviceError."""
    try:
        for _ in range(clicks):
            driver.set(on=not before.on, timer_s=timer_s)
            time.sleep(OTHER_STATE_S)
            driver.set(on=before.on, timer_s=None)
            time.sleep(OTHER_STATE_S / 2)
    finally:
        _put_back(driver, before)


def _put_back(driver: "RelayDriver", before: "Status") -> None:
    from services.relay_bridge.errors import DeviceError

    for attempt in range(_RESTORES):
        try:
            status = driver.status()
            if status.on == before.on and status.timer_s is None:
                return
            driver.set(on=before.on, timer_s=None)
        except DeviceError as error:
            logging.getLogger(__name__).warning("not put back yet: %s", error)
            time.sleep(0.2 * 2.0**attempt)


async def _verify(station: "Station", position: str, device: "RelayDevice", var: Path, *, yes: bool) -> None:
    from services.bus.clock import SystemClock
    from services.bus.runtime import Context
    from services.cli.running_station import watched
    from services.core.positions import Position
    from services.relay_bridge import verify

    if device.deadman == "none":
        raise CommandFailed(f"{position} is configured with 'deadman: none': there is no timer to prove", WRONG_USAGE)
    safe_on = station.board.safe(Position(position))
    async with watched(station) as running:
        if (why := running.busy()) is not None:
            raise CommandFailed(f"not now: {why}")
        await asyncio.to_thread(
            _confirm,
            f"{position.upper()} goes {'off' if safe_on else 'on'} for {verify.TIMER_S:g} s"
            f"{', and what hangs on it may be without power' if safe_on else ''}. Go on?",
            yes=yes,
        )
        driver = _connect(device, var)
        try:
            proof = await verify.verify_deadman(
                position,
                device,
                driver,
                safe_on=safe_on,
                clock=SystemClock(),
                state_dir=Context(station, SystemClock(), var).state_dir("relay_bridge"),
                busy=running.busy,
                tell=typer.echo,
            )
        except verify.NotProved as error:
            raise CommandFailed(f"not proved: {error}") from None
        except OSError as error:
            raise CommandFailed(f"the proof cannot be kept under {var}: {error}") from None
        finally:
            driver.close()
    typer.echo(f"proved: {position} flipped back by itself after {proof.flipped_after_s:g} s; kept under {var}/relay_bridge")


def _device(station: "Station | None", which: str, driver: str, channel: int) -> "tuple[str | None, RelayDevice]":
    """The device meant by a position or an address, and the position it has in the station file."""
    from services.core.config.hardware import RelayDevice

    relays = station.positions.relays() if station is not None else {}
    if _is_position(which):
        if (device := relays.get(which.lower())) is None:
            fail(f"no relay is configured at {which}; there is one at {', '.join(relays) or 'no position'}", WRONG_USAGE)
        return which.lower(), device
    for position, device in relays.items():
        if device.address.rstrip("/") == which.rstrip("/") and device.channel == channel:
            return position, device
    return None, RelayDevice(driver=driver, address=which, channel=channel)


def _is_position(which: str) -> bool:
    return which.lower() in {"p1", "p2", "p3"}


def _connect(device: "RelayDevice", var: Path) -> "RelayDriver":
    from services.bus.secrets import NoSecret, read_secret
    from services.relay_bridge.registry import connect

    try:
        return connect(device, time.monotonic, read_secret(device.secret, var) if device.secret is not None else None)
    except (NoSecret, ValueError) as error:
        raise CommandFailed(str(error), WRONG_USAGE) from None


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed(f"nobody to ask: {question} Say --yes to go on", WRONG_USAGE)
    if not typer.confirm(question):
        _abort()


def _abort() -> NoReturn:
    raise CommandFailed("nothing was switched")
