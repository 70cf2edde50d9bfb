"""Ten thousand random events with faults: nothing of floor, reserve, rating and dwell may ever be broken."""

import multiprocessing as mp
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

from services.backtest.misfortune import Outcome, endure
from services.backtest.ordeals import draw
from services.core.config.load import parse_station
from services.core.config.station import Station
from tests.benchmarks.figure import Figure
from tests.benchmarks.progress import line

ORDEALS = 10_000
SHOWN = 5


@cache
def _stations() -> tuple[Station, ...]:
    """The shipped station as often as all examples together, each of which is another kind of hardware."""
    examples = [parse_station(file.read_text(encoding="utf-8")) for file in sorted(Path("config/examples").glob("*.yaml"))]
    shipped = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))
    return (*examples, *[shipped] * len(examples))


def ordeal(seed: int) -> Outcome:
    """What came of `seed`."""
    return endure(draw(_stations(), seed))


class Sum(NamedTuple):
    """What came of many ordeals."""

    rules: Counter[str]
    """Violations by rule."""
    examples: dict[int, str]
    """By seed."""
    decisions: int
    opened: int
    restarts: int
    shifted: int


def run(count: int, first: int = 0) -> Sum:
    """`count` ordeals from the seed `first` on, over all cores."""
    rules: Counter[str] = Counter()
    examples: dict[int, str] = {}
    decisions = opened = restarts = shifted = 0
    told = line("ordeals")
    with mp.Pool() as pool:
        for done, outcome in enumerate(pool.imap(ordeal, range(first, first + count), chunksize=16)):
            decisions += outcome.decisions
            opened += outcome.opened
            restarts += outcome.restarts
            shifted += outcome.shifted
            for violation in outcome.violations:
                rules[violation.rule] += 1
                if first + done not in examples:
                    examples[first + done] = f"{violation.rule}: {violation.what}"
                    print(f"  seed {first + done}: {examples[first + done]}", file=sys.stderr, flush=True)
            told(done + 1, count)
    return Sum(rules, examples, decisions, opened, restarts, shifted)


def measure() -> list[Figure]:
    """The one figure, with the rules broken and seeds to repeat them."""
    found = run(ORDEALS)
    shown = "; ".join(f"seed {seed}: {what}" for seed, what in list(found.examples.items())[:SHOWN])
    return [
        Figure(
            "violations",
            float(found.rules.total()),
            "violations",
            None,
            0,
            f"{ORDEALS} random events on random stations (grid and inverter priority, P1 inside, AC output, no data link; sizes, limits and"
            f" preferences varied), {found.decisions} decisions, the load left the grid {found.opened} times, {found.restarts} restarts in"
            f" mid-run, loads shifted {found.shifted} times; up to three faults each (readings silent, frozen, leaping or NaN, relays that"
            " stick or let go, dead output, overload, grid outage, clock steps, reboots), amendments, opt-outs, manual modes; judged by a"
            f" checker that shares no code with the guard; by rule: {dict(found.rules) or 'none'}{'; ' + shown if shown else ''}",
        )
    ]


def main() -> None:
    """`python -m tests.benchmarks.violations COUNT [FIRST]`: a part of it, with each seed that broke a rule."""
    found = run(int(sys.argv[1]) if len(sys.argv) > 1 else ORDEALS, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for seed, what in found.examples.items():
        print(f"seed {seed}: {what}")
    print(f"{found.decisions} decisions, {found.opened} openings, {found.restarts} restarts, {found.shifted} shifts: {dict(found.rules)}")


if __name__ == "__main__":
    main()
