"""To whom the station writes, and about what."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from services.core.config.base import Section

SecretName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Kind(StrEnum):
    """What a notification is about."""

    EVENT_ANNOUNCED = "event_announced"
    EVENT_STARTING = "event_starting"
    EVENT_CANNOT_BE_MET = "event_cannot_be_met"
    EVENT_FINISHED = "event_finished"
    DEVICE_LOST = "device_lost"
    BATTERY_LOW = "battery_low"


class Notifications(Section):
    """Messages to a person's phone or mailbox, through apprise."""

    to: Annotated[tuple[SecretName, ...], Field(max_length=10)] = ()
    """Names of files in the folder of secrets, each with one apprise URL such as `ntfys://ntfy.sh/my-topic`. Empty: nobody is told."""
    event_announced: bool = True
    """A new event, or an amended one."""
    event_starting: bool = True
    event_cannot_be_met: bool = True
    """An event that is refused, or that cannot be held as promised."""
    event_finished: bool = True
    """What it came to, or that it was cancelled."""
    device_lost: bool = True
    """A relay, a meter, the power station or a service that is silent or faulty for a while."""
    battery_low: bool = True
    """The battery is below the backup reserve."""

    def wants(self, kind: Kind) -> bool:
        """Whether that kind is to be told."""
        return bool(getattr(self, kind.value))
