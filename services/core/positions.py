"""The four measured positions of a station and the relays that may sit at three of them."""

from enum import StrEnum


class Position(StrEnum):
    """Where power is measured. Positive power flows in the direction of the name."""

    P1 = "p1"
    """Grid to load, through the transfer switch."""
    P2 = "p2"
    """Grid to battery."""
    P3 = "p3"
    """Battery to load, through the transfer switch."""
    P4 = "p4"
    """PV to battery."""


RELAY_POSITIONS = (Position.P1, Position.P2, Position.P3)
"""Positions that may carry a relay. PV (P4) is never switched."""

SAFE_RELAY_STATE = {Position.P1: True, Position.P2: False, Position.P3: True}
"""The state of each relay in which nothing can go wrong unattended: it is also the device's boot state,
and the only state that carries no dead-man timer."""
