"""Energy and battery: where it went, hour by hour and over months, and how the battery fares."""

from typing import Any

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.generator.frame import Panel, framed
from grafana.generator.influxql import GAPS, OVER_TIME, Query, select
from grafana.generator.look import BLUE, GREEN, GREY, HOURLY, ORANGE, PINK, POSITIONS, SKY, YELLOW, chart, fixed, stat

DAYLONG = "1d"
WEEKLY = "time(7d)"


def dashboard() -> Dashboard:
    """The dashboard."""
    return framed(
        "sps-energy",
        "Energy and battery",
        "Energy by position from whole hours, kept for years; the battery's charge, efficiency and cycles.",
        "now-14d",
        [("The chosen time", _totals()), ("Energy", _energy()), ("Battery", _battery())],
        refresh="5m",
    )


def _totals() -> list[Panel]:
    def total(title: str, description: str, unit: str, what: str, colour: str, **more: Any) -> Panel:
        query = Query(select({title: what}, "energy"))
        return stat(title, description, unit, query, steps=((None, colour),), decimals=1, span=3, **more)

    return [
        total("From the grid", "P1 + P2, as far as both are known.", "watth", 'sum("import_wh")', BLUE),
        total("Load", "P1 + P3, as far as both are known.", "watth", 'sum("load_wh")', GREY),
        total("From the battery", "P3: what the battery gave to the load.", "watth", 'sum("p3_wh")', GREEN),
        total(
            "From the sun",
            "P4: what the panel gave to the battery. What a full battery turned away is not in it.",
            "watth",
            'sum("p4_wh")',
            YELLOW,
        ),
        total(
            "Avoided",
            "P3 less P2: what the grid had not to give to the load, less what it gave to the battery.",
            "watth",
            'sum("avoided_wh")',
            GREEN,
        ),
        total(
            "Efficiency",
            "Out of the battery over into it (P3 over P2 + P4), of the hours in which both are known. A short time rests on what was "
            "stored before: choose a week or more.",
            "percentunit",
            'sum("given_wh") / sum("taken_wh")',
            PINK,
        ),
        total("Cycles", "Full cycles of the battery's capacity that P3 amounts to.", "none", 'sum("cycles")', ORANGE),
        total(
            "Known",
            "Share of the time for which P1, P2 and P3 were all read: what the figures beside rest on.",
            "percentunit",
            'mean("covered")',
            SKY,
        ),
    ]


def _energy() -> list[Panel]:
    flows = {name: f'sum("{tag}_wh")' for tag, (name, _) in POSITIONS.items()}
    by = f"{OVER_TIME} {GAPS}"
    colours = {name: fixed(colour) for name, colour in POSITIONS.values()}

    def of(*tags: str) -> dict[str, dict[str, Any]]:
        return {POSITIONS[tag][0]: colours[POSITIONS[tag][0]] for tag in tags}

    return [
        chart(
            "Energy by position",
            "Energy of each step; an hour at least. Only what was measured counts: see 'Known'.",
            "watth",
            Query(select(flows, "energy", by=by)),
            series=colours,
            bars=True,
            interval=HOURLY,
            span=24,
        ),
        chart(
            "Load: from the grid and from the battery",
            "The load's energy by where it came from.",
            "watth",
            Query(select({name: flows[name] for name in (POSITIONS["p1"][0], POSITIONS["p3"][0])}, "energy", by=by)),
            series=of("p1", "p3"),
            bars=True,
            stacked=True,
            interval=HOURLY,
        ),
        chart(
            "Battery: from the grid and from the sun",
            "What went into the battery, by where it came from.",
            "watth",
            Query(select({name: flows[name] for name in (POSITIONS["p2"][0], POSITIONS["p4"][0])}, "energy", by=by)),
            series=of("p2", "p4"),
            bars=True,
            stacked=True,
            interval=HOURLY,
        ),
        chart(
            "Known",
            "Share of each step for which P1, P2 and P3 were all read. Below 1 the energy of that step is told too low.",
            "percentunit",
            Query(select({"Known": 'mean("covered")'}, "energy", by=by)),
            series={"Known": fixed(SKY)},
            interval=HOURLY,
            low=0,
            high=1,
            height=6,
        ),
        chart(
            "Voltage",
            "Mains voltage as the meters at P1 and P2 see it.",
            "volt",
            Query(select('mean("voltage_v")', "position", by=f'{OVER_TIME}, "position" {GAPS}'), alias="$tag_position"),
            series={tag: fixed(colour, name) for tag, (name, colour) in POSITIONS.items()},
            height=6,
        ),
    ]


def _battery() -> list[Panel]:
    return [
        chart(
            "State of charge",
            "Hourly mean: the power station's own word, and the controller's estimate.",
            "percent",
            Query(select({"Power station": 'mean("soc_pct")', "Estimate": 'mean("estimate_pct")'}, "energy", by=f"{OVER_TIME} {GAPS}")),
            series={"Power station": fixed(BLUE), "Estimate": fixed(GREEN)},
            interval=HOURLY,
            low=0,
            high=100,
        ),
        chart(
            "Inside the power station",
            "What the power station itself says of its ports.",
            "watt",
            Query(
                select(
                    {"AC in": 'mean("ac_in_w")', "AC out": 'mean("ac_out_w")', "DC in": 'mean("dc_in_w")', "DC out": 'mean("dc_out_w")'},
                    "battery",
                    by=f"{OVER_TIME} {GAPS}",
                )
            ),
            series={"AC in": fixed(SKY), "AC out": fixed(GREEN), "DC in": fixed(YELLOW), "DC out": fixed(PINK)},
        ),
        chart(
            "Efficiency by the week",
            "Out of the battery over into it, by the week (of UTC, from Thursdays). What is stored more or less is small over a week.",
            "percentunit",
            Query(select({"Efficiency": 'sum("given_wh") / sum("taken_wh")'}, "energy", by=f"{WEEKLY} {GAPS}")),
            series={"Efficiency": fixed(PINK)},
            bars=True,
            interval=HOURLY,
            low=0,
            decimals=2,
        ),
        chart(
            "Cycles by the day",
            "Full cycles that each day's P3 amounts to (days of UTC).",
            "none",
            Query(select({"Cycles": 'sum("cycles")'}, "energy", by=f"time({DAYLONG}) {GAPS}")),
            series={"Cycles": fixed(ORANGE)},
            bars=True,
            interval=HOURLY,
            low=0,
            decimals=2,
        ),
    ]
