"""Frozen data that every decision makes anew, at the price of plain data.

A frozen dataclass sets each field by way of `object.__setattr__`, and costs four times as much to make: with a dozen of them a decision,
a third of a backtest. So these are frozen for the type checker, which sees `dataclass` itself, and at run time merely have slots: equal,
hashed, replaced and stored as any frozen dataclass. Nothing but the checker stands in the way of whoever assigns to a field, so it is for
what lives within pure code only.
"""

from typing import TYPE_CHECKING

__all__ = ["record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    from collections.abc import Callable
    from dataclasses import dataclass

    def record(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """`dataclass(frozen=…, slots=…)`, whose `frozen` only the type checker enforces."""
        return dataclass(slots=slots, unsafe_hash=frozen)
