"""What is wrong with a value, in words a person can act on: one field, its value, and what would be right."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

LONGEST_VALUE = 80


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that cannot be accepted. `field` and `value` are empty where the whole is meant, or nothing was given."""

    location: tuple[int | str, ...]
    value: str
    remedy: str

    @property
    def field(self) -> str:
        """The field's name as a person would write it, such as `goal.kind`."""
        return ".".join(str(part) for part in self.location)[:LONGEST_VALUE]


def field_problems(error: ValidationError, known: Sequence[str] = ()) -> list[FieldProblem]:
    """All that `error` found; `known` are the field names to suggest for one that is not."""
    return [_problem(item["loc"], item["msg"], item["input"], item["type"], known) for item in error.errors(include_url=False)]


def shortened(value: object) -> str:
    """`value` as it was written, short enough for a log line."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _problem(location: tuple[int | str, ...], message: str, value: object, kind: str, known: Sequence[str]) -> FieldProblem:
    if kind == "missing":
        return FieldProblem(location, "", "this field is required")
    shown = "" if value is None or isinstance(value, dict) else shortened(value)
    if kind == "extra_forbidden":
        suggestion = f"; known are {', '.join(known)}" if known and len(location) == 1 else ""
        return FieldProblem(location, shown, f"this field is not known here; is it a typing error?{suggestion}")
    return FieldProblem(location, shown, message.removeprefix("Value error, "))
