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
"""Positions that may be switched; the safe state of each is the station's `Switchboard.safe`. PV (P4) is never switched."""
