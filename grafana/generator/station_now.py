"""Station now: what it does, why, and what flows where."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.generator.frame import Panel, framed
from grafana.generator.influxql import GAPS, OVER_TIME, Query, select
from grafana.generator.look import (
    BLUE,
    GREEN,
    GREY,
    MODES,
    ON_OFF,
    ORANGE,
    PHASES,
    YELLOW,
    chart,
    fixed,
    positions,
    stat,
    table,
    timeline,
)

LATELY = "5m"
"""An older figure is not what is now."""
AT_ONCE = "2m"
"""For what ends without a word: that there is no goal is no figure, so the last one would stand on. All is told again each minute."""


def dashboard() -> Dashboard:
    """The dashboard."""
    return framed(
        "sps-now",
        "Station now",
        "What the station does at this moment, and why.",
        "now-6h",
        [("", _figures()), ("The last hours", _courses()), ("", _words())],
        refresh="30s",
    )


def _figures() -> list[Panel]:
    return [
        stat(
            "State of charge",
            "How full the battery is, as the controller reckons: the power station's own word, or an estimate from the meters where it "
            "tells nothing. Unknown if nothing was told within five minutes.",
            "percent",
            Query(select({"State of charge": 'last("soc_pct")'}, "battery_estimate")),
            over=LATELY,
            steps=((None, ORANGE), (20, YELLOW), (40, GREEN)),
            decimals=0,
            span=6,
        ),
        stat(
            "Mode",
            "Which of P1, P2 and P3 are on. Mode 2 is the safe one: the grid feeds the load, nothing charges.",
            "none",
            Query(select({"Mode": 'last("mode_commanded")'}, "controller")),
            over=LATELY,
            values=MODES,
            span=6,
        ),
        stat(
            "Phase",
            "normal: the daily cycle. event ahead: filling up for an event. event: holding its goal.",
            "none",
            Query(select({"Phase": 'last("phase")'}, "controller")),
            over=LATELY,
            values=PHASES,
            text=True,
            span=6,
        ),
        stat(
            "Goal",
            "The reduction asked of the battery now. None outside of an event, or if the goal needs no figure; "
            "after an event the last one stands for two minutes.",
            "watt",
            Query(select({"Goal": 'last("goal_w")'}, "controller")),
            over=AT_ONCE,
            decimals=0,
            none="none",
            steps=((None, GREEN),),
            span=6,
        ),
        stat(
            "Power at each position",
            "The last reading of each meter. Positive in the direction of its name.",
            "watt",
            Query(select('last("power_w")', "position", by='"position"'), alias="$tag_position"),
            over=LATELY,
            series=positions(),
            decimals=0,
            span=12,
        ),
        stat(
            "Why",
            "The controller's reason for its last decision, in its own words.",
            "none",
            Query(select({"Why": 'last("reason")'}, "controller")),
            over=LATELY,
            text=True,
            span=12,
        ),
    ]


def _courses() -> list[Panel]:
    return [
        chart(
            "Power",
            "Mean power at each position. A gap is a time for which nothing was read, not zero.",
            "watt",
            Query(select('mean("power_w")', "position", by=f'{OVER_TIME}, "position" {GAPS}'), alias="$tag_position"),
            series=positions(),
            span=24,
        ),
        chart(
            "State of charge",
            "The controller's estimate with the band in which it lies nine times in ten, and what the power station says itself.",
            "percent",
            Query(
                select(
                    {"Estimate": 'mean("soc_pct")', "Lowest": 'mean("low_pct")', "Highest": 'mean("high_pct")'},
                    "battery_estimate",
                    by=f"{OVER_TIME} {GAPS}",
                )
            ),
            Query(select({"Power station": 'mean("soc_pct")'}, "battery", by=f"{OVER_TIME} {GAPS}"), ref="B"),
            series={
                "Estimate": fixed(GREEN),
                "Lowest": fixed(GREY, more={"custom.lineWidth": 0, "custom.fillOpacity": 0}),
                "Highest": fixed(GREY, more={"custom.lineWidth": 0, "custom.fillBelowTo": "Lowest", "custom.fillOpacity": 20}),
                "Power station": fixed(BLUE, more={"custom.lineStyle": {"fill": "dash", "dash": [8, 6]}}),
            },
            low=0,
            high=100,
        ),
        timeline(
            "Mode",
            "The mode that the relays' read-backs confirm. A gap: nobody knew.",
            MODES,
            Query(select({"Mode": 'last("mode_confirmed")'}, "controller", by=f"{OVER_TIME} {GAPS}")),
            span=12,
            height=4,
        ),
        timeline(
            "Relays",
            "Each relay as it was read back.",
            ON_OFF,
            Query(select('last("on")', "relay", by=f'{OVER_TIME}, "position" {GAPS}'), alias="$tag_position"),
            series={tag: {"displayName": tag.upper()} for tag in ("p1", "p2", "p3")},
            span=12,
            height=4,
        ),
    ]


def _words() -> list[Panel]:
    return [
        table(
            "Decisions",
            "What the controller said last, newest first.",
            Query(
                select(
                    '"mode_commanded" AS "Mode", "reason" AS "Reason"',
                    "controller",
                    and_='"decided" = 1',
                    tail="ORDER BY time DESC LIMIT 30",
                ),
                table=True,
            ),
            columns={"Time": {"custom.width": 170}, "Mode": {"custom.width": 70}},
            span=14,
        ),
        table(
            "Faults",
            "What went wrong or was refused, newest first. Empty is good.",
            Query(select('"text" AS "Fault"', "fault", tail="ORDER BY time DESC LIMIT 30"), table=True),
            columns={"Time": {"custom.width": 170}},
            span=10,
        ),
    ]
