"""Ten thousand random events with faults: nothing of floor, reserve, rating and dwell may ever be broken."""

import multiprocessing as mp
from collections import Counter
from functools import cache
from pathlib import Path

from services.backtest.misfortune import Outcome, draw, endure
from services.core.config.load import parse_station
from services.core.config.station import Station
from tests.benchmarks.figure import Figure
from tests.benchmarks.progress import line

ORDEALS = 10_000
SHOWN = 5


@cache
def _station() -> Station:
    return parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))


def ordeal(seed: int) -> Outcome:
    """What came of `seed`."""
    return endure(draw(_station(), seed))


def run(count: int) -> tuple[Counter[str], dict[int, str], int, int]:
    """Violations by rule, an example by seed, decisions, and how often P1 opened."""
    rules: Counter[str] = Counter()
    examples: dict[int, str] = {}
    decisions = opened = 0
    told = line("ordeals")
    with mp.Pool() as pool:
        for seed, outcome in enumerate(pool.imap(ordeal, range(count), chunksize=16)):
            decisions += outcome.decisions
            opened += outcome.opened
            for violation in outcome.violations:
                rules[violation.rule] += 1
                examples.setdefault(seed, f"{violation.rule}: {violation.what}")
            told(seed + 1, count)
    return rules, examples, decisions, opened


def measure() -> list[Figure]:
    """The one figure, with the rules broken and seeds to repeat them."""
    rules, examples, decisions, opened = run(ORDEALS)
    shown = "; ".join(f"seed {seed}: {what}" for seed, what in list(examples.items())[:SHOWN])
    return [
        Figure(
            "violations",
            float(rules.total()),
            "violations",
            None,
            0,
            f"{ORDEALS} random events on random stations, {decisions} decisions, P1 opened {opened} times; up to three faults each"
            " (readings silent, frozen, leaping or NaN, relays that stick or let go, dead output, overload, grid outage, clock steps),"
            " amendments, opt-outs, manual modes; judged by a checker that shares no code with the guard;"
            f" by rule: {dict(rules) or 'none'}{'; ' + shown if shown else ''}",
        )
    ]
