"""Health: whether services, links and relays are well, and whether everything reaches the disk."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.generator.frame import Panel, framed
from grafana.generator.influxql import GAPS, OVER_TIME, Query, select
from grafana.generator.look import (
    GOOD_BAD,
    GREEN,
    GREY,
    HOURLY,
    ORANGE,
    YELLOW,
    chart,
    fixed,
    positions,
    stat,
    table,
    timeline,
)

LATELY = "5m"
CHANGES = select({"change": 'ABS(DIFFERENCE("on"))'}, "relay", by='"position"')
SWITCHINGS = " ".join(("SELECT", 'sum("change")', "FROM", f"({CHANGES})", f'WHERE $timeFilter GROUP BY time(1d), "position" {GAPS}'))
"""What stands is told again and again; only a difference is a switching."""
RISES = select({"rise": 'NON_NEGATIVE_DIFFERENCE("timer_fired")'}, "relay", by='"position"')
FIRED = " ".join(("SELECT", 'sum("rise") AS "Fired"', "FROM", f"({RISES})", "WHERE $timeFilter"))
"""Likewise: a timer that fired stands until the relay obeys again, and fired once."""
FAULTY = {"0": ("well", GREEN), "1": ("fault", ORANGE)}
LINKED = {"0": ("no answer", ORANGE), "1": ("answers", GREEN)}


def dashboard() -> Dashboard:
    """The dashboard."""
    return framed(
        "sps-health",
        "Health",
        "Services, links, relays and the journal: is all well, and since when.",
        "now-24h",
        [("", _figures()), ("Services and links", _links()), ("Relays and meters", _relays()), ("Journal and memory", _journal())],
    )


def _figures() -> list[Panel]:
    return [
        stat(
            "Services",
            "Each service's own word: well, or in trouble (offline or degraded; the table of faults says why). Unknown after five minutes.",
            "none",
            Query(select('last("ok")', "service", by='"service"'), alias="$tag_service"),
            over=LATELY,
            values=GOOD_BAD,
            span=12,
            height=6,
        ),
        stat(
            "Power station",
            "Whether the power station answered when it was last asked.",
            "none",
            Query(select({"Power station": 'last("available")'}, "battery_link")),
            over=LATELY,
            values=LINKED,
            none="no data link",
            height=6,
        ),
        stat(
            "Journal's lag",
            "How far the newest reading on disk lies behind the clock, in real seconds. Some seconds are usual; minutes mean that nothing "
            "is read, or nothing written.",
            "s",
            Query(select({"Journal's lag": 'last("journal_lag_s")'}, "vitals")),
            over=LATELY,
            steps=((None, GREEN), (60, YELLOW), (300, ORANGE)),
            decimals=1,
            height=6,
        ),
        stat(
            "Faults",
            "How many faults were told in the chosen time.",
            "none",
            Query(select({"Faults": 'count("text")'}, "fault")),
            steps=((None, GREEN), (1, YELLOW), (20, ORANGE)),
            none="none",
            height=6,
        ),
    ]


def _links() -> list[Panel]:
    return [
        timeline(
            "Services",
            "well, or in trouble (offline, or degraded). A gap: the recorder heard nothing.",
            GOOD_BAD,
            Query(select('min("ok")', "service", by=f'{OVER_TIME}, "service" {GAPS}'), alias="$tag_service"),
        ),
        table(
            "Faults",
            "What went wrong or was refused, newest first. Empty is good.",
            Query(select('"text" AS "Fault"', "fault", tail="ORDER BY time DESC LIMIT 100"), table=True),
            columns={"Time": {"custom.width": 170}},
        ),
        timeline(
            "Link to the power station",
            "Whether it answered when asked.",
            LINKED,
            Query(select({"Power station": 'min("available")'}, "battery_link", by=f"{OVER_TIME} {GAPS}")),
            height=5,
        ),
        chart(
            "Signal of the power station",
            "How strongly its radio is heard. Below -85 dBm the link breaks often; move the box or the antenna.",
            "dBm",
            Query(select({"Signal": 'mean("rssi_dbm")'}, "battery_link", by=f"{OVER_TIME} {GAPS}")),
            series={"Signal": fixed(GREY)},
            height=5,
        ),
    ]


def _relays() -> list[Panel]:
    return [
        timeline(
            "Relay faults",
            "Not answering, a welded contact, or a dead-man timer that fired: the table of faults says which.",
            FAULTY,
            Query(select('max("faulty")', "relay", by=f'{OVER_TIME}, "position" {GAPS}'), alias="$tag_position"),
            series={tag: {"displayName": tag.upper()} for tag in ("p1", "p2", "p3")},
            height=6,
        ),
        chart(
            "Switchings a day",
            "How often each relay changed (days of UTC). A gap: nothing was told. Contacts wear; limits.switchings_per_day caps it.",
            "none",
            Query(SWITCHINGS, alias="$tag_position"),
            series=positions(),
            bars=True,
            interval=HOURLY,
            low=0,
            decimals=0,
            height=6,
        ).time_from("14d"),
        chart(
            "Readings by the step",
            "How many readings of each meter reached the journal. A gap or a drop is a meter that went silent.",
            "none",
            Query(select('count("power_w")', "position", by=f'{OVER_TIME}, "position" {GAPS}'), alias="$tag_position"),
            series=positions(),
            interval="10m",
            low=0,
            height=6,
        ),
        stat(
            "Dead-man timers",
            "How often a relay's own timer switched it: each is a time in which nobody renewed the wish.",
            "none",
            Query(FIRED),
            steps=((None, GREEN), (1, ORANGE)),
            span=12,
            height=6,
        ),
    ]


def _journal() -> list[Panel]:
    return [
        chart(
            "Journal's lag",
            "How far the newest reading on disk lay behind the clock, in real seconds.",
            "s",
            Query(select({"Lag": 'max("journal_lag_s")'}, "vitals", by=f"{OVER_TIME} {GAPS}")),
            series={"Lag": fixed(GREY)},
            low=0,
            steps=((None, GREEN), (300, ORANGE)),
        ),
        chart(
            "Memory",
            "Memory in RAM of each service's process. Services that share one process (`make run`) each show the whole of it.",
            "decmbytes",
            Query(select('mean("memory_mb")', "vitals", by=f'{OVER_TIME}, "service" {GAPS}'), alias="$tag_service"),
            low=0,
        ),
    ]
