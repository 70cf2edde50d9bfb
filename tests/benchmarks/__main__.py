"""`make bench`: measures what was promised, prints a table, and keeps the figures in bench/latest.json."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.benchmarks.figure import Figure

LATEST = Path("bench/latest.json")
BENCHMARKS = {
    "baseline_bias": "baselines",
    "baseline_mae": "baselines",
    "ble_absent_cpu": "ble",
    "ble_duty": "ble",
    "broker_acknowledges": "broker_saves",
    "broker_saves": "broker_saves",
    "reaction": "reaction",
    "interval_coverage": "baselines",
    "relay_confirm_kasa": "relays_more",
    "relay_confirm_shelly_ble": "relays_more",
    "relay_confirm_shelly_gen1": "relays",
    "relay_confirm_shelly_gen2": "relays",
    "wall_switch": "relays",
    "wall_switch_polled": "relays",
    "page_fanout_cpu": "page",
    "page_first_value": "page",
    "footprint_memory": "footprint",
    "footprint_cpu": "footprint",
    "simulation_speed": "simulation_speed",
    "soc_observer_coverage": "observer",
    "soc_observer_error": "observer",
    "worst_hour_median": "control",
    "worst_hour_p10": "control",
    "avoided_energy": "control",
    "tracking_hour": "tracking",
    "tracking_quarter": "tracking",
    "backtest_speed": "backtest_speed",
    "backtest_growth": "backtest_speed",
    "violations": "violations",
    "bytes_per_sample": "storage",
    "dirtied_per_day": "storage",
    "upkeep_stall": "storage",
    "ingest": "storage",
    "baseline_query": "queries",
    "baseline_growth": "queries",
    "day_query": "queries",
    "years_query": "queries",
    "influx_catch_up": "influx",
    "fleet_fanout": "fleet",
    "fleet_growth": "fleet",
    "fleet_ingest": "fleet",
    "event_hop": "event_hop",
    "upload": "upload",
}
"""Each figure's name, and the module here whose `measure()` returns it (perhaps among others)."""
IN_CONTAINERS = {"compose_cpu": "containers", "compose_first_decision": "containers", "compose_memory": "containers"}
"""Those that need an engine: `make bench-compose`."""


def measure(names: Sequence[str]) -> list[Figure]:
    """The figures `names`; what one run measures together is run once."""
    found = []
    for module in dict.fromkeys((BENCHMARKS | IN_CONTAINERS)[name] for name in names):
        print(f"measuring {module} …", file=sys.stderr, flush=True)
        run: Callable[[], list[Figure]] = import_module(f"tests.benchmarks.{module}").measure
        found += run()
    return [figure for figure in found if figure.name in names]


def keep(rows: list[dict[str, Any]]) -> None:
    """Put `rows` in the file in place of those of the same name."""
    kept = {row["name"]: row for row in json.loads(LATEST.read_text(encoding="utf-8"))} if LATEST.exists() else {}
    kept |= {row["name"]: row for row in rows}
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps(list(kept.values()), indent=2) + "\n", encoding="utf-8")


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """The rows for a person, each with its conditions below the table."""
    shown = Table(box=SIMPLE_HEAD)
    for column in ("name", "value", "reference", "ratio", "goal", "met"):
        shown.add_column(column, no_wrap=True)
    for row in rows:
        figures = ("" if row[column] is None else str(row[column]) for column in ("reference", "ratio", "goal"))
        shown.add_row(row["name"], f"{row['value']} {row['unit']}", *figures, "[green]yes" if row["met"] else "[red]no")
    console.print(shown)
    for row in rows:
        console.print(f"[bold]{row['name']}[/bold]: {row['conditions']}", highlight=False)


def main() -> int:
    """Exit 0 when measured, whether or not the goals are met."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--only", default="", metavar="NAMES", help=f"comma-separated: {', '.join(BENCHMARKS)}")
    names = [name for name in parser.parse_args().only.split(",") if name] or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS | IN_CONTAINERS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS | IN_CONTAINERS)}")
    rows = [figure.row() for figure in measure(names)]
    keep(rows)
    show(rows, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
