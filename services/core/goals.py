"""What an event asks for, and by which means."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite


class GoalKind(StrEnum):
    """How the reduction is measured."""

    PLEDGE = "pledge"
    """Hold the import at baseline minus the pledged watts."""
    MINIMIZE = "minimize"
    """Least grid energy over the event, shared evenly over its settlement intervals."""
    LIMIT = "limit"
    """Hold the import at or below the given watts."""


class Method(StrEnum):
    """By which means an event may be answered."""

    REPLACEMENT = "replacement"
    """The battery feeds the load."""
    SHIFTING = "shifting"
    """A deferrable load is off now and resumes later."""
    CURTAILMENT = "curtailment"
    """The load is off."""


@dataclass(frozen=True, slots=True)
class Goal:
    """An event's goal. `power_w` is the pledged reduction (pledge) or the import limit (limit), in watts."""

    kind: GoalKind
    power_w: float | None = None

    def __post_init__(self) -> None:
        if self.kind is GoalKind.MINIMIZE:
            if self.power_w is not None:
                raise ValueError("goal 'minimize' takes no watts")
            return
        field = "reduction_w" if self.kind is GoalKind.PLEDGE else "import_w"
        if self.power_w is None:
            raise ValueError(f"goal '{self.kind}' needs {field}, in watts")
        if not isfinite(self.power_w) or not 0 <= self.power_w <= 100_000:
            raise ValueError(f"{field} must lie between 0 and 100000 W, not {self.power_w}")
