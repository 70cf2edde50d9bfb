"""Changes single fields of a station file and leaves every other character, comments too, as the person wrote it."""

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from services.bus.state_file import write_atomic
from services.core.config.load import parse_station

_INDENT = 2


def with_fields(text: str, section: str, fields: Mapping[str, str]) -> str:
    """`text` with `fields` (already YAML scalars) set in its top-level mapping `section`; the section is added if it is missing.

    Raises ConfigError if the result is no station: then nothing should be written.
    """
    for name, value in fields.items():
        text = _with_field(text, section, name, value)
    parse_station(text)
    return text


def write(file: Path, text: str) -> None:
    """Replace the content of `file`, keeping its permissions. Raises OSError."""
    target = file.resolve()
    mode = target.stat().st_mode
    write_atomic(target, text.encode())
    os.chmod(target, mode)  # noqa: PTH101 - of a path just resolved


def _with_field(text: str, section: str, name: str, value: str) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found = _child(root, section)
    if found is None:
        return f"{text.rstrip()}\n\n{section}:\n{' ' * _INDENT}{name}: {value}\n"
    key, content = found
    if not isinstance(content, yaml.MappingNode):
        # `section:` with nothing behind it.
        return _with_line_after(text, key.start_mark.line, f"{' ' * _INDENT}{name}: {value}")
    old = _child(content, name)
    if old is not None:
        start, end = old[1].start_mark.index, old[1].end_mark.index
        return text[:start] + value + text[end:]
    if content.flow_style:
        end = content.end_mark.index - 1
        return f"{text[:end].rstrip()}{', ' if content.value else ''}{name}: {value}{text[end:]}"
    last_key, last_value = content.value[-1]
    return _with_line_after(
        text, max(last_key.start_mark.line, _last_line(last_value)), f"{' ' * last_key.start_mark.column}{name}: {value}"
    )


def _child(node: yaml.Node | None, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next(((key, value) for key, value in node.value if key.value == name), None)


def _last_line(node: yaml.Node) -> int:
    """The last line that `node` itself stands on; a block's end mark lies at what follows it."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1])
    return int(node.end_mark.line)


def _with_line_after(text: str, line: int, added: str) -> str:
    lines = text.splitlines(keepends=True)
    if not lines[line].endswith("\n"):
        lines[line] += "\n"
    return "".join([*lines[: line + 1], f"{added}\n", *lines[line + 1 :]])
