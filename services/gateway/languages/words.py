"""Figures, times and states as a person reads them, in one language and the station's zone. What is unknown is a dash."""

from datetime import datetime, timedelta, tzinfo
from gettext import NullTranslations

from babel.core import Locale
from babel.dates import format_datetime
from babel.numbers import get_decimal_symbol

from services.core.config.policy import GoalSection
from services.core.events import CHARGED_IN_ADJUSTMENT, EventStatus
from services.core.goals import GoalKind
from services.gateway.languages.reason_patterns import N_
from services.gateway.languages.reasons import in_words, uncoded

UNKNOWN = "\N{EN DASH}"
MODES = (
    N_("Everything is off"),
    N_("The grid feeds the load and charges the battery"),
    N_("The grid feeds the load, the battery rests"),
    N_("The battery feeds the load while the grid charges it"),
    N_("The grid charges the battery, the load is off"),
    N_("The battery feeds the load"),
)
PHASES = {"normal": N_("Normal"), "upcoming": N_("Event coming"), "ongoing": N_("Event running")}
STATUSES = {
    EventStatus.PREDICTED: N_("Predicted"),
    EventStatus.PENDING: N_("Asks you"),
    EventStatus.SCHEDULED: N_("Scheduled"),
    EventStatus.UPCOMING: N_("Upcoming"),
    EventStatus.ONGOING: N_("Running"),
    EventStatus.COMPLETED: N_("Completed"),
    EventStatus.CANCELLED: N_("Cancelled"),
    EventStatus.OPTED_OUT: N_("Not taking part"),
    EventStatus.EXPIRED: N_("Expired"),
    EventStatus.REFUSED: N_("Refused"),
}
WHY = (
    N_("opted out"),
    N_("opted in again"),
    N_("declined"),
    N_("accepted"),
    N_("cancelled"),
    N_("it passed while the station was not running"),
)
"""Reasons of an event's status that are translated; others come as the controller wrote them."""
FLAGS = {CHARGED_IN_ADJUSTMENT: N_("charged in the hours that adjust the baseline: its figure is too high")}


class Words:
    """The words of one language."""

    def __init__(self, language: str, zone: tzinfo, catalogue: NullTranslations) -> None:
        self.language = language
        self._locale = Locale.parse(language)
        self._zone = zone
        self._ = catalogue.gettext
        self._point = get_decimal_symbol(self._locale)
        # As the scripts put it, so that nothing moves when they take over.
        self._date = "EEE d. MMM" if language == "de" else "EEE d MMM"

    def number(self, value: float | None, digits: int = 0) -> str:
        """A figure with so many digits after the point."""
        if value is None:
            return UNKNOWN
        rounded = round(value, digits) + 0.0
        return f"{rounded:.{digits}f}".replace("-", "\N{MINUS SIGN}").replace(".", self._point)

    def watts(self, value: float | None) -> str:
        """Power."""
        if value is None:
            return UNKNOWN
        return f"{self.number(value)} W" if abs(value) < 1000 else f"{self.number(value / 1000, 2)} kW"

    def watt_hours(self, value: float | None) -> str:
        """Energy."""
        if value is None:
            return UNKNOWN
        if abs(value) >= 10_000:
            return f"{self.number(value / 1000, 1)} kWh"
        return f"{self.number(value, 1 if abs(value) < 10 and value else 0)} Wh"

    def percent(self, value: float | None) -> str:
        """A percentage."""
        return UNKNOWN if value is None else f"{self.number(value)} %"

    def span(self, length: timedelta | float | None) -> str:
        """A length of time, or seconds: '1 h 10 min', '4 min', '20 s'."""
        if length is None:
            return UNKNOWN
        seconds = max(0, round(length.total_seconds() if isinstance(length, timedelta) else length))
        if seconds < 60:
            return f"{seconds} s"
        hours, minutes = divmod(seconds // 60, 60)
        if not hours:
            return f"{minutes} min"
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"

    def day(self, at: datetime) -> str:
        """The day, local."""
        return self._formatted(at, self._date)

    def month(self, at: datetime) -> str:
        """The month, local."""
        return format_datetime(at.astimezone(self._zone), "LLL y", locale=self._locale)

    def clock(self, at: datetime, *, seconds: bool = False) -> str:
        """The time of day, local."""
        return f"{at.astimezone(self._zone):{'%H:%M:%S' if seconds else '%H:%M'}}"

    def moment(self, at: datetime | None) -> str:
        """Day and time, local."""
        return UNKNOWN if at is None else f"{self.day(at)} {self.clock(at)}"

    def period(self, start: datetime, end: datetime) -> str:
        """From and to; the second day only where it differs."""
        last = self.clock(end) if self.day(start) == self.day(end) else self.moment(end)
        return f"{self.moment(start)} – {last}"  # noqa: RUF001 - an en dash between times

    def _formatted(self, at: datetime, pattern: str) -> str:
        text = format_datetime(at.astimezone(self._zone), pattern, locale=self._locale)
        # "Mo. 23. Nov." carries more points than a person would write.
        return text.replace(".", "", 1).rstrip(".") if self.language == "de" else text

    def goal(self, goal: GoalSection) -> str:
        """What an event asks."""
        if goal.kind is GoalKind.PLEDGE:
            return self._("{} less than usual").format(self.watts(goal.reduction_w))
        if goal.kind is GoalKind.LIMIT:
            return self._("at most {} from the grid").format(self.watts(goal.import_w))
        return self._("as little from the grid as possible")

    def status(self, status: EventStatus) -> str:
        """Where an event stands."""
        return self._(STATUSES[status])

    def why(self, text: str) -> str:
        """Why an event stands there."""
        return self._(text) if text else ""

    def flag(self, flag: str) -> str:
        """What the settlement should know."""
        return self._(FLAGS[flag]) if flag in FLAGS else flag

    def mode(self, mode: int | None) -> str:
        """What the station does in a mode."""
        return self._(MODES[mode]) if mode is not None else self._("What the station does is unknown")

    def phase(self, phase: str | None) -> str:
        """The phase."""
        return self._(PHASES[phase]) if phase in PHASES else self._("Unknown")

    def reason(self, code: str, text: str) -> str:
        """Why the controller does what it does, as a sentence. `code` may be empty where it was not kept."""
        said = in_words(code, text, self._) if code else uncoded(text, self._)
        return said[:1].upper() + said[1:]
