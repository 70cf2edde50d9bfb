"""One switch component of an emulated Shelly: contact, flip-back timer, meter, configuration; named as Gen2 names them.

Fields and behaviour: https://shelly-api-docs.shelly.cloud/gen2/ComponentsAndServices/Switch
"""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.simulator.devices.faults import Faults
from services.simulator.devices.wire import Measured, Wire

Delay = Annotated[float, Field(gt=0, le=86_400 * 365)]


class SwitchConfig(BaseModel):
    """`Switch.GetConfig` without its id. What the emulator does not act on is kept as it was set."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    name: Annotated[str, Field(max_length=64)] | None = None
    in_mode: Literal["momentary", "follow", "flip", "detached", "cycle", "activate"] = "flip"
    initial_state: Literal["off", "on", "restore_last", "match_input"] = "off"
    auto_on: bool = False
    auto_on_delay: Delay = 60.0
    auto_off: bool = False
    auto_off_delay: Delay = 60.0
    autorecover_voltage_errors: bool = False
    power_limit: float = 4480.0
    voltage_limit: float = 280.0
    current_limit: float = 16.0


class SavedSwitch(BaseModel):
    """What a switch keeps in its flash memory."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    config: SwitchConfig
    output: bool
    counter_from_wh: float


class Switch:
    """A relay with its meter. Its timer runs in real seconds, whatever the speed of the simulation."""

    def __init__(self, wire: Wire, config: SwitchConfig, *, wall: Callable[[], float] = time.time) -> None:
        self._wire = wire
        self._wall = wall
        self.config = config
        self.output = False
        self._source = "init"
        self._faults = Faults()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_started_at = 0.0
        self._timer_duration = 0.0
        self._counter_from_wh = 0.0
        self.changed: Callable[[], None] = _nothing
        """Called after each command and each flip of the timer."""

    def boot(self) -> None:
        """Take the initial state, as after a power cut. `match_input` counts as off: nothing is wired to the input."""
        initial = self.config.initial_state
        self._go(self.output if initial == "restore_last" else initial == "on", "init", None)

    def halt(self) -> None:
        """Lose power: the timer is forgotten, the contact stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def put(self, *, on: bool, source: str, toggle_after_s: float | None) -> bool:
        """Carry out a command; returns whether the output was on. A running timer is replaced or cancelled."""
        was_on = self.output
        self._go(on, source, toggle_after_s)
        return was_on

    def press(self) -> None:
        """Flip it by hand, as the switch at the wall does."""
        self._go(not self.output, "switch", None)

    def configure(self, change: dict[str, Any]) -> None:
        """Change some of the configuration. Raises pydantic's ValidationError."""
        self.config = SwitchConfig.model_validate(self.config.model_dump() | change)

    def suffer(self, faults: Faults) -> None:
        """Have these `welded`, `wrong_state` and `counter_reset` from now on; the others are the device's."""
        if faults.counter_reset and not self._faults.counter_reset:
            self.reset_counter()
        self._faults = faults
        self._wire.close(self.contact)

    def reset_counter(self) -> float:
        """Set the energy counter to zero; returns what it was, in Wh."""
        energy_wh = self._wire.measure().energy_wh
        before_wh, self._counter_from_wh = energy_wh - self._counter_from_wh, energy_wh
        return before_wh

    @property
    def contact(self) -> bool:
        """Whether power can flow: the truth, whatever is reported."""
        return self.output or self._faults.welded

    @property
    def timer_left_s(self) -> float | None:
        """Real seconds until it flips back; None while no timer runs."""
        return None if self._timer is None else max(0.0, self._timer.when() - asyncio.get_running_loop().time())

    @property
    def source(self) -> str:
        """Who switched it last, in the vendor's words."""
        return self._source

    @property
    def reported(self) -> bool:
        """The output as the device tells it."""
        return self.output != self._faults.wrong_state

    @property
    def timer(self) -> tuple[float, float] | None:
        """When the running timer was started, in Unix seconds, and for how many; None while none runs."""
        return None if self._timer is None else (self._timer_started_at, self._timer_duration)

    def measure(self) -> tuple[Measured, float]:
        """What the meter says now, and its counter in Wh."""
        measured = self._wire.measure()
        return measured, measured.energy_wh - self._counter_from_wh

    def status(self) -> dict[str, Any]:
        """`Switch.GetStatus` without its id."""
        measured, counted_wh = self.measure()
        power_w, voltage_v = measured.power_w, measured.voltage_v
        celsius = 35.0 + power_w / 250.0
        status: dict[str, Any] = {"source": self._source, "output": self.reported}
        if self.timer is not None:
            status |= {"timer_started_at": self.timer[0], "timer_duration": self.timer[1]}
        # The last three minutes as if the power had been steady; `minute_ts` is a real minute of the device's own clock.
        by_minute = [round(power_w * 1000.0 / 60.0, 3)] * 3
        minute_ts = int(self._wall()) // 60 * 60
        return status | {
            "apower": round(power_w, 1),
            "voltage": round(voltage_v, 1),
            "freq": 50.0,
            "current": round(power_w / voltage_v, 3) if voltage_v else 0.0,
            "pf": 1.0 if power_w else 0.0,
            "aenergy": {"total": round(counted_wh, 3), "by_minute": by_minute, "minute_ts": minute_ts},
            "ret_aenergy": {"total": 0.0, "by_minute": [0.0, 0.0, 0.0], "minute_ts": minute_ts},
            "temperature": {"tC": round(celsius, 1), "tF": round(celsius * 1.8 + 32.0, 1)},
        }

    def saved(self) -> SavedSwitch:
        """For `restore`."""
        return SavedSwitch(config=self.config, output=self.output, counter_from_wh=self._counter_from_wh)

    def restore(self, saved: SavedSwitch) -> None:
        """Before `boot`: be as `saved`."""
        self.config = saved.config
        self.output = saved.output
        self._counter_from_wh = saved.counter_from_wh

    def _go(self, on: bool, source: str, toggle_after_s: float | None) -> None:
        self.halt()
        self.output = on
        self._source = source
        self._wire.close(self.contact)
        if toggle_after_s is None and (self.config.auto_off if on else self.config.auto_on):
            toggle_after_s = self.config.auto_off_delay if on else self.config.auto_on_delay
        if toggle_after_s is not None:
            self._timer_started_at = round(self._wall(), 2)
            self._timer_duration = toggle_after_s
            self._timer = asyncio.get_running_loop().call_later(toggle_after_s, self._go, not on, "timer", None)
        self.changed()


def _nothing() -> None:
    pass
