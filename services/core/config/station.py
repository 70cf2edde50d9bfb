"""The whole configuration of one station: `config/station.yaml`."""

from datetime import timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, model_validator

from services.core.config.aggregator import Aggregator
from services.core.config.base import Port, Section
from services.core.config.contradictions import Contradiction, contradictions
from services.core.config.enrolment import Enrolment, Programmed
from services.core.config.forecast import PvForecastSection
from services.core.config.hardware import Limits, Positions, PowerStation, StationSensor, TransferSwitch, hardware_of
from services.core.config.loads import Appliance, DeferrableLoad, LoadName
from services.core.config.notifications import Notifications
from services.core.config.policy import Control, DailyCycle, Duration, PreferencesSection
from services.core.config.simulated import SIMULATED, unlocated
from services.core.config.web import WebPage, is_loopback
from services.core.modes import Hardware, Switchboard, refusal, switchboard


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("use an IANA time zone such as 'America/New_York'")
    return name


class Broker(Section):
    """The local MQTT broker."""

    host: str = "127.0.0.1"
    port: Port = 1883
    start: bool = True
    """Whether `sps run` starts a broker of its own there: Mosquitto when installed, else the embedded one."""
    tls: bool = False
    """Whether to speak TLS with it. Then its certificate must be good for `host`."""
    ca_file: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """The authority to trust, a file in the folder `secrets` beside the state folder, such as `mosquitto/ca.crt`; unset: the system's."""

    @model_validator(mode="after")
    def _can_be_safe(self) -> "Broker":
        if self.tls and self.start:
            raise ValueError(
                "tls: the broker that `sps run` starts is for this machine and speaks no TLS; set 'start: false', and run your own"
            )
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file: it would not be used; set 'tls: true', or leave it out")
        return self


def _loopback(host: str) -> str:
    if not is_loopback(host):
        raise ValueError("it has no access control, so it listens on this machine only: 127.0.0.1, ::1 or localhost")
    return host


class Endpoint(Section):
    """An address to listen on without access control: loopback only."""

    host: Annotated[str, AfterValidator(_loopback)] = "127.0.0.1"
    port: Port


class InfluxFeed(Section):
    """An InfluxDB 2 (or what accepts its `/api/v2/write`) that gets every reading."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s/@]+(:\d+)?(/\S*)?$")]
    """Such as `http://127.0.0.1:8086`."""
    org: Annotated[str, Field(min_length=1, max_length=100)]
    bucket: Annotated[str, Field(min_length=1, max_length=100)]
    long_bucket: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Gets what is small and wanted for years (energy by the hour, events, seasons), so that `bucket` may forget. Unset: `bucket` does."""
    token_file: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """The file that holds the token, in the folder `secrets` beside the state folder: a name, or one in a folder there."""
    batch_rows: int = Field(default=1000, ge=1, le=10_000)
    """Rows of the journal in one request; each makes about five points."""
    timeout_s: float = Field(default=10.0, gt=0, le=120)

    @classmethod
    def beside(cls, url: str) -> "InfluxFeed":
        """The InfluxDB at `url` as `sps influx setup` makes it ready. Raises ValidationError for what is no address."""
        return cls(url=url, org="home", bucket="station", long_bucket="station_long", token_file="influx/recorder.token")  # noqa: S106 - a name


class Recorder(Section):
    """The journal and its query API."""

    api: Endpoint = Endpoint(port=8081)
    commit_every_s: float = Field(default=5.0, gt=0, le=60)
    """Real seconds between two commits of readings; events and states are committed at once. 30 spares an SD card."""
    raw_days: int = Field(default=366, ge=7, le=36_600)
    """So long readings are kept as they came. What is rolled up from them (minutes, quarters, hours) is kept for ever."""
    token: bool = False
    """Whether the query API asks for the token in `recorder/api.token` under the state folder, which is made at the first start.
    The page and `sps` read it there by themselves."""
    influx: InfluxFeed | None = None
    """Unset: nothing is fed to InfluxDB."""


class Simulation(Section):
    """The simulated house, used only while `clock` is `simulated`."""

    speed: float = Field(default=60.0, ge=1, le=3600)
    """Station seconds per real second."""
    load_scale: float = Field(default=0.2, gt=0, le=10)
    """The shared household trace times this: a plug-level load."""
    pv_peak_w: float = Field(default=200.0, ge=0, le=10_000)
    """Peak power of the simulated panel; 0 for none."""
    ats_delay_s: float = Field(default=1.0, ge=0, le=60)
    """Assumed: how long the transfer switch waits before it returns to its preferred input."""
    ats_gap_s: float = Field(default=0.02, ge=0, le=5)
    """Assumed: how long the load is without a source at a transfer."""
    port_address: str | None = None
    """Where the simulator's own controls are, such as `http://127.0.0.1:18083`; left out: beside the simulated devices."""
    seed_days: int = Field(default=20, ge=0, le=60)
    """Past days simulated into an empty journal at the first start."""


class HomeAssistant(Section):
    """Tells Home Assistant about the station, over MQTT discovery on the same broker."""

    enabled: bool = False
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")] = "homeassistant"
    """Home Assistant's discovery prefix."""
    manual_for: Duration = timedelta(hours=1)
    """How long a mode chosen in Home Assistant stands."""


class Station(Section):
    """One station, as its person described it."""

    station: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    """Its name in every topic: `sps/<station>/…`."""
    timezone: Annotated[str, AfterValidator(_known_zone)]
    """For daily schedules and for people; everything else is UTC."""
    clock: Literal["system", "simulated"] = "system"
    broker: Broker = Broker()
    web: WebPage = WebPage()
    recorder: Recorder = Recorder()
    positions: Positions
    transfer_switch: TransferSwitch = TransferSwitch()
    """Left out where P1 lies inside the power station: there is none then."""
    battery: PowerStation
    loads: dict[LoadName, DeferrableLoad] = Field(default_factory=dict)
    """Deferrable loads, each behind a relay of its own, for the method shifting."""
    switched_load: tuple[Appliance, ...] = ()
    """What hangs behind P1 and P3. Curtailment is refused while this is not stated."""
    always_on: tuple[Appliance, ...] = ()
    """What is never without power by our doing: a load of these names is not shifted, a switched load that holds one not curtailed."""
    limits: Limits = Limits()
    normal: DailyCycle = DailyCycle()
    control: Control = Control()
    pv_forecast: PvForecastSection = PvForecastSection()
    preferences: PreferencesSection = PreferencesSection()
    programme: Programmed = Enrolment()
    """Under whose rules events are settled: a name, or name and pledge."""
    simulation: Simulation = Simulation()
    home_assistant: HomeAssistant = HomeAssistant()
    notifications: Notifications = Notifications()
    aggregator: Aggregator | None = None
    """Unset: no events from outside, and nothing leaves the house."""

    @model_validator(mode="before")
    @classmethod
    def _simulated_only_in_a_simulation(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("clock") != "simulated" and (field := unlocated(data)) is not None:
            raise ValueError(f"{field}: '{SIMULATED}' goes with 'clock: simulated'; name the real device, as `sps discover` finds it")
        return data

    @model_validator(mode="after")
    def _can_be_safe(self) -> "Station":
        board = self.board
        if (why := refusal(board.safe_mode, board.hardware)) is not None:
            raise ValueError(f"mode {board.safe_mode.value}, the safe mode, is not possible with this hardware: {why}")
        if board.hardware.p1_inside and not self.battery.has_data_link:
            raise ValueError("positions.p1: P1 inside a power station that cannot be asked: nothing would tell its state; name its driver")
        if self.positions.output_switched and not self.battery.has_data_link:
            raise ValueError("positions.p3.switch: with 'battery.driver: none' nothing can switch the AC output; put a relay at P3")
        if self.positions.output_switched and board.hardware.inverter_first:
            raise ValueError(
                "positions.p3.switch: the transfer switch prefers the inverter, so an AC output that nobody switches off would drain the"
                " battery, and it has no dead-man timer; put a relay at P3"
            )
        if self.clock == "system" and any(sensor.simulated for sensor in self.positions.ina260s().values()):
            raise ValueError(
                "positions.p4.bus: tcp:... is the simulator's stand-in for an I²C bus; with 'clock: system' name a real one, such as 1"
            )
        if not self.battery.has_data_link:
            for name in ("p3", "p4"):
                if isinstance(getattr(self.positions, name), StationSensor):
                    raise ValueError(  # noqa: TRY004 - a wrong file, not a wrong call
                        f"positions.{name}: with 'battery.driver: {self.battery.driver}' the power station measures nothing;"
                        f" name the meter at {name.upper()}{'' if name == 'p3' else ', or leave it out'}"
                    )
        if self.control.settlement_interval < timedelta(minutes=1):
            raise ValueError("control.settlement_interval must be at least one minute")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "Station":
        if found := self.contradictions(self.preferences):
            raise ValueError("; also: ".join(str(one) for one in found))
        return self

    @model_validator(mode="after")
    def _loads_apart(self) -> "Station":
        taken = {(device.address, device.channel): f"positions.{name}" for name, device in self.positions.relays().items()}
        for name, device in self.loads.items():
            place = device.address, device.channel
            if (other := taken.get(place)) is not None:
                raise ValueError(f"loads.{name}: {device.address} channel {device.channel} is {other} already; give it a relay of its own")
            taken[place] = f"loads.{name}"
        return self

    def contradictions(self, preferences: PreferencesSection) -> list[Contradiction]:
        """What in `preferences` contradicts itself or the rest of the station file."""
        panel = self.positions.p4 is not None
        return contradictions(preferences.preferences(), self.normal, floor_pct=self.battery.floor_pct, panel=panel)

    @property
    def hardware(self) -> Hardware:
        """What there is to switch with."""
        return hardware_of(self.positions, self.transfer_switch, passthrough=self.battery.passthrough)

    @property
    def board(self) -> Switchboard:
        """Which relay stands where in which mode, and which state of each is safe."""
        return switchboard(self.hardware)

    @property
    def simulator_address(self) -> str:
        """Base URL of the simulator's own controls."""
        return self.simulation.port_address or self.battery.address

    @property
    def zone(self) -> ZoneInfo:
        """The station's time zone."""
        return ZoneInfo(self.timezone)
