"""The choice of a manual mode, as Home Assistant shows and sends it. Pure."""

from datetime import timedelta

from services.bus.contract import HOME_ASSISTANT_MODE
from services.bus.messages.state import Override
from services.core.modes import Hardware, Mode, allowed_modes

AUTOMATIC = "automatic"
COMMAND_PATH = HOME_ASSISTANT_MODE


class UnknownOption(ValueError):
    """A text that is none of the options."""


def label(mode: Mode) -> str:
    """The option for `mode`, such as `5 battery`."""
    return f"{mode.value} {mode.name.lower().replace('_', ' ')}"


def options(hardware: Hardware) -> list[str]:
    """What can be chosen: automatic, and the modes that this hardware can do."""
    return [AUTOMATIC, *(label(mode) for mode in sorted(allowed_modes(hardware)))]


def override(option: str, hardware: Hardware, duration: timedelta, command_id: str) -> Override:
    """The override that `option` asks for. Raises UnknownOption."""
    if option == AUTOMATIC:
        return Override(release=True, command_id=command_id)
    for mode in allowed_modes(hardware):
        if option == label(mode):
            return Override(mode=mode.value, duration=duration, command_id=command_id)
    raise UnknownOption(option)


def state_template() -> str:
    """The option that `controller/state` shows, as a Home Assistant template."""
    labels = ", ".join(f"{mode.value}: '{label(mode)}'" for mode in Mode)
    return f"{{{{ {{{labels}}}[value_json.mode_commanded] if value_json.reason_code == 'manual' else '{AUTOMATIC}' }}}}"
