"""Where the simulated devices may listen."""

from dataclasses import dataclass
from urllib.parse import urlsplit

Address = tuple[str, int]
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside a container's network, and only when told its name there


class NotSimulatable(ValueError):
    """A station that cannot be simulated as configured: names the field, its value and what would be right."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the simulated devices may listen: on loopback, or for the whole network in which this machine has the name `known_as`."""

    known_as: str | None = None

    def listens_at(self, host: str) -> str | None:
        """What to bind for `host` in an address; None where that is no host of ours.

        For a name, every interface: an address that a container has lost and got anew is another one.
        """
        return host if host in _LOOPBACK else _EVERYWHERE if host == self.known_as else None

    def endpoint(self, field: str, address: str) -> Address:
        """What to bind for a simulated device. Raises NotSimulatable."""
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if host is None or port is None or (bound := self.listens_at(host)) is None:
            raise NotSimulatable(
                f"{field}: {address!r}; a simulated device needs the address 'simulated', or a loopback URL with a port, such as"
                " 'http://127.0.0.1:18081'"
            )
        return bound, port


ON_LOOPBACK = Place()
