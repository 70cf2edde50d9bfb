"""The person's preferences as they come over the bus: taken, unless they contradict each other or the station file."""

from services.bus.client import Bus
from services.bus.messages.state import PreferencesMessage
from services.controller.model import Settings
from services.core.config.contradictions import contradictions
from services.core.preferences import Preferences


def taken(message: PreferencesMessage, before: Preferences, settings: Settings, bus: Bus) -> Preferences:
    """The preferences that hold now: those of `message`, or those `before` when it contradicts itself, which the bus is told."""
    preferences = message.preferences()
    found = contradictions(preferences, settings.cycle, floor_pct=settings.battery.floor_pct, panel=settings.panel)
    for one in found:
        bus.report(str(one), field=one.one, value=one.one_value, remedy=f"{one.remedy}; until then those before hold", topic="preferences")
    return before if found else preferences
