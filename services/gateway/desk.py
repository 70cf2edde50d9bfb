"""All that the routes need of the running gateway."""

from dataclasses import dataclass, field
from pathlib import Path

from services.bus import recorder_token
from services.bus.client import Bus
from services.bus.clock import Clock
from services.core.config.policy import PreferencesSection
from services.core.config.station import Station
from services.gateway import view
from services.gateway.commands import CommandDesk
from services.gateway.heard import Heard
from services.gateway.models import StateView
from services.gateway.recorder_link import RecorderLink


@dataclass
class Desk:
    """The gateway's parts, wired together."""

    station: Station
    clock: Clock
    bus: Bus
    preferences: PreferencesSection
    heard: Heard = field(default_factory=Heard)
    var: Path = Path("var")
    """The root of all state, where the recorder's token lies."""

    def __post_init__(self) -> None:
        self.heard.listen(self.bus)
        self.commands = CommandDesk(self.bus, self.heard, self.station, self.clock, self.preferences.preferences())
        api = self.station.recorder.api
        self.recorder = RecorderLink(f"http://{api.host}:{api.port}", lambda: recorder_token.headers(self.var))

    def moment(self) -> view.Moment:
        """Now, as the view needs it."""
        clock = self.clock
        return view.Moment(
            now=clock.now() if clock.known else None, speed=clock.speed, monotonic_s=clock.monotonic(), connected=self.bus.connected
        )

    def state(self) -> StateView:
        """The state now."""
        return view.state_view(self.heard, self.station, self.preferences.preferences(), self.moment())
