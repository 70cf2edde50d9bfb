"""All that the routes need of the running gateway."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from services.bus import deployment, recorder_token
from services.bus.client import Bus
from services.bus.clock import Clock
from services.bus.contract import PREFERENCES
from services.bus.messages.state import PreferencesMessage
from services.core.config.policy import PreferencesSection
from services.core.config.station import Station
from services.core.preferences import Preferences
from services.gateway import view
from services.gateway.commands import CommandDesk
from services.gateway.heard import Heard
from services.gateway.models import StateView
from services.gateway.problems import ApiError, Problem
from services.gateway.recorder_link import RecorderLink
from services.gateway.sharing import Sharing


@dataclass
class Desk:
    """The gateway's parts, wired together."""

    station: Station
    clock: Clock
    bus: Bus
    preferences: PreferencesSection
    keep: Callable[[PreferencesSection], None] = lambda _: None
    """Writes preferences to disk. Raises OSError."""
    heard: Heard = field(default_factory=Heard)
    var: Path = Path("var")
    """The root of all state, where the recorder's token lies."""

    def __post_init__(self) -> None:
        self.heard.listen(self.bus)
        self.commands = CommandDesk(self.bus, self.heard, self.station, self.clock, self.chosen)
        self.recorder = RecorderLink(deployment.here().asks_recorder_at(self.station), lambda: recorder_token.headers(self.var))
        self.sharing: Sharing

    def moment(self) -> view.Moment:
        """Now, as the view needs it."""
        clock = self.clock
        return view.Moment(
            now=clock.now() if clock.known else None, speed=clock.speed, monotonic_s=clock.monotonic(), connected=self.bus.connected
        )

    def chosen(self) -> Preferences:
        """What the person chose, in the system's own form."""
        return self.preferences.preferences()

    def choose(self, chosen: PreferencesSection, *, share_past: bool = False) -> PreferencesSection:
        """The person's preferences with those fields of `chosen` that were given, kept and told to all.

        Raises ApiError: 422 for what contradicts itself or the station file, 503 when it cannot be kept or told.
        """
        merged = self.preferences.model_copy(
            update={name: getattr(chosen, name) for name in chosen.model_fields_set if name in PreferencesSection.model_fields}
        )
        if found := self.station.contradictions(merged):
            first = found[0]
            message = "; also: ".join(str(one) for one in found)
            raise ApiError(422, Problem(message=message, field=first.one, value=first.one_value, remedy=first.remedy))
        if not self.clock.known:
            raise ApiError(503, Problem(message="station time is not known yet", remedy="nothing was changed; try again in a few seconds"))
        try:
            self.sharing.choose(merged, share_past=share_past)
            self.keep(merged)
        except OSError as error:
            self._take_back()
            raise ApiError(503, Problem(message=f"the preferences cannot be kept: {error}", remedy="nothing was changed")) from None
        self.preferences = merged
        self.heard.state_version += 1
        self.bus.publish(PREFERENCES, PreferencesMessage.of(merged.preferences(), self.clock.now()))
        return merged

    def _take_back(self) -> None:
        """What was not kept shall not hold. Where even that cannot be kept, less is shared until it can."""
        with suppress(OSError):
            self.sharing.choose(self.preferences, share_past=False)

    def state(self) -> StateView:
        """The state now."""
        return view.state_view(self.heard, self.station, self.preferences.preferences(), self.moment())
