"""How a connection to a broker is made: as whom, over what, and whether the broker remembers us."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

MAX_UNACKNOWLEDGED = 20
"""As many messages may be without our acknowledgement (MQTT 5; with 3.1.1 the broker's own limit holds, 20 with Mosquitto)."""


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """As a service connects to its own station's broker, unless said otherwise."""

    version: Literal["3.1.1", "5"] = "3.1.1"
    keep_session: bool = False
    """Whether the broker is to keep what it has for us while we are away."""
    session_s: int = 0
    """MQTT 5: for how long."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    login_remedy: str = "run sps setup, and restart it"
    """What to do where the broker refuses us as who we are …"""
    trust_remedy: str = "check broker.ca_file and broker.host"
    """… and where we do not trust it."""

    def client(self, client_id: str, *, manual_ack: bool) -> mqtt.Client:
        """A paho client that was never connected."""
        five = self.version == "5"
        made = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if five else not self.keep_session,
            protocol=mqtt.MQTTv5 if five else mqtt.MQTTv311,
            manual_ack=manual_ack,
        )
        if self.user is not None:
            made.username_pw_set(self.user, self.password)
        if self.tls is not None:
            made.tls_set_context(self.tls)
        return made

    def connect_arguments(self) -> dict[str, Any]:
        """What `connect` takes besides the address."""
        if self.version != "5":
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self.session_s if self.keep_session else 0
        properties.ReceiveMaximum = MAX_UNACKNOWLEDGED
        return {"clean_start": not self.keep_session, "properties": properties}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that the broker forgets only once it is acknowledged."""

    topic: str
    payload: bytes
    retained: bool
    acknowledge: Callable[[], None]
    """From the event loop; after the connection is lost it does nothing, and the message comes again."""
    lost: Callable[[], bool] = lambda: False
    """Whether that connection is lost by now."""
