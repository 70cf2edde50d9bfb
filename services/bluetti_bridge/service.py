"""The power station's bridge: polls it and publishes what it says."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from services.bluetti_bridge.availability import Availability
from services.bluetti_bridge.driver import PowerStationDriver, Reply
from services.bluetti_bridge.errors import BadReply, StationError
from services.bluetti_bridge.pacing import Pace
from services.bluetti_bridge.registry import connect
from services.bus.client import Bus
from services.bus.contract import BATTERY_LINK, BATTERY_READING, POSITION_READING
from services.bus.messages.devices import BatteryReadingMessage, PositionReading
from services.bus.runtime import Context
from services.core.config.hardware import StationSensor
from services.core.config.load import ConfigError, Problem
from services.core.config.station import Station
from services.core.positions import Position


async def run(context: Context) -> None:
    """Poll the power station until cancelled. Raises ConfigError for an unknown driver or an unusable address.

    One without a data link is left alone: the controller observes it, and the meters at its ports are others' work.
    """
    if not context.station.battery.has_data_link:
        async with context.bus("bluetti_bridge"):
            await asyncio.Event().wait()
    try:
        driver = connect(context.station.battery)
    except ValueError as error:
        raise ConfigError([Problem(None, "battery", "", str(error))]) from None
    # A thread of its own: a silent power station holds up nobody else.
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="power-station")
    try:
        async with context.bus("bluetti_bridge") as bus:
            await _poll(context, bus, driver, executor)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        driver.close()


async def _poll(context: Context, bus: Bus, driver: PowerStationDriver, executor: ThreadPoolExecutor) -> None:
    battery, clock = context.station.battery, context.clock
    loop = asyncio.get_running_loop()
    pace = Pace(battery.poll_s, driver.manners, context.random)
    link = Availability(f"{battery.driver} {battery.address}", battery.silent_after_s, clock.monotonic())
    while True:
        pace.began(clock.monotonic())
        try:
            reply = await loop.run_in_executor(executor, driver.read)
        except StationError as error:
            link.failed(str(error), clock.now() if clock.known else None)
            _report(bus, battery.address, error)
        else:
            link.answered(clock.monotonic(), reply.rssi_dbm)
            for refused in reply.refused:
                _report(bus, battery.address, refused)
            bus.health(f"the power station's {reply.refused[0].field} cannot be believed" if reply.refused else None)
            if clock.known:
                publish(bus, context, reply)
        _tell(context, bus, link)
        next_at = pace.next_at(clock.monotonic(), link.failures)
        if clock.monotonic() < link.silent_at < next_at:
            await clock.sleep(link.silent_at - clock.monotonic())
            _tell(context, bus, link)
        await clock.sleep(max(0.0, next_at - clock.monotonic()))


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
    powers = {Position.P3: reply.reading.ac_out_w, Position.P4: reply.reading.dc_in_w}
    for position in measured_positions(context.station):
        # It tells no voltage at its output: unknown.
        bus.publish(POSITION_READING, PositionReading(ts=ts, power_w=powers[position], device=device), position=position.value)


def measured_positions(station: Station) -> list[Position]:
    """The positions that the power station measures itself."""
    sensors = {Position.P3: station.positions.p3, Position.P4: station.positions.p4}
    return [position for position, sensor in sensors.items() if isinstance(sensor, StationSensor)]


def _report(bus: Bus, address: str, error: StationError) -> None:
    field, value = (f"battery.{error.field}", error.value) if isinstance(error, BadReply) else (None, None)
    bus.report(f"power station ({address}): {error}", field=field, value=value, remedy=error.remedy)
