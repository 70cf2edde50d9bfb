"""Events and settlement: what was asked, what it would have been, what it came to, and what that is worth."""

from typing import Any

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.generator.frame import Panel, framed
from grafana.generator.influxql import GAPS, OVER_TIME, Query, select
from grafana.generator.look import (
    BLUE,
    GREEN,
    GREY,
    HOURLY,
    ORANGE,
    PINK,
    POSITIONS,
    SKY,
    YELLOW,
    chart,
    fixed,
    stat,
    table,
)

SEASON = "1y"
NOTIONAL = "Notional: a plug is not the utility's meter, and the programme's own figures decide."
DASHED = {"custom.drawStyle": "line", "custom.lineStyle": {"fill": "dash", "dash": [8, 6]}, "custom.fillOpacity": 0, "custom.lineWidth": 2}
MET = {"mappings": [{"type": "value", "options": {"0": {"text": "no", "color": ORANGE}, "1": {"text": "yes", "color": GREEN}}}]}


def dashboard() -> Dashboard:
    """The dashboard."""
    return framed(
        "sps-events",
        "Events and settlement",
        "Goal, baseline and what was achieved, hour by hour; seasons and money, all notional.",
        "now-30d",
        [("Events in the chosen time", _totals()), ("Hour by hour", _hours()), ("", _tables()), ("Season", _season())],
        refresh="5m",
    )


def _totals() -> list[Panel]:
    def total(title: str, description: str, unit: str, what: str, **more: Any) -> Panel:
        return stat(title, description, unit, Query(select({title: what}, "event_total")), reduce="lastNotNull", **more)

    return [
        total("Events", "Events that are settled.", "none", 'count("covered")'),
        total(
            "Reduced",
            "Baseline less import, by the programme's own rule, added up. Events without a baseline are not in it.",
            "watth",
            'sum("reduction_wh")',
            decimals=1,
            steps=((None, GREEN),),
        ),
        total(
            "Measured avoided",
            "What the battery gave to the load less what the grid gave to the battery: a measurement, no estimate.",
            "watth",
            'sum("avoided_wh")',
            decimals=1,
            steps=((None, GREEN),),
        ),
        total(
            "Pledges kept",
            "Share of the events with a pledge in which the reduction came up to it.",
            "percentunit",
            'mean("met")',
            decimals=0,
            steps=((None, ORANGE), (0.8, YELLOW), (1, GREEN)),
            none="no pledge",
        ),
        total(
            "Paid for energy (notional)",
            f"Performance payments in the programme's currency. {NOTIONAL}",
            "none",
            'sum("payment")',
            decimals=2,
        ),
        total(
            "Covered",
            "Share of the events' time for which readings exist: what the figures beside rest on.",
            "percentunit",
            'mean("covered")',
            decimals=0,
            steps=((None, ORANGE), (0.95, GREEN)),
        ),
    ]


def _hours() -> list[Panel]:
    return [
        chart(
            "Baseline and import",
            "Energy of each settlement interval: what the grid would have given without the event (the baseline), and what it gave.",
            "watth",
            Query(select('"baseline_wh" AS "Baseline", "import_wh" AS "Import"', "event_interval")),
            bars=True,
            interval=HOURLY,
            series={"Baseline": fixed(PINK), "Import": fixed(BLUE)},
            low=0,
        ),
        chart(
            "Goal and achieved",
            "Each interval's reduction against the programme's baseline, the measured avoided energy beside it, and the pledge as a line.",
            "watth",
            Query(select('"reduction_wh" AS "Reduction", "avoided_wh" AS "Measured avoided", "goal_wh" AS "Goal"', "event_interval")),
            bars=True,
            interval=HOURLY,
            series={"Reduction": fixed(GREEN), "Measured avoided": fixed(SKY), "Goal": fixed(ORANGE, more=DASHED)},
        ),
        chart(
            "The load's estimate",
            "The low-bias estimate of the load, with the band in which it lies nine times in ten. Empty without enough days.",
            "watth",
            Query(
                select(
                    '"load_estimate_wh" AS "Estimate", "load_low_wh" AS "Lowest", "load_high_wh" AS "Highest", "baseline_wh" AS "Baseline"',
                    "event_interval",
                )
            ),
            interval=HOURLY,
            series={
                "Estimate": fixed(GREY),
                "Lowest": fixed(GREY, more=DASHED),
                "Highest": fixed(GREY, more=DASHED),
                "Baseline": fixed(PINK),
            },
        ),
        chart(
            "The battery against the goal",
            "Power from the battery to the load, and the reduction that the controller aims at. No goal outside of events.",
            "watt",
            Query(select({POSITIONS["p3"][0]: 'mean("power_w")'}, "position", by=f"{OVER_TIME} {GAPS}", and_="\"position\" = 'p3'")),
            Query(select({"Goal": 'mean("goal_w")'}, "controller", by=f"{OVER_TIME} {GAPS}"), ref="B"),
            series={POSITIONS["p3"][0]: fixed(GREEN), "Goal": fixed(ORANGE, more=DASHED)},
        ),
    ]


def _tables() -> list[Panel]:
    wh, money = {"unit": "watth", "decimals": 1}, {"unit": "none", "decimals": 2}
    names = {
        "event_id": "Event", "reduction_wh": "Reduced", "avoided_wh": "Measured avoided", "estimate_reduction_wh": "Estimate",
        "pledge_w": "Pledge", "met": "Kept", "performance_factor": "Factor", "payment": "Paid (notional)", "covered": "Covered",
    }  # fmt: skip
    what = ", ".join(f'"{field}" AS "{name}"' for field, name in names.items())
    return [
        table(
            "Settled events",
            f"Final figures of each event. {NOTIONAL} 'Estimate' is the reduction against the low-bias estimate of the load.",
            Query(select(what, "event_total", tail="ORDER BY time DESC LIMIT 100"), table=True),
            columns={
                "Reduced": wh,
                "Measured avoided": wh,
                "Estimate": wh,
                "Pledge": {"unit": "watt"},
                "Kept": {**MET, "custom.cellOptions": {"type": "color-text"}},
                "Factor": money,
                "Paid (notional)": money,
                "Covered": {"unit": "percentunit", "decimals": 0},
            },
            span=14,
        ),
        table(
            "What happened to events",
            "Each change of an event's status, newest first.",
            Query(
                select('"event_id" AS "Event", "status" AS "Status", "reason" AS "Why"', "event", tail="ORDER BY time DESC LIMIT 100"),
                table=True,
            ),
            span=10,
        ),
    ]


def _season() -> list[Panel]:
    def figure(title: str, description: str, what: str, **more: Any) -> Panel:
        return stat(
            title,
            f"{description} {NOTIONAL}",
            "none",
            Query(select({title: what}, "season_month")),
            over=SEASON,
            decimals=2,
            span=6,
            **more,
        )

    return [
        figure("Reservation (notional)", "For being ready, by month and pledge, over the last twelve months.", 'sum("reservation")'),
        figure("Performance (notional)", "For energy reduced in events, over the last twelve months.", 'sum("performance")'),
        figure("Paid together (notional)", "Both payments, over the last twelve months.", 'sum("paid")', steps=((None, GREEN),)),
        figure(
            "Wear in events (notional)",
            "What the events' cycles cost of the battery's price, over the last twelve months. Unknown without 'battery.price'.",
            'sum("wear")',
            steps=((None, ORANGE),),
        ),
        chart(
            "Month by month (notional)",
            f"Payments and wear of each month of the season, in the programme's currency. {NOTIONAL}",
            "none",
            Query(select('"reservation" AS "Reservation", "performance" AS "Performance", "wear" AS "Wear"', "season_month")),
            bars=True,
            interval=HOURLY,
            series={"Reservation": fixed(BLUE), "Performance": fixed(GREEN), "Wear": fixed(ORANGE)},
            decimals=2,
        ).time_from(SEASON),
        table(
            "Months",
            f"What each month of the season came to. {NOTIONAL}",
            Query(
                select(
                    '"season" AS "Season from", "events" AS "Events", "reduction_wh" AS "Reduced", "factor" AS "Factor", '
                    '"paid" AS "Paid", "wear" AS "Wear", "currency" AS "Currency"',
                    "season_month",
                    tail="ORDER BY time DESC",
                ),
                table=True,
            ),
            columns={
                "Reduced": {"unit": "watth", "decimals": 1},
                "Paid": {"decimals": 2},
                "Wear": {"decimals": 2},
                "Factor": {"decimals": 2},
            },
        ).time_from(SEASON),
    ]
