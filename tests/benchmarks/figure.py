"""A measured figure, beside the limit or peer measured in the same run."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `goal` is on `value` or on `ratio`, and met from below or from above."""

    name: str
    value: float
    unit: str
    reference: float | None
    """The limit or peer, in the same unit, measured in the same run."""
    goal: float
    conditions: str
    """What was measured, on what, and what the reference is."""
    goal_on: Literal["value", "ratio"] = "value"
    better: Literal["lower", "higher"] = "lower"

    @property
    def ratio(self) -> float | None:
        """Value over reference."""
        return self.value / self.reference if self.reference else None

    @property
    def met(self) -> bool:
        """Whether the goal is reached; a figure without the ratio it is judged by is not."""
        judged = self.value if self.goal_on == "value" else self.ratio
        if judged is None:
            return False
        return judged <= self.goal if self.better == "lower" else judged >= self.goal

    def row(self) -> dict[str, Any]:
        """The figure as `bench/latest.json` keeps it."""
        return {
            "name": self.name,
            "value": _rounded(self.value),
            "unit": self.unit,
            "reference": _rounded(self.reference),
            "ratio": _rounded(self.ratio),
            "goal": f"{self.goal_on} {'<=' if self.better == 'lower' else '>='} {self.goal:g}",
            "met": self.met,
            "conditions": self.conditions,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value) if abs(value) >= 1000 else float(f"{value:.4g}")
