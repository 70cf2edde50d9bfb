"""All that the person ever chose to share, on disk, and what follows from it now."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.bus.messages.base import Utc
from services.bus.state_file import read_state, write_atomic
from services.core.consent import Consent, Grants, Life, changed
from services.core.preferences import SharingLevel

FILE = "consent.json"


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: Utc
    level: SharingLevel
    switches: dict[str, bool] = Field(default_factory=dict)
    share_past: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    forgotten: Annotated[int, Field(ge=0)] = 0
    consents: tuple[_Kept, ...]


class ConsentBook:
    """The person's consents. A lowered level holds from the moment of the call, whatever the disk does."""

    def __init__(self, folder: Path) -> None:
        """What was kept in `folder`; a file that cannot be read counts as none, so that nothing of the past leaves. Raises OSError."""
        self._path = folder / FILE
        self.complaint: str | None = None
        self.life = self._load()
        self.grants = Grants.of(self.life)
        self._unsaved = False
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after each change."""
        self._listeners.append(listener)

    def choose(self, level: SharingLevel, switches: Mapping[str, bool], now: datetime, *, share_past: bool = False) -> None:
        """What holds from `now` on.

        Raises OSError when it cannot be kept: then no more leaves than before, nor more than what was chosen.
        """
        wanted = changed(self.life, level, switches, now, share_past=share_past)
        if wanted is self.life and not self._unsaved:
            return
        before = self.grants
        after = Grants.of(wanted)
        # What both allow is allowed at once; what is new, only when it is on disk.
        self._hold(wanted, _narrower(before, after))
        self._unsaved = True
        self._save()
        self._unsaved = False
        self._hold(wanted, after)

    def gate(self) -> int:
        """The epoch: whoever is sending something compares it before each piece."""
        return self.grants.epoch

    def _hold(self, life: Life, grants: Grants) -> None:
        self.life, self.grants = life, grants
        for listener in self._listeners:
            listener()

    def _load(self) -> Life:
        data = read_state(self._path)
        if data is None:
            return Life()
        try:
            file = _File.model_validate_json(data)
        except ValidationError:
            self.complaint = f"{self._path} cannot be read; what is shared is shared from now on only"
            return Life()
        return Life(tuple(Consent(one.since, one.level, one.switches, one.share_past) for one in file.consents), file.forgotten)

    def _save(self) -> None:
        consents = tuple(
            _Kept(since=one.since, level=one.level, switches=dict(one.switches), share_past=one.share_past) for one in self.life.consents
        )
        write_atomic(self._path, _File(forgotten=self.life.forgotten, consents=consents).model_dump_json(indent=1).encode())


def _narrower(one: Grants, other: Grants) -> Grants:
    both = {name: max(since, other.since[name]) for name, since in one.since.items() if name in other.since}
    return Grants(both, other.epoch)
