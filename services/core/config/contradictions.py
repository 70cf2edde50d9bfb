"""Preferences and policies that contradict each other: each names both fields, their values, and what would be right. Pure."""

from dataclasses import dataclass
from datetime import time, timedelta

from services.core.config.policy import DailyCycle, NormalPolicy
from services.core.preferences import Participation, Preferences
from services.core.quiet import Hours
from services.core.schedule import within


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two fields that cannot both be meant."""

    one: str
    one_value: str
    other: str
    other_value: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.one} ({self.one_value}) and {self.other} ({self.other_value}) contradict each other: {self.why}; {self.remedy}"


def contradictions(preferences: Preferences, normal: DailyCycle, *, floor_pct: float, panel: bool) -> list[Contradiction]:
    """All that is contradictory, for a battery with that floor and with a panel or without."""
    return [*_of_events(preferences), *_of_charging(preferences, normal, floor_pct), *_of_the_policy(normal, panel=panel)]


def _of_events(preferences: Preferences) -> list[Contradiction]:
    found = []
    if preferences.participation is Participation.ASK and preferences.answer_before is None:
        why, remedy = "an event that asks needs a deadline", "set answer_before, such as PT2H, or take part always or never"
        found.append(Contradiction("preferences.participation", "ask", "preferences.answer_before", "not set", why, remedy))
    if preferences.answer_before is not None and not timedelta(0) <= preferences.answer_before <= timedelta(days=7):
        why, remedy = "the deadline would lie after the start, or before any notice", "use from PT0S to P7D"
        found.append(
            Contradiction(
                "preferences.answer_before",
                str(preferences.answer_before),
                "preferences.participation",
                preferences.participation.value,
                why,
                remedy,
            )
        )
    if preferences.participation is not Participation.NEVER and preferences.backup_reserve_pct >= 100.0:
        why, remedy = "with all of it kept the battery can answer no event", "lower the reserve, or take part never"
        found.append(
            Contradiction(
                "preferences.backup_reserve_pct", "100", "preferences.participation", preferences.participation.value, why, remedy
            )
        )
    if (free := preferences.no_event_hours) is not None and (24 * 60 - free.length // timedelta(minutes=1)) < (
        preferences.duration // timedelta(minutes=1)
    ):
        why, remedy = "no event of the usual length fits in between", "shorten the one or the other, or take part never"
        found.append(Contradiction("preferences.no_event_hours", str(free), "preferences.duration", str(preferences.duration), why, remedy))
    return found


def _of_charging(preferences: Preferences, normal: DailyCycle, floor_pct: float) -> list[Contradiction]:
    found = []
    target = f"{normal.charge_to_pct:g}"
    if normal.policy is not NormalPolicy.SELF_CONSUMPTION:
        why = "charged no further, the battery could never give anything"
        for name, value in (("preferences.backup_reserve_pct", preferences.backup_reserve_pct), ("battery.floor_pct", floor_pct)):
            if value >= normal.charge_to_pct and normal.policy is not NormalPolicy.STANDBY:
                found.append(Contradiction(name, f"{value:g}", "normal.charge_to_pct", target, why, "lower the first, or raise the second"))
        if normal.policy is NormalPolicy.STANDBY and max(preferences.backup_reserve_pct, floor_pct) > normal.charge_to_pct:
            why, remedy = "standby would keep less than the reserve", "raise charge_to_pct at least to the reserve"
            reserve = f"{preferences.backup_reserve_pct:g}"
            found.append(Contradiction("preferences.backup_reserve_pct", reserve, "normal.charge_to_pct", target, why, remedy))
    if (quiet := preferences.quiet_hours) is not None and (window := _charging_field(normal)) is not None:
        field, spans = window
        if spans and not any(_is_free(quiet, span) for span in spans):
            why, remedy = "in none of its hours may the grid charge the battery", "leave at least one of them out of the quiet hours"
            shown = ", ".join(str(span) for span in spans)
            found.append(Contradiction("preferences.quiet_hours", str(quiet), field, shown, why, remedy))
    return found


def _charging_field(normal: DailyCycle) -> tuple[str, tuple[Hours, ...]] | None:
    """When the policy charges from the grid, and by which field."""
    if normal.policy is NormalPolicy.CYCLE:
        return "normal.charge_at to normal.discharge_at", (Hours(normal.charge_at, normal.discharge_at),)
    if normal.policy is NormalPolicy.TIME_OF_USE and normal.tariff is not None:
        cheapest = min(rate.price_per_kwh for rate in normal.tariff.rates)
        spans = tuple(rate.hours for rate in normal.tariff.rates if rate.price_per_kwh == cheapest and rate.hours is not None)
        always = any(rate.price_per_kwh == cheapest and rate.hours is None for rate in normal.tariff.rates)
        return None if always else ("normal.tariff.rates", spans)
    return None


def _is_free(quiet: Hours, span: Hours) -> bool:
    """Whether a minute of `span` lies outside `quiet`."""
    minute = span.begin.hour * 60 + span.begin.minute
    for _ in range(int(span.length.total_seconds() // 60)):
        if not within(time(minute // 60, minute % 60), quiet.begin, quiet.end):
            return True
        minute = (minute + 1) % 1440
    return False


def _of_the_policy(normal: DailyCycle, *, panel: bool) -> list[Contradiction]:
    found = []
    if normal.policy is NormalPolicy.SELF_CONSUMPTION and not panel:
        why, remedy = "without a panel there is nothing to soak up", "name the meter at P4, or choose another policy"
        found.append(Contradiction("normal.policy", normal.policy.value, "positions.p4", "not set", why, remedy))
    if normal.policy is NormalPolicy.TIME_OF_USE:
        for name, value, remedy in (
            ("normal.tariff", normal.tariff, "state the rates"),
            ("normal.wear", normal.wear, "state the battery's price: without it nobody knows what discharging costs"),
        ):
            if value is None:
                why = "it cannot be reckoned without"
                found.append(Contradiction("normal.policy", normal.policy.value, name, "not set", why, remedy))
        if normal.tariff is not None and len({rate.price_per_kwh for rate in normal.tariff.rates}) == 1:
            why, remedy = "with one price all day there is nothing to gain", "choose `standby` or `cycle`, or state the other rates"
            found.append(Contradiction("normal.policy", normal.policy.value, "normal.tariff.rates", "one price", why, remedy))
    return found
