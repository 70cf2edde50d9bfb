"""How the aggregator starts: its file, clock, folders and secrets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from services.aggregator.config import AggregatorFile
from services.aggregator.keys import StationSecrets, Unusable, signing_key
from services.aggregator.store.database import StoreError, open_database
from services.bus import deployment, state_format, state_lock
from services.bus.beating import Heartbeat
from services.bus.clock import Clock, SystemClock
from services.bus.state_format import StateFolderError
from services.bus.systemd import Systemd
from services.bus.uplink.signing import public_text

NAME = "aggregator"


class CannotStart(Exception):
    """Why the aggregator cannot start, in one line for a person."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every part of the aggregator is given."""

    file: AggregatorFile
    var: Path
    """The root of all state; the aggregator's is `aggregator` in it."""
    secrets: Path
    clock: Clock

    @property
    def state(self) -> Path:
        """The aggregator's own state."""
        return self.var / NAME

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Have the state for this process alone, in the form that this version writes. Raises CannotStart."""
        try:
            with state_lock.hold(self.var, [NAME]):
                state_format.admit(self.var, [NAME])
                yield
        except StateFolderError as error:
            raise CannotStart(str(error)) from None

    def heartbeat(self) -> Heartbeat:
        """The running aggregator's own. Raises ConfigError for an environment variable that makes no sense."""
        surroundings = deployment.here()
        return Heartbeat(NAME, surroundings.alive or self.var, Systemd(surroundings.notify_socket))

    def secret_path(self, name: str | None) -> Path | None:
        """The file of a secret that the configuration names."""
        return None if name is None else self.secrets / name

    def station_secrets(self) -> StationSecrets:
        """Derives what stations show. Raises CannotStart."""
        try:
            return StationSecrets(self.secrets)
        except Unusable as error:
            raise CannotStart(str(error)) from None

    def public_key(self) -> str:
        """What stations put into `aggregator.keys`. Raises CannotStart."""
        try:
            return public_text(signing_key(self.secrets).public_key())
        except Unusable as error:
            raise CannotStart(str(error)) from None

    def open_database(self) -> Engine:
        """The database with its tables. Raises CannotStart."""
        password = None
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            if (path := self.secret_path(self.file.database_secret)) is not None:
                password = path.read_text(encoding="utf-8").strip()
            return open_database(self.file.database, password, self.state)
        except OSError as error:
            raise CannotStart(f"{error.filename} cannot be used: {error.strerror}") from None
        except StoreError as error:
            raise CannotStart(str(error)) from None


def make_context(file: AggregatorFile, var: Path, secrets: Path) -> Context:
    """The context on this machine."""
    return Context(file, var, secrets, SystemClock())
