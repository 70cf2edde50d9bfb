"""From the text of a station file to a checked `Station`, with errors a person can act on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from services.core.config.base import Section
from services.core.config.hardware import Layout, TransferSwitch, hardware_of
from services.core.config.simulated import LOOPBACK, located
from services.core.config.station import Station
from services.core.modes import Hardware
from services.core.problems import FieldProblem, field_problems

FILL_IN = "FILL-IN"
"""Stands in a draft where a person must write something."""
S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a station file."""

    line: int | None
    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.field}: {self.value}; {self.remedy}" if self.value else f"{where}{self.field}: {self.remedy}"


class ConfigError(ValueError):
    """A station file that cannot be used, with everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def parse_station(text: str, simulator_host: str = LOOPBACK) -> Station:
    """The station that `text` (YAML) describes, with its simulated devices at `simulator_host`.

    Raises ConfigError naming line, field, value and remedy.
    """
    return parse_file(text, Station, "config/station.yaml", partial(located, host=simulator_host))


def parse_file(text: str, model: type[S], like: str, prepared: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict) -> S:
    """What `text` (YAML) describes, `prepared` and checked against `model`; `like` names a file to take after. Raises ConfigError."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        raise ConfigError([Problem(line, "the file", "", f"is not YAML: {getattr(error, 'problem', None) or error}")]) from None
    if not isinstance(data, dict):
        raise ConfigError([Problem(None, "the file", "", f"must hold 'name: value' lines, as {like} does")])
    blanks = _blanks(node)
    try:
        checked = model.model_validate(prepared(data))
    except ValidationError as error:
        others = [_located(node, problem) for problem in field_problems(error)]
    else:
        others = []
        if not blanks:
            return checked
    # A blank is named once, and not also for being no number or no time zone.
    named = {blank.field for blank in blanks}
    raise ConfigError(sorted([*blanks, *(other for other in others if other.field not in named)], key=lambda problem: problem.line or 0))


def parse_hardware(text: str) -> Hardware | None:
    """The hardware that `text` describes, even where no station can be run with it; None where its description itself is wrong."""
    try:
        data = yaml.safe_load(text)
        layout, switch = Layout.model_validate(data["positions"]), TransferSwitch.model_validate(data.get("transfer_switch", {}))
        passthrough = bool(data["battery"].get("passthrough", False))
    except (yaml.YAMLError, ValidationError, KeyError, TypeError, AttributeError):
        return None
    return hardware_of(layout, switch, passthrough=passthrough)


def _blanks(root: yaml.Node | None) -> list[Problem]:
    """Every field that a draft has left to a person, in the file's order."""
    found: list[Problem] = []
    seen: set[int] = set()

    def look(node: yaml.Node | None, path: tuple[str, ...]) -> None:
        # By an alias a node may stand in many places, even within itself.
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                look(value, (*path, str(key.value)))
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                look(value, (*path, str(number)))
        elif isinstance(node, yaml.ScalarNode) and node.value == FILL_IN:
            found.append(Problem(node.start_mark.line + 1, ".".join(path), FILL_IN, "write what is right for your station in its place"))

    look(root, ())
    return found


def _located(node: yaml.Node | None, problem: FieldProblem) -> Problem:
    # Between a position and its field stands which kind of device was understood, such as "(ina260)"; in the file there is no such level.
    location = tuple(part for part in problem.location if not str(part).startswith("("))
    problem = replace(problem, location=location)
    return Problem(_line_of(node, location), problem.field or "the station", problem.value, problem.remedy)


def _line_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> int | None:
    """The line of the deepest part of `location` that stands in the file, counted from one."""
    line = None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
