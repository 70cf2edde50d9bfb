"""The person's preferences on disk: the gateway owns them once they were first taken from the station file."""

from pathlib import Path

from pydantic import ValidationError

from services.bus.state_file import read_state, write_atomic
from services.core.config.policy import PreferencesSection
from services.core.problems import field_problems


class PreferencesUnusable(ValueError):
    """The file of preferences cannot be used; says why."""


def load(path: Path, first: PreferencesSection) -> PreferencesSection:
    """The preferences kept at `path`; at the first start `first`, which is kept there.

    Raises PreferencesUnusable, leaving the file as it is, and OSError.
    """
    if (data := read_state(path)) is None:
        save(path, first)
        return first
    try:
        return PreferencesSection.model_validate_json(data)
    except ValidationError as error:
        problem = field_problems(error)[0]
        raise PreferencesUnusable(f"{path}: {problem.field or 'the file'}: {problem.value or 'refused'}; {problem.remedy}") from None


def save(path: Path, preferences: PreferencesSection) -> None:
    """Keep `preferences`. Raises OSError."""
    write_atomic(path, preferences.model_dump_json(indent=2).encode())
