"""What a kilowatt-hour out of the battery costs: wear, and what is lost on the way in and out.

wear = price / (cycles x depth x capacity), per kWh at the cells; a kWh delivered takes 1 / eta_out of them, and each
of these 1 / eta_in bought ones. The idle draw is left out: the output is on whether or not it carries the load.
"""

from typing import NamedTuple

from services.core.battery import Battery


class Wear(NamedTuple):
    """What the battery costs, and how long it lasts."""

    price: float
    """Of the power station, in the tariff's currency."""
    cycles: float
    """Cycles of `depth_pct` until it is worn out (80 % of the capacity left)."""
    depth_pct: float


def wear_per_kwh(wear: Wear, battery: Battery) -> float:
    """The wear of one kWh delivered to the load."""
    return _at_the_cells(wear, battery) / battery.discharge_efficiency


def break_even(price: float, wear: Wear, battery: Battery) -> float:
    """The price above which a kWh bought at `price` is worth delivering later."""
    return (price / battery.charge_efficiency + _at_the_cells(wear, battery)) / battery.discharge_efficiency


def _at_the_cells(wear: Wear, battery: Battery) -> float:
    return wear.price / (wear.cycles * wear.depth_pct / 100.0 * battery.capacity_wh / 1000.0)
