"""What hardware there is: relays, sensors, the transfer switch and the power station."""

import re
from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, Discriminator, Field, Tag, model_validator

from services.core.config.base import Efficiency, Percent, Section
from services.core.modes import AtsPriority, Hardware


class RelayDevice(Section):
    """A relay with its power sensor at one position."""

    driver: str = "shelly_gen2"
    """The driver's name in the relay bridge's registry."""
    address: str
    """Base URL of the device, such as `http://192.168.1.20`; `simulated` with a simulated clock."""
    channel: int = Field(default=0, ge=0, le=3)
    poll_s: float = Field(default=1.0, gt=0, le=60)
    """Real seconds between two polls."""
    timeout_s: float = Field(default=2.0, gt=0, le=10)
    """Real seconds after which a silent device counts as not answering."""
    deadman: Literal["device", "none"] = "device"
    """`device`: a timer in the device itself ends the unsafe state when all else has died. `none` says that it has no such timer,
    and that this is accepted: then only the bridge lets go, and a bridge that dies leaves the relay as it is."""
    secret: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """The name of the file that holds the device's password, in the folder `secrets` beside the state folder; unset: it wants none."""
    push: bool = False
    """Also listen to what the device tells by itself, so that a switch at the wall shows at once. Polls go on as before."""
    also_at: tuple[str, ...] = ()
    """Further base URLs at which to look for the device when it has moved."""


class StationSensor(Section):
    """A position that the power station itself measures."""

    sensor: Literal["station"]


class StationOutput(StationSensor):
    """P3 as the power station itself measures it and, with `switch`, switches it."""

    switch: Literal["ac_output"] | None = None
    """`ac_output`: the Bluetti bridge switches the AC output on `relay/p3/command`, if the model has a register for that."""
    deadman: Literal["none"] | None = None
    """Must be `none` with `switch`: an AC output has no dead-man timer. A bridge that dies leaves it as it is."""

    @model_validator(mode="after")
    def _accepted(self) -> "StationOutput":
        if self.switch is not None and self.deadman is None:
            raise ValueError(
                "switch: an AC output has no dead-man timer, and stays as it is when the bridge dies; accept that by 'deadman: none'"
            )
        if self.switch is None and self.deadman is not None:
            raise ValueError("deadman: there is nothing to switch here; leave it out, or say 'switch: ac_output'")
        return self


def _i2c_bus(value: object) -> object:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)  # it may stand in quotes
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
        return value
    if isinstance(value, str) and re.fullmatch(r"/dev/i2c-\d+|tcp:(127\.0\.0\.1|[A-Za-z][A-Za-z0-9-]*):\d{1,5}", value):
        return value
    raise ValueError(
        "use the number of an I²C bus such as 1, a device file such as /dev/i2c-1, or with 'clock: simulated' the word simulated"
    )


class Ina260Sensor(Section):
    """An INA260 in a direct-current line, on an I²C bus: 36 V and 15 A at most."""

    sensor: Literal["ina260"]
    bus: Annotated[int | str, BeforeValidator(_i2c_bus)] = 1
    """Bus number or device file; `simulated` for the simulator's stand-in, which is `tcp:127.0.0.1:18085` on one machine."""
    address: int = Field(default=0x40, ge=0x40, le=0x4F)
    calibration: float = Field(default=1.0, ge=0.5, le=2.0)
    """The true current divided by the shown one, once the offset is taken off."""
    offset_a: float = Field(default=0.0, ge=-1.0, le=1.0)
    """What it shows while no current flows."""
    poll_s: float = Field(default=1.0, ge=0.1, le=15.0)
    """Real seconds between two polls. The chip averages over most of it (86 % at 1 s); over more than 15 s it cannot."""

    @property
    def simulated(self) -> bool:
        """Whether the bus is the simulator's stand-in."""
        return isinstance(self.bus, str) and self.bus.startswith("tcp:")


def _p3_kind(value: object) -> str:
    """As `_kind`; a power station's P3 can be switched."""
    return "(output)" if (kind := _kind(value)) == "(station)" else kind


def _kind(value: object) -> str:
    """Which of the classes below describes a position; in parentheses, so that it is told from a field in an error's location."""
    sensor = value.get("sensor") if isinstance(value, dict) else getattr(value, "sensor", None)
    return {"station": "(station)", "ina260": "(ina260)"}.get(str(sensor), "(relay)" if sensor is None else "(unknown)")


_Kind = Discriminator(
    _kind,
    custom_error_type="sensor",
    custom_error_message="use 'sensor: station', 'sensor: ina260' (P4 only), or a relay's driver and address",
)
_P3Kind = Discriminator(
    _p3_kind,
    custom_error_type="sensor",
    custom_error_message="use 'sensor: station', or a relay's driver and address",
)
RelayOrOutput = Annotated[Annotated[RelayDevice, Tag("(relay)")] | Annotated[StationOutput, Tag("(output)")], _P3Kind]
RelayOrStation = Annotated[Annotated[RelayDevice, Tag("(relay)")] | Annotated[StationSensor, Tag("(station)")], _Kind]
StationOrIna260 = Annotated[Annotated[StationSensor, Tag("(station)")] | Annotated[Ina260Sensor, Tag("(ina260)")], _Kind]


class TransferSwitch(Section):
    """The automatic transfer switch. Its figures are assumed until measured (no maker states them)."""

    priority: AtsPriority = AtsPriority.UNKNOWN
    """Which input it takes when both are live. Events are refused while it is unknown. Means nothing with P1 inside the power station."""
    delay_s: float | None = Field(default=None, ge=0, le=600)
    """How long the preferred input must be live before the switch returns to it; `sps ats test` measures it."""
    gap_s: float | None = Field(default=None, ge=0, le=60)
    """At most so long the load had no source at a transfer, as far as the readings resolve it; measured likewise."""
    measured_at: AwareDatetime | None = None
    """When `sps ats test` wrote these figures; without it they are somebody's word."""


NO_DATA_LINK = "none"


class PowerStation(Section):
    """The battery, charger and inverter in one box."""

    driver: str
    """The driver's name in the Bluetti bridge's registry; `none` for a station without a data link, whose charge is observed."""
    address: str = ""
    """For `bluetti_ble`: a Bluetooth address or an advertised name. `hci:tcp:<host>:<port>/<name>` is an emulated one,
    `simulated` the one of the simulated house."""
    model: str | None = None
    """Such as AC180; read off the advertised name when left out."""
    poll_s: float = Field(default=1.0, gt=0, le=3600)
    """Real seconds between two polls; 60 suits Bluetooth, where each is a connection of its own."""
    timeout_s: float = Field(default=5.0, gt=0, le=60)
    connections_per_hour: int = Field(default=120, ge=1, le=7200)
    """Bluetooth only: never more connections than this in an hour."""
    silent_after_s: float = Field(default=600.0, gt=0, le=86_400)
    """Real seconds without an answer after which the power station is called silent: asleep, out of reach, or hung."""
    capacity_wh: float = Field(gt=0, le=100_000)
    inverter_w: float = Field(gt=0, le=20_000)
    """Continuous rating of the AC output."""
    charge_w: float = Field(gt=0, le=20_000)
    """Power drawn from the grid while charging, before the taper; used until it has been measured."""
    idle_w: float = Field(default=9.0, ge=0, le=500)
    """What the box draws from the battery while its inverter is on (an AC2A was measured at 9 W)."""
    discharge_efficiency: Efficiency = 0.85
    charge_efficiency: Efficiency = 0.93
    floor_pct: Percent = 20.0
    """Depth-of-discharge floor: never below it by our doing."""
    price: float | None = Field(default=None, ge=0, le=1_000_000)
    """What it cost, in the currency of the programme: for its wear in reports. Left out: wear is not reckoned."""
    cycle_life: int = Field(default=3500, ge=100, le=100_000)
    """Full cycles until 80 % of the capacity are left; 3000 to 6000 for lithium iron phosphate."""
    passthrough: bool = False
    """With P2 on, grid power reaches P3 (UPS mode): the battery cannot feed the load while it charges."""
    ac_input_w: float | None = Field(default=None, gt=0, le=20_000)
    """Most that the AC input takes in, for charging and passthrough together. Unset: as much as the inverter gives, which is assumed."""

    @property
    def input_w(self) -> float:
        """The rating of the AC input, W."""
        return self.inverter_w if self.ac_input_w is None else self.ac_input_w

    @property
    def has_data_link(self) -> bool:
        """Whether the power station can be asked."""
        return self.driver != NO_DATA_LINK

    @model_validator(mode="after")
    def _reachable(self) -> "PowerStation":
        if self.has_data_link and not self.address:
            raise ValueError(f"driver '{self.driver}' needs an address; a station that cannot be asked has 'driver: {NO_DATA_LINK}'")
        return self


class Layout(Section):
    """What may sit at P1 to P4, including what cannot be run: `sps check-config` says what each would allow."""

    p1: RelayOrStation | None = None
    """`sensor: station`: P1 lies inside the power station (UPS passthrough), and there is no transfer switch outside."""
    p2: RelayDevice | None = None
    p3: RelayOrOutput = StationOutput(sensor="station")
    p4: StationOrIna260 | None = None

    @property
    def p1_inside(self) -> bool:
        """P1 lies inside the power station, as its passthrough."""
        return isinstance(self.p1, StationSensor)

    @property
    def output_switched(self) -> bool:
        """The power station's AC output is the actuator at P3."""
        return isinstance(self.p3, StationOutput) and self.p3.switch is not None

    def switched(self) -> tuple[str, ...]:
        """The positions that take commands: those with a relay, and P3 where the AC output is switched."""
        return (*self.relays(), "p3") if self.output_switched else tuple(self.relays())

    def relays(self) -> dict[str, RelayDevice]:
        """The positions that carry a relay, by name."""
        return {name: device for name in ("p1", "p2", "p3") if isinstance(device := getattr(self, name), RelayDevice)}


class Positions(Layout):
    """The devices at P1 to P4. A missing one is said so by leaving it out."""

    p1: RelayOrStation
    p2: RelayDevice

    def ina260s(self) -> dict[str, Ina260Sensor]:
        """The positions that an INA260 measures, by name."""
        return {"p4": self.p4} if isinstance(self.p4, Ina260Sensor) else {}


class Limits(Section):
    """What must never be exceeded, whatever an event asks."""

    circuit_limit_w: float = Field(default=1440.0, gt=0, le=20_000)
    """P1 + P2, measured plus expected: 80 % of a 15 A circuit at 120 V."""
    transfer_limit_w: float | None = Field(default=None, gt=0)
    """A load with a motor is transferred only below this power; unset means no such load."""
    dwell_s: float = Field(default=300.0, ge=0, le=7200)
    """Least station seconds between two switchings of one relay, except for safety."""
    switchings_per_day: int = Field(default=60, ge=2, le=1000)
    """Most switchings of one relay in a local day, except for safety."""


def hardware_of(positions: Layout, switch: TransferSwitch, *, passthrough: bool = False) -> Hardware:
    """What the modes ask of the hardware, read from the configuration."""
    relays = positions.relays()
    return Hardware(
        p1_relay="p1" in relays,
        p2_relay="p2" in relays,
        p3_actuator="p3" in positions.switched(),
        ats_priority=switch.priority,
        passthrough=passthrough or positions.p1_inside,
        p1_inside=positions.p1_inside,
    )
