"""How long one who gave wrong passwords has to wait: longer each time, and never for ever."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

FREE = 3
"""Wrong passwords of one client without a wait."""
LONGEST_WAIT_S = 120.0
FREE_OF_ALL = 20
"""Wrong passwords of all clients together before strangers wait for one another."""
LONGEST_WAIT_OF_ALL_S = 30.0
FORGOTTEN_S = 3600.0
"""After so long without a wrong password it is as if there had been none."""
MOST_CLIENTS = 1024


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong passwords in a row."""

    count: int = 0
    last_s: float = 0.0

    def more(self, now_s: float) -> "Failures":
        """With another one."""
        return Failures((0 if now_s - self.last_s > FORGOTTEN_S else self.count) + 1, now_s)

    def wait_s(self, free: int, longest_s: float, now_s: float) -> float:
        """What remains of the wait."""
        if self.count < free or now_s - self.last_s > FORGOTTEN_S:
            return 0.0
        wait_s = min(2.0 ** min(self.count - free + 1, 30), longest_s)
        # In floating point what remains may be a hair more than the whole.
        return min(wait_s, max(0.0, self.last_s + wait_s - now_s))


@dataclass(frozen=True, slots=True)
class Throttle:
    """What is remembered of failed logins, in real seconds. Clients that once gave the right password do not wait for strangers."""

    clients: Mapping[str, Failures] = field(default_factory=dict)
    everybody: Failures = Failures()
    known: frozenset[str] = frozenset()

    def wait_s(self, client: str, now_s: float) -> float:
        """How long `client` must wait before its next password is looked at."""
        own_s = self.clients.get(client, Failures()).wait_s(FREE, LONGEST_WAIT_S, now_s)
        if client in self.known:
            return own_s
        return max(own_s, self.everybody.wait_s(FREE_OF_ALL, LONGEST_WAIT_OF_ALL_S, now_s))

    def failed(self, client: str, now_s: float) -> "Throttle":
        """After a wrong password of `client`."""
        clients = {**self.clients, client: self.clients.get(client, Failures()).more(now_s)}
        while len(clients) > MOST_CLIENTS:
            del clients[min(clients, key=lambda name: clients[name].last_s)]
        return replace(self, clients=clients, everybody=self.everybody.more(now_s))

    def succeeded(self, client: str) -> "Throttle":
        """After the right one."""
        clients = {name: failures for name, failures in self.clients.items() if name != client}
        known = self.known if len(self.known) >= MOST_CLIENTS else self.known | {client}
        return replace(self, clients=clients, known=known)
