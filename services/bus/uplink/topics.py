"""Topics on the aggregator's broker: the JSON form under `dr/<network>/`, and the paired network's older form."""

import re
from dataclasses import dataclass

from services.core.config.aggregator import NAME, NETWORK

OLD_ROOT = "OpenDemandResponse"


@dataclass(frozen=True, slots=True)
class NetworkTopics:
    """The topics of one network. Raises ValueError for names that cannot be a level of a topic."""

    network: str

    def __post_init__(self) -> None:
        if re.match(NETWORK, self.network) is None:
            raise ValueError(f"network: {self.network[:80]!r} cannot be a level of a topic; use 1 to 64 of A-Z a-z 0-9 _ -")

    @property
    def event(self) -> str:
        """Events to all stations. QoS 1, not retained."""
        return f"dr/{self.network}/event"

    def station_event(self, name: str) -> str:
        """Events to one station."""
        return f"{self._station(name)}/event"

    def answer(self, name: str) -> str:
        """What a station says to events."""
        return f"{self._station(name)}/answer"

    def online(self, name: str) -> str:
        """Whether a station is connected: retained, and its last will."""
        return f"{self._station(name)}/online"

    @property
    def answers(self) -> str:
        """The filter for every station's answers."""
        return f"dr/{self.network}/station/+/answer"

    @property
    def onlines(self) -> str:
        """The filter for every station's presence."""
        return f"dr/{self.network}/station/+/online"

    @property
    def old_event(self) -> str:
        """Events in the older form."""
        return f"{OLD_ROOT}/Event/{self.network}"

    def old_participant(self, name: str) -> str:
        """What a station says in the older form."""
        _checked(name)
        return f"{OLD_ROOT}/Participant/{name}"

    def client_id(self, name: str) -> str:
        """A station's MQTT client id: always the same, so that the broker keeps its session while it is away."""
        _checked(name)
        return f"sps-{self.network}-{name}"

    def _station(self, name: str) -> str:
        _checked(name)
        return f"dr/{self.network}/station/{name}"


def station_of(topic: str) -> str | None:
    """The station's name in a topic `dr/<network>/station/<name>/…`, or None."""
    levels = topic.split("/")
    return levels[3] if len(levels) == 5 and levels[0] == "dr" and levels[2] == "station" and re.match(NAME, levels[3]) else None


def _checked(name: str) -> None:
    if re.match(NAME, name) is None:
        raise ValueError(f"name: {name[:80]!r} cannot be a level of a topic; use 1 to 32 of A-Z a-z 0-9 _ -")
