"""Policy `time_of_use`: charge where the tariff is cheapest, discharge where it is dear enough to pay for losses and wear. Pure.

The break-even price is (cheapest / eta_in + wear) / eta_out (`core/wear.py`). In a span that is worth it, yet not the dearest
before the next cheap one, energy is kept back for the dearer spans: the smoothed load times their hours.
"""

from datetime import UTC, datetime

from services.controller.model import Memory, Proposal, Settings, Snapshot
from services.controller.policies.common import RESUME_PCT, rest, sun
from services.controller.reasons import Reason
from services.core.modes import SAFE_MODE, Mode
from services.core.tariff import Priced, ahead
from services.core.wear import break_even


def cheapest_now(now: datetime, settings: Settings) -> bool:
    """Whether no hour of the day ahead is cheaper."""
    if settings.tariff is None:
        return True
    spans = ahead(settings.tariff, now, settings.zone)
    return spans[0].price <= min(span.price for span in spans)


def propose(soc_pct: float, snapshot: Snapshot, memory: Memory, now: datetime, lowest_pct: float, settings: Settings) -> Proposal:
    """Charge, discharge or rest, by the prices of the day ahead."""
    if settings.tariff is None or settings.wear is None:
        return rest(soc_pct, None)
    spans = ahead(settings.tariff, now, settings.zone)
    here = spans[0]
    until = datetime.fromtimestamp(here.end_s, UTC)
    cheapest = min(span.price for span in spans)
    worth = break_even(cheapest, settings.wear, settings.battery)
    if here.price > worth:
        down_to_pct = _kept_pct(spans, cheapest, now, memory, lowest_pct, settings)
        if soc_pct > down_to_pct + (0.0 if memory.mode is Mode.BATTERY else RESUME_PCT):
            return Proposal(Mode.BATTERY, Reason("dear", (here.price, worth, cheapest, soc_pct, down_to_pct)), next_change=until)
        return rest(soc_pct, until)
    pays = max(span.price for span in spans) > worth
    if here.price > cheapest or not pays:
        code = "not_worth_it" if not pays else "between_prices"
        if soc_pct >= lowest_pct:
            return Proposal(SAFE_MODE, Reason(code, (soc_pct, max(span.price for span in spans), worth)), next_change=until)
    target_pct = settings.cycle.charge_to_pct if pays and here.price <= cheapest else lowest_pct
    margin_pct = 0.0 if memory.charging else RESUME_PCT
    if soc_pct < target_pct - margin_pct:
        dear = next((span.begin_s for span in spans if span.price > worth), here.end_s)
        sun_wh = sun(snapshot, memory, now, datetime.fromtimestamp(dear, UTC), settings).wh * settings.battery.charge_efficiency
        target_pct = max(target_pct - 100.0 * sun_wh / settings.battery.capacity_wh, lowest_pct)
    if soc_pct < target_pct - margin_pct:
        return Proposal(Mode.GRID_AND_CHARGE, Reason("cheap", (here.price, soc_pct, target_pct)), next_change=until)
    return rest(soc_pct, until)


def _kept_pct(spans: tuple[Priced, ...], cheapest: float, now: datetime, memory: Memory, lowest_pct: float, settings: Settings) -> float:
    """The state of charge to keep for dearer spans that come before the battery can be charged cheaply again."""
    load_w = memory.learned.load_w
    if load_w is None:
        return lowest_pct
    here, hours = spans[0], 0.0
    for span in spans[1:]:
        if span.price <= cheapest:
            break
        if span.price > here.price:
            hours += (span.end_s - max(span.begin_s, now.timestamp())) / 3600.0
    kept_wh = hours * (load_w / settings.battery.discharge_efficiency + settings.battery.idle_w)
    return min(100.0, lowest_pct + 100.0 * kept_wh / settings.battery.capacity_wh)
