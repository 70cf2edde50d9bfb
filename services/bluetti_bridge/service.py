"""The power station's bridge: polls it, publishes what it says, and where it is asked to switches its AC output."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from services.bluetti_bridge.availability import Availability
from services.bluetti_bridge.driver import PowerStationDriver, Reply
from services.bluetti_bridge.errors import BadReply, StationError
from services.bluetti_bridge.output import CONTROL
from services.bluetti_bridge.pacing import Pace
from services.bluetti_bridge.registry import cannot_switch, connect
from services.bluetti_bridge.switching import Set, Switching
from services.bus.client import Bus
from services.bus.clock import Clock
from services.bus.contract import BATTERY_LINK, BATTERY_READING, POSITION_READING
from services.bus.messages.devices import BatteryReadingMessage, PositionReading
from services.bus.runtime import Context
from services.core.config.hardware import StationSensor
from services.core.config.load import ConfigError, Problem
from services.core.config.station import Station
from services.core.positions import Position

LET_GO_S = 4.0
"""How long stopping may take to bring the AC output into its safe state."""


async def run(context: Context) -> None:
    """Poll the power station until cancelled. Raises ConfigError for an unknown driver or an unusable address.

    One without a data link is left alone: the controller observes it, and the meters at its ports are others' work.
    """
    if not context.station.battery.has_data_link:
        async with context.bus("bluetti_bridge"):
            await asyncio.Event().wait()
    switched = context.station.positions.output_switched
    try:
        driver = connect(context.station.battery)
        if switched and (why := cannot_switch(context.station.battery, CONTROL)) is not None:
            raise ConfigError([Problem(None, "positions.p3.switch", CONTROL, why)])
    except ValueError as error:
        raise error if isinstance(error, ConfigError) else ConfigError([Problem(None, "battery", "", str(error))]) from None
    # A thread of its own: a silent power station holds up nobody else.
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="power-station")
    try:
        async with context.bus("bluetti_bridge") as bus:
            switching = _switching(context, bus) if switched else None
            await _poll(context, bus, driver, executor, switching)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        driver.close()


def _switching(context: Context, bus: Bus) -> Switching:
    mark = context.state_dir("bluetti_bridge") / "ac-output"
    return Switching(bus, context.clock, mark, safe=context.station.board.safe(Position.P3))


async def _poll(context: Context, bus: Bus, driver: PowerStationDriver, executor: ThreadPoolExecutor, switching: Switching | None) -> None:
    battery, clock = context.station.battery, context.clock
    loop = asyncio.get_running_loop()
    pace = Pace(battery.poll_s, driver.manners, context.random)

    async def write(control: str, value: str) -> None:
        # A write is a connection, too.
        pace.began(clock.monotonic())
        await loop.run_in_executor(executor, driver.set, control, value)

    try:
        await _rounds(context, bus, driver, executor, switching, pace, write)
    finally:
        if switching is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LET_GO_S):
                    await switching.let_go(write)


async def _rounds(
    context: Context,
    bus: Bus,
    driver: PowerStationDriver,
    executor: ThreadPoolExecutor,
    switching: Switching | None,
    pace: Pace,
    write: Set,
) -> None:
    """Switch what is due, read, tell, wait; and again."""
    battery, clock = context.station.battery, context.clock
    loop = asyncio.get_running_loop()
    link = Availability(f"{battery.driver} {battery.address}", battery.silent_after_s, clock.monotonic())
    while True:
        if switching is not None and (failed := await switching.carry_out(write)) is not None:
            _report(bus, battery.address, failed)
        pace.began(clock.monotonic())
        try:
            reply = await loop.run_in_executor(executor, driver.read)
        except StationError as error:
            link.failed(str(error), clock.now() if clock.known else None)
            _report(bus, battery.address, error)
            if switching is not None:
                switching.read(None)
        else:
            link.answered(clock.monotonic(), reply.rssi_dbm)
            for refused in reply.refused:
                _report(bus, battery.address, refused)
            bus.health(f"the power station's {reply.refused[0].field} cannot be believed" if reply.refused else None)
            if clock.known:
                publish(bus, context, reply)
            if switching is not None:
                switching.read(reply.reading.ac_output_on)
        _tell(context, bus, link)
        next_at = pace.next_at(clock.monotonic(), link.failures)
        if clock.monotonic() < link.silent_at < next_at and await _pause(clock, link.silent_at, switching):
            _tell(context, bus, link)
        await _pause(clock, next_at, switching)


async def _pause(clock: Clock, until: float, switching: Switching | None) -> bool:
    """Until the time `until`, or until there is something to switch; whether the time came."""
    while (left_s := until - clock.monotonic()) > 0.0:
        if switching is None:
            await clock.sleep(left_s)
            continue
        if switching.due:
            return False
        switching.tell()
        change = switching.next_change
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left_s, max(0.0, change - clock.monotonic()) if change is not None else left_s)):
                await switching.wake.wait()
        switching.wake.clear()
    return True


def _tell(context: Context, bus: Bus, link: Availability) -> None:
    """Tell the bus how well the power station can be reached."""
    clock, battery = context.clock, context.station.battery
    now = clock.monotonic()
    if link.silent(now):
        bus.health(f"the power station at {battery.address} has been silent for more than {battery.silent_after_s:g} s")
    elif link.failures:
        bus.health(f"the power station at {battery.address} cannot be read")
    if clock.known and (message := link.message(now, clock.now())) is not None:
        bus.publish(BATTERY_LINK, message)


def publish(bus: Bus, context: Context, reply: Reply) -> None:
    """Tell the bus what the power station says, and the positions that it measures, all with one time."""
    ts = context.clock.now()
    battery = context.station.battery
    device = f"{battery.driver} {battery.address}"
    bus.publish(BATTERY_READING, BatteryReadingMessage(ts=ts, device=device, **asdict(reply.reading)))
    # Past a power station with P1 inside leads no way: what it passes through is part of P2 and of P3.
    powers = {Position.P1: 0.0, Position.P3: reply.reading.ac_out_w, Position.P4: reply.reading.dc_in_w}
    for position in measured_positions(context.station):
        # It tells no voltage at its output: unknown.
        bus.publish(POSITION_READING, PositionReading(ts=ts, power_w=powers[position], device=device), position=position.value)


def measured_positions(station: Station) -> list[Position]:
    """The positions that the power station measures itself."""
    sensors = {Position.P1: station.positions.p1, Position.P3: station.positions.p3, Position.P4: station.positions.p4}
    return [position for position, sensor in sensors.items() if isinstance(sensor, StationSensor)]


def _report(bus: Bus, address: str, error: StationError) -> None:
    field, value = (f"battery.{error.field}", error.value) if isinstance(error, BadReply) else (None, None)
    bus.report(f"power station ({address}): {error}", field=field, value=value, remedy=error.remedy)
