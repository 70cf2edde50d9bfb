"""The files of TLS: the authority's key lies apart from what the broker is given."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from services.bus.provision import certificates
from services.bus.provision.certificates import Unusable
from services.bus.provision.parts import MISSING, PUBLIC, THERE, Look, Part, State
from services.bus.secrets import NoSecret

CA_KEY, CA = "ca/ca.key", "mosquitto/ca.crt"
SERVER_KEY, SERVER = "mosquitto/server.key", "mosquitto/server.crt"
T = TypeVar("T")

ALWAYS = ("localhost", "127.0.0.1", "mosquitto")


def tls_files(folder: Path, station: str, names: Iterable[str], now: datetime) -> list[Part]:
    """The authority and the broker's certificate, good for `names` besides those of old."""
    tls = _Tls(folder, station, tuple(names), now)
    return [
        Part(CA_KEY, "the authority's key; keep it away from this machine if you like", tls.look_at_authority_key, certificates.new_key),
        Part(CA, "the authority's certificate: give it to clients in your network", tls.look_at_authority, tls.authority, PUBLIC),
        Part(SERVER_KEY, "the broker's key", tls.look_at_server_key, certificates.new_key),
        Part(SERVER, "the broker's certificate", tls.look_at_server, tls.server),
    ]


class _Tls:
    def __init__(self, folder: Path, station: str, names: tuple[str, ...], now: datetime) -> None:
        self._folder = folder
        self._station = station
        self._names = names
        self._now = now

    def look_at_authority_key(self, path: Path) -> Look:
        if not path.exists():
            return Look(State.THERE, "kept elsewhere") if (self._folder / CA).exists() else MISSING
        certificates.read_key(path.read_bytes())
        return THERE

    def look_at_authority(self, path: Path) -> Look:
        certificate = certificates.read_certificate(path.read_bytes())
        if (key := self._beside(CA_KEY, certificates.read_key)) is not None:
            certificates.require_pair(certificate, key)
        end = certificate.not_valid_after_utc
        if end <= self._now:
            raise Unusable(f"it ended on {end:%Y-%m-%d}; every client gets the new one then")
        return Look(State.THERE, f"until {end:%Y-%m-%d}")

    def authority(self) -> bytes:
        return certificates.new_authority(certificates.read_key((self._folder / CA_KEY).read_bytes()), self._station, self._now)

    def look_at_server_key(self, path: Path) -> Look:
        certificates.read_key(path.read_bytes())
        return THERE

    def look_at_server(self, path: Path) -> Look:
        certificate = certificates.read_certificate(path.read_bytes())
        if (authority := self._beside(CA, certificates.read_certificate)) is not None:
            certificates.require_signed(certificate, authority)
        if (key := self._beside(SERVER_KEY, certificates.read_key)) is not None:
            certificates.require_pair(certificate, key)
        end = certificate.not_valid_after_utc
        if end - self._now < certificates.RENEW_BEFORE:
            return Look(State.OLD, f"it ends on {end:%Y-%m-%d}")
        if lacking := [name for name in self._wanted() if name not in certificates.names_in(certificate)]:
            return Look(State.OLD, f"it is not good for {', '.join(lacking)}")
        return Look(State.THERE, f"until {end:%Y-%m-%d}, for {', '.join(certificates.names_in(certificate))}")

    def server(self) -> bytes:
        try:
            authority_key = certificates.read_key((self._folder / CA_KEY).read_bytes())
        except FileNotFoundError:
            raise NoSecret(
                f"{self._folder / CA_KEY} is not here, and only it can sign; put it back, or remove {CA} to begin anew"
            ) from None
        authority = certificates.read_certificate((self._folder / CA).read_bytes())
        path = self._folder / SERVER
        # A name that was once asked for stays: whoever runs setup again need not remember it.
        old = certificates.names_in(certificates.read_certificate(path.read_bytes())) if path.exists() else ()
        names = dict.fromkeys((*self._wanted(), *old))
        key = certificates.read_key((self._folder / SERVER_KEY).read_bytes())
        return certificates.new_server(key, authority, authority_key, names, self._now)

    def _beside(self, name: str, read: Callable[[bytes], T]) -> T | None:
        """What is in another file; None if it is missing or damaged, which is said where that one is looked at."""
        try:
            return read((self._folder / name).read_bytes())
        except (OSError, Unusable):
            return None

    def _wanted(self) -> tuple[str, ...]:
        return (*ALWAYS, *self._names)
