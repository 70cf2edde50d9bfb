"""Opens P1 of a running station for a few seconds and records what the transfer switch does.

The controller is not asked to open P1: while the switch's priority is unknown it must refuse. It renews `P1 on` every 10 s;
right after a renewal this sends `P1 off` with a hold that ends before the next one. So whatever happens to this
program, the bridge's hold, the controller's renewal or the relay's own timer closes P1 again.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from services.bus import contract
from services.bus.client import Bus, Received
from services.bus.clock import Clock, FollowedClock, SystemClock
from services.bus.messages.devices import BatteryReadingMessage, PositionReading, RelayCommand, RelayStateMessage
from services.bus.messages.state import ControllerState, Override
from services.bus.runtime import Context
from services.cli.admission import admitted
from services.cli.exits import CommandFailed
from services.cli.options import secrets_of
from services.core.ats import CARRYING_W, Opening, Sample
from services.core.config.station import Station
from services.core.modes import SAFE_MODE

CONNECT_S = 5.0
HEARD_S = 15.0
"""How long all that must be known may take to be heard; a power station over Bluetooth gets its polling period besides."""
HOLD_S = 8.0
"""How long the bridge keeps P1 open unless told otherwise: less than the controller's renewal period."""
OPEN_S = 6.0
TAKEN_OVER_S = 3.0
"""A load that P3 is seen not to carry so long after P1 opened goes back to the grid."""
RENEWAL_S = 25.0
LONGEST_DELAY_S = 60.0
SETTLE_S = 6.0
"""How long the load is watched once it is back, so that 'back' is no flicker."""
LEAST_LOAD_W = 20.0
MOST_SHARE = 0.5
"""A transfer is asked of an inverter only at less than half its rating."""
SPARE_PCT = 5.0
MANUAL = timedelta(minutes=15)
LIVE_V = 50.0

Tell = Callable[[str], None]


class Bench:
    """A station on the bus, as far as the test needs it."""

    def __init__(self, station: Station, bus: Bus, clock: Clock) -> None:
        self.samples: list[Sample] = []
        self._station = station
        self._bus = bus
        self._clock = clock
        self._p1_w: float | None = None
        self._p3: Received[PositionReading] | None = None
        self._battery: Received[BatteryReadingMessage] | None = None
        self._relay: RelayStateMessage | None = None
        self._controller: ControllerState | None = None
        self._renewals = 0
        self._ours = 0
        self._held = False
        self._name = f"ats-test-{random.getrandbits(24):06x}"
        bus.subscribe(contract.POSITION_READING, self._on_position)
        bus.subscribe(contract.BATTERY_READING, self._on_battery)
        bus.subscribe(contract.RELAY_STATE, self._on_relay)
        bus.subscribe(contract.RELAY_COMMAND, self._on_command)
        bus.subscribe(contract.CONTROLLER_STATE, self._on_controller)

    async def prepare(self) -> None:
        """Wait until all is known, and hold the station in mode 2. Raises CommandFailed with what forbids the test."""
        slow_s = max(self._station.battery.poll_s, *(d.poll_s for d in self._station.positions.relays().values()))
        known = await self._until(lambda: None not in (self._p1_w, self._p3, self._relay, self._controller), HEARD_S + slow_s)
        if not known or self._controller is None:
            raise CommandFailed("the running station does not tell P1, P3, its relay and its mode; is `sps run` running, all of it?")
        if self._controller.reason_code == "manual":
            raise CommandFailed("not now: a manual mode stands; release it first")
        if (why := self.objection()) is not None:
            raise CommandFailed(f"not now: {why}")
        self._held = True
        self._bus.publish(contract.OVERRIDE, Override(mode=SAFE_MODE.value, duration=MANUAL, command_id=self._name))
        if not await self._until(lambda: self._controller is not None and self._controller.mode_confirmed == SAFE_MODE, HEARD_S):
            raise CommandFailed("the station did not go to mode 2; see why on its page, and try again")

    def objection(self) -> str | None:
        """What forbids opening P1, in words."""
        state, relay = self._controller, self._relay
        if state is None or state.phase != "normal":
            return "an event runs or is about to start"
        if relay is None or relay.on is not True or relay.fault is not None:
            return f"P1 must be on and in order{f' ({relay.fault})' if relay is not None and relay.fault else ''}"
        if not self._p3_alive():
            return "the power station's AC output must be on, with its eco mode off, and be heard"
        soc, floor = self._soc(), self._station.battery.floor_pct + SPARE_PCT
        if soc is not None and soc < floor:
            return f"the battery is at {soc:.0f} %; charge it to {floor:.0f} % first"
        load_w = (self._p1_w or 0.0) + (self._p3.message.power_w or 0.0 if self._p3 is not None else 0.0)
        most_w = MOST_SHARE * self._station.battery.inverter_w
        if not LEAST_LOAD_W <= load_w <= most_w:
            return f"the load is {load_w:.0f} W; plug in a steady one of {LEAST_LOAD_W:.0f} to {most_w:.0f} W, such as a lamp"
        return None

    async def open_once(self, tell: Tell) -> Opening:
        """Open P1 for a few seconds, and watch until the load has settled again. Raises CommandFailed; P1 is closed in every case."""
        seen = self._renewals
        if not await self._until(lambda: self._renewals > seen, RENEWAL_S):
            raise CommandFailed("the controller does not renew its command for P1; is it running?")
        if (why := self.objection()) is not None:
            raise CommandFailed(f"not now: {why}")
        try:
            asked_s, opened_s = await self._set_p1(on=False)
            tell(f"P1 is open for {OPEN_S:.0f} s")
            await self._watch_open(opened_s)
        finally:
            # Only sending: closing must not wait for anything, least of all while this program is being stopped.
            self._command_p1(on=True)
        _, closed_s = await self._confirmed(on=True)
        tell("P1 is closed again; watching the load")
        await self._settled(closed_s)
        return Opening(asked_s, opened_s, closed_s)

    def release(self) -> None:
        """Give the station back to its controller, if it was taken."""
        if self._held:
            self._bus.publish(contract.OVERRIDE, Override(release=True, command_id=self._name))

    async def _watch_open(self, opened_s: float) -> None:
        until_s = self._clock.monotonic() + OPEN_S
        while self._clock.monotonic() < until_s:
            if not self._p3_alive():
                raise CommandFailed("the power station's AC output went off; P1 was closed at once")
            late = [s.p3_w for s in self.samples if s.p3_w is not None and s.t_s > opened_s + TAKEN_OVER_S]
            if late and late[-1] <= CARRYING_W:
                raise CommandFailed("the load did not go over to the inverter; P1 was closed at once. Check the transfer switch's wiring")
            await self._clock.sleep(0.1)

    async def _set_p1(self, *, on: bool) -> tuple[float, float]:
        asked_s = self._clock.now().timestamp()
        self._command_p1(on=on)
        _, confirmed_s = await self._confirmed(on=on)
        return asked_s, confirmed_s

    async def _confirmed(self, *, on: bool) -> tuple[bool, float]:
        if not await self._until(lambda: self._relay is not None and self._relay.on is on, HOLD_S):
            raise CommandFailed(f"P1 was not confirmed {'on' if on else 'off'}; look after it: the bridge and its timer bring it back on")
        assert self._relay is not None  # noqa: S101 - just waited for
        return on, self._relay.ts.timestamp()

    def _command_p1(self, *, on: bool) -> None:
        self._ours += 1
        command_id = f"{self._name}-{self._ours}"
        command = RelayCommand(ts=self._clock.now(), on=on, command_id=command_id, hold_s=HOLD_S, reason="measuring the transfer switch")
        self._bus.publish(contract.RELAY_COMMAND, command, position="p1")

    async def _settled(self, closed_s: float) -> None:
        """Until the load has been back on P1 for a while; a switch that never brings it back is watched for long enough."""

        def back() -> bool:
            since = [s.t_s for s in self.samples if s.p1_w is not None and s.p1_w > CARRYING_W and s.t_s > closed_s]
            return bool(since) and self._clock.now().timestamp() >= since[0] + SETTLE_S + 2 * (since[0] - closed_s)

        await self._until(back, LONGEST_DELAY_S)

    async def _until(self, condition: Callable[[], bool], within_s: float) -> bool:
        deadline_s = self._clock.monotonic() + within_s
        while not condition():
            if self._clock.monotonic() > deadline_s:
                return False
            await self._clock.sleep(0.05)
        return True

    def _p3_alive(self) -> bool:
        now_s = self._clock.monotonic()
        limit_s = self._station.control.battery_stale_after_s
        if self._battery is not None and now_s - self._battery.received_at <= limit_s:
            battery = self._battery.message
            return battery.ac_output_on is True and battery.eco_mode is not True
        fresh = self._p3 is not None and now_s - self._p3.received_at <= limit_s
        return fresh and self._p3 is not None and (self._p3.message.voltage_v or 0.0) > LIVE_V

    def _soc(self) -> float | None:
        return self._battery.message.soc_pct if self._battery is not None else None

    def _on_position(self, received: Received[PositionReading]) -> None:
        message, position = received.message, received.params["position"]
        t_s = message.ts.timestamp()
        if position == "p1":
            self._p1_w = message.power_w
            self.samples.append(Sample(t_s, p1_w=message.power_w))
        elif position == "p3":
            self._p3 = received
            self.samples.append(Sample(t_s, p3_w=message.power_w))

    def _on_battery(self, received: Received[BatteryReadingMessage]) -> None:
        self._battery = received

    def _on_relay(self, received: Received[RelayStateMessage]) -> None:
        if received.params["position"] == "p1":
            self._relay = received.message

    def _on_command(self, received: Received[RelayCommand]) -> None:
        if received.params["position"] == "p1" and not received.message.command_id.startswith(self._name):
            self._renewals += 1

    def _on_controller(self, received: Received[ControllerState]) -> None:
        self._controller = received.message


@asynccontextmanager
async def bench(station: Station) -> AsyncIterator[Bench]:
    """A bench on the running station. Raises CommandFailed if it does not run, or in a simulation faster than life."""
    clock: Clock = FollowedClock() if station.clock == "simulated" else SystemClock()
    context = Context(station, clock, Path(), secrets=secrets_of())
    # It commands P1 in the controller's stead, so only who may read the controller's password can run it.
    bus = context.bus("ats-test", user="controller", announce=False)
    found = Bench(station, bus, clock)
    async with bus:
        try:
            if not await admitted(bus, CONNECT_S):
                raise TimeoutError  # noqa: TRY301 - the same answer as for a station without a clock
            async with asyncio.timeout(CONNECT_S):
                await bus.wait_clock()
        except TimeoutError:
            raise CommandFailed(f"no station answers at {station.broker.host}:{station.broker.port}; start it with `sps run`") from None
        if clock.speed != 1.0:
            raise CommandFailed(f"the simulation runs at {clock.speed:g} times the speed of life; start it with `sps run --speed 1`")
        try:
            await found.prepare()
            yield found
        finally:
            found.release()
