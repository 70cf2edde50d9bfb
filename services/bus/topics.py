"""From a channel and its parameters to a topic, and back."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from services.bus.contract import Channel
from services.bus.messages.base import Payload

_FORBIDDEN = frozenset("/+#\0")


class Topics:
    """The topics of one station, all under `sps/<station>/`."""

    def __init__(self, station: str, channels: Iterable[Channel[Payload]]) -> None:
        self.root = f"sps/{station}/"
        # A literal beats a placeholder, so that `event/command` is never taken for the event called "command".
        self._patterns = sorted(((c, tuple(c.pattern.split("/"))) for c in channels), key=lambda pair: [is_parameter(p) for p in pair[1]])
        # The topics of a station are few and come again and again.
        self.identify = lru_cache(maxsize=512)(self._identify)

    def build(self, channel: Channel[Payload], params: Mapping[str, str]) -> str:
        """The topic of `channel` with `params` put in. Raises ValueError if one is missing, unknown, or no single level."""
        names = parameters(channel)
        if set(names) != set(params):
            raise ValueError(f"{channel.pattern} takes {', '.join(names) or 'no parameters'}, not {', '.join(sorted(params)) or 'none'}")
        for name, value in params.items():
            if not value or len(value) > 64 or _FORBIDDEN & set(value):
                raise ValueError(f"{name}: {value!r} cannot be a level of a topic; use 1 to 64 characters without / + #")
        return self.root + channel.pattern.format_map(params)

    def filter(self, channel: Channel[Payload]) -> str:
        """The MQTT topic filter that every topic of `channel` matches (and sometimes more: see `identify`)."""
        return self.root + "/".join("+" if is_parameter(level) else level for level in channel.pattern.split("/"))

    def _identify(self, topic: str) -> tuple[Channel[Payload], Mapping[str, str]] | None:
        """The one channel that `topic` belongs to, and its parameters; None for a topic that is not ours."""
        if not topic.startswith(self.root):
            return None
        levels = topic[len(self.root) :].split("/")
        for channel, pattern in self._patterns:
            if len(pattern) == len(levels) and all(map(_fits, pattern, levels)):
                return channel, MappingProxyType({p[1:-1]: level for p, level in zip(pattern, levels, strict=True) if is_parameter(p)})
        return None


def is_parameter(level: str) -> bool:
    """Whether a level of a pattern is a placeholder such as `{position}`."""
    return level.startswith("{")


def parameters(channel: Channel[Payload]) -> tuple[str, ...]:
    """The names of the placeholders in the pattern of `channel`."""
    return tuple(level[1:-1] for level in channel.pattern.split("/") if is_parameter(level))


def _fits(pattern: str, level: str) -> bool:
    return bool(level) if is_parameter(pattern) else pattern == level
