"""The INA260 reader: polls each chip that the station has and publishes its position's reading."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from services.bus.client import Bus
from services.bus.contract import POSITION_READING
from services.bus.messages.devices import PositionReading
from services.bus.runtime import Context
from services.core.config.hardware import Ina260Sensor
from services.core.config.load import ConfigError, Problem
from services.ina260_reader.counter import EnergyCounter
from services.ina260_reader.errors import BadReading, ChipError, NoNewValue
from services.ina260_reader.port import WordPort, open_port
from services.ina260_reader.sensor import Ina260, Reading

LONGEST_WAIT_S = 10.0
PATIENCE = 2
"""So many failures in a row until the position counts as lost: after a set-up the first average is still to come."""
GAP_POLLS = 3.0
"""Readings further apart than this many polls leave a gap in the energy."""

Open = Callable[[int | str], WordPort]


async def run(context: Context, *, open_bus: Open = open_port) -> None:
    """Poll every INA260 of the station until cancelled. Raises ConfigError when it has none."""
    sensors = context.station.positions.ina260s()
    if not sensors:
        remedy = "this service has nothing to read; give a position 'sensor: ina260', or do not start it"
        raise ConfigError([Problem(None, "positions", "", remedy)])
    async with context.bus("ina260_reader") as bus, asyncio.TaskGroup() as group:
        health = _Health(bus)
        for position, settings in sensors.items():
            reader = _Reader(context, bus, position, settings, Ina260(settings, open_bus), health)
            group.create_task(reader.run(), name=f"ina260_reader: {position}")


class _Health:
    """The reader's health: the first position that is lost, in words."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._problems: dict[str, str] = {}

    def tell(self, position: str, problem: str | None) -> None:
        if problem is None:
            self._problems.pop(position, None)
        else:
            self._problems[position] = problem
        self._bus.health(next(iter(self._problems.values()), None))


class _Reader:
    """Polls one chip. A thread of its own: a bus that hangs holds up nobody else."""

    def __init__(self, context: Context, bus: Bus, position: str, settings: Ina260Sensor, chip: Ina260, health: _Health) -> None:
        self._context = context
        self._bus = bus
        self._position = position
        self._settings = settings
        self._device = f"ina260 {settings.bus}/{settings.address:#04x}"
        self._chip = chip
        self._health = health
        self._counter = EnergyCounter()
        self._failures = 0

    async def run(self) -> None:
        clock, poll_s = self._context.clock, self._settings.poll_s
        loop = asyncio.get_running_loop()
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"ina260-{self._position}")
        due_at = clock.monotonic()
        try:
            while True:
                try:
                    reading = await loop.run_in_executor(executor, self._chip.read)
                except ChipError as error:
                    self._failed(error)
                else:
                    self._failures = 0
                    self._health.tell(self._position, None)
                    self._publish(reading)
                due_at = max(due_at, clock.monotonic() - poll_s) + wait_s(poll_s, self._failures, self._context.random)
                await clock.sleep(max(0.0, due_at - clock.monotonic()))
        finally:
            # After a call that may be under way: its thread must not find the bus closed beneath it.
            executor.submit(self._chip.close)
            executor.shutdown(wait=False)

    def _publish(self, reading: Reading) -> None:
        clock = self._context.clock
        if not clock.known:
            return
        ts = clock.now()
        energy_wh = self._counter.add(ts, reading.power_w, max_gap_s=GAP_POLLS * self._settings.poll_s * clock.speed)
        message = PositionReading(
            ts=ts,
            power_w=round(reading.power_w, 3),
            voltage_v=round(reading.voltage_v, 5),
            current_a=round(reading.current_a, 5),
            energy_wh=round(energy_wh, 4),
            device=self._device,
        )
        self._bus.publish(POSITION_READING, message, position=self._position)

    def _failed(self, error: ChipError) -> None:
        self._failures += 1
        if isinstance(error, NoNewValue) and self._failures < PATIENCE:
            return
        field, value = (f"{self._position}.{error.field}", error.value) if isinstance(error, BadReading) else (None, None)
        self._bus.report(f"{self._position} ({self._device}): {error}", field=field, value=value, remedy=error.remedy)
        if self._failures >= PATIENCE:
            self._health.tell(self._position, f"{self._position}: the INA260 {error}")


def wait_s(poll_s: float, failures: int, jitter: random.Random) -> float:
    """Real seconds until the next poll: doubling with each failure after the second, up to a limit, and never in step with others."""
    if failures < PATIENCE:
        return poll_s
    return max(poll_s, min(LONGEST_WAIT_S, poll_s * 2.0 ** min(failures - 1, 10)) * jitter.uniform(0.5, 1.0))
