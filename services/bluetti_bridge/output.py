"""The power station's AC output as the actuator at P3: what to set, given what is wished and what it says. Pure.

It has no dead-man timer of its own, by the configuration's explicit word; a wish that nobody renews lapses here. What is switched at the
power station itself is a person's doing and is not undone: each command is carried out once. All times are real, monotonic seconds.
"""

from dataclasses import dataclass, replace

UNASKED_HOLD_S = 30.0
"""How long an output that we switched stands after a restart without a word from the controller."""
FIRST_RETRY_S, LONGEST_RETRY_S = 2.0, 60.0
CONTROL = "ac_output"


@dataclass(frozen=True, slots=True)
class Wish:
    """A command as heard; each renewal is a new one."""

    on: bool
    command_id: str
    until: float
    """When it lapses unless renewed."""


@dataclass(frozen=True, slots=True)
class Output:
    """What is known of the output."""

    safe: bool
    """The state in which nothing can go wrong unattended."""
    lapses_at: float | None = None
    """We left it unsafe, and this is when it returns to its safe state unless a wish is renewed; None while it is not our doing."""
    wish: Wish | None = None
    on: bool | None = None
    """As last read; None while the power station does not answer."""
    done: str | None = None
    """The command that was carried out last."""
    fault: str | None = None
    failures: int = 0
    retry_at: float = float("-inf")


def started(*, safe: bool, ours: bool, now: float) -> Output:
    """At the start of the bridge; `ours` when the one before it had left the output unsafe."""
    return Output(safe=safe, lapses_at=now + UNASKED_HOLD_S if ours else None)


def heard(output: Output, wish: Wish) -> Output:
    """After a command. A new one is tried at once, whatever became of the one before."""
    new = output.wish is None or output.wish.command_id != wish.command_id
    after = replace(output, wish=wish, lapses_at=wish.until if output.lapses_at is not None else None)
    return replace(after, failures=0, retry_at=float("-inf")) if new else after


def read(output: Output, on: bool | None) -> Output:
    """After the power station answered, or did not (None)."""
    if on is None:
        return replace(output, on=None)
    wish = output.wish
    stray = wish is not None and output.done == wish.command_id and on != wish.on
    word = f"found {_word(on)} though {_word(not on)} was set: switched at the power station itself, which is left so" if stray else None
    return replace(output, on=on, fault=output.fault if output.failures and not stray else word)


def due(output: Output, now: float) -> bool | None:
    """The state to set now; None when there is nothing to do."""
    if now < output.retry_at:
        return None
    wish = output.wish
    if wish is not None and now < wish.until:
        return wish.on if output.done != wish.command_id else None
    return output.safe if output.lapses_at is not None and now >= output.lapses_at else None


def carried_out(output: Output, on: bool) -> Output:
    """After the power station took the state `on` and confirmed it."""
    wish = output.wish
    done = wish.command_id if wish is not None and wish.on == on else None
    lapses_at = None if on == output.safe else wish.until if wish is not None else output.lapses_at
    return replace(output, on=on, done=done, lapses_at=lapses_at, fault=None, failures=0, retry_at=float("-inf"))


def not_carried_out(output: Output, on: bool, why: str, now: float) -> Output:
    """After an attempt to set `on` that was not confirmed. It may have been carried out all the same."""
    wait_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(output.failures, 10))
    wish = output.wish
    lapses_at = output.lapses_at if on == output.safe else wish.until if wish is not None else output.lapses_at
    return replace(
        output,
        on=None,
        fault=f"not switched {_word(on)}: {why}",
        failures=output.failures + 1,
        retry_at=now + wait_s,
        lapses_at=lapses_at,
    )


def next_change(output: Output, now: float) -> float | None:
    """When `due` may answer otherwise although nothing is heard; None: never."""
    times = (output.retry_at, output.wish.until if output.wish else None, output.lapses_at)
    return min((at for at in times if at is not None and at > now), default=None)


def _word(on: bool) -> str:
    return "on" if on else "off"
