"""Every query of every dashboard and alert, against a real InfluxQL server with a simulated fortnight in it.

InfluxDB 1 answers them; InfluxDB 2, which the containers run, and Grafana cannot be had here.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from grafana.generator.write import FOLDER
from services.core.energy import Quantity
from services.core.positions import Position
from services.recorder.journal import to_ms
from tests.support.fed import fed
from tests.support.fortnight import GAP_S
from tests.support.grafana_asks import dashboards, filled, marks, panels
from tests.support.influx import LONG, RAW, Series

MAY_LACK = {"Lowest", "Highest"}
"""The band of the load's estimate needs more days alike than a fortnight has."""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with fed(tmp_path_factory.mktemp("fed")) as running:
        yield running


def known(series: Series) -> Counter[str]:
    """How many values each column has, all series together, but for the time."""
    found: Counter[str] = Counter()
    for one in series:
        for name, values in zip(one["columns"], zip(*one["values"], strict=True), strict=True):
            if name != "time":
                found[name] += sum(value is not None for value in values)
    return found


def test_the_feed_left_nothing_out(house) -> None:
    assert house.told == []
    ((_, readings, *_),) = house.server.ask('SELECT count("power_w") FROM "position" WHERE "position" = \'p1\'')[0]["values"]
    assert readings == 14 * 1440 - 180
    hours = house.server.ask('SELECT count("covered") FROM "long"."energy"')[0]["values"][0][1]
    assert hours >= 14 * 24 - 4


def test_every_panel_has_data(house) -> None:
    empty = []
    for asked in panels(house.end):
        found = known(house.server.ask(asked.query))
        lacking = [name for name, count in found.items() if not count and name not in MAY_LACK]
        if not found or lacking:
            empty.append(f"{asked.where}: {lacking or 'nothing'}: {asked.query}")
    assert not empty, "\n".join(empty)


def test_series_are_named_as_their_colours_ask_for(house) -> None:
    """An override of a name that no series has would be lost in silence."""
    named: dict[str, set[str]] = {}
    for asked in panels(house.end):
        alias = asked.of.get("alias", "$col")
        for one in house.server.ask(asked.query):
            names = [name for name in one["columns"] if name != "time"]
            tag = alias.removeprefix("$tag_")
            named.setdefault(asked.where.rpartition(" / ")[0], set()).update(names if alias == "$col" else {one["tags"][tag]})
    for board in dashboards():
        for panel in board["panels"]:
            wanted = {override["matcher"]["options"] for override in panel.get("fieldConfig", {}).get("overrides", [])}
            have = named.get(f"{board['uid']} / {panel['title']}", set()) | {"Time"}
            # The simulated station has no relay at P3, and no voltage is measured at P3 and P4.
            assert wanted - have <= {"p3", "p4"}, panel["title"]


def test_every_mark_has_a_text_and_events_have_an_end(house) -> None:
    for asked in marks(house.end):
        (series,) = house.server.ask(asked.query)
        rows = [dict(zip(series["columns"], values, strict=True)) for values in series["values"]]
        assert rows
        assert all(row[asked.of["textColumn"]] for row in rows)
        if end := asked.of["timeEndColumn"]:
            assert {row["text"].split(":")[0] for row in rows} == {"event first", "event second", "event third", "event running"}
            assert all(row[end] - row["time"] == 2 * 3600 * 1000 for row in rows)


def test_the_variable_finds_the_station(house) -> None:
    for board in dashboards():
        (variable,) = board["templating"]["list"]
        (series,) = house.server.ask(variable["query"])
        assert series["values"] == [["station", "demo"]]


def test_a_gap_stays_a_gap(house) -> None:
    (asked,) = [one for one in panels(house.end) if one.where == "sps-now / Power / A"]
    middle = house.end - timedelta(days=10) + timedelta(minutes=90)
    begin, end = middle - timedelta(hours=3), middle + timedelta(hours=3)
    raw = filled(asked.of["query"], begin, end, 600)
    (p1,) = [one for one in house.server.ask(raw) if one["tags"]["position"] == "p1"]
    inside = [w for ts, w in p1["values"] if to_ms(middle) - 80 * 60_000 < ts < to_ms(middle) + 70 * 60_000]
    assert inside
    assert set(inside) == {None}
    assert sum(w is not None for _, w in p1["values"]) >= 15


def test_the_energy_is_what_the_journal_says(house) -> None:
    last = house.end.replace(minute=0) - timedelta(hours=1)
    first = last - timedelta(days=10)
    where = f"time >= {to_ms(first)}ms and time < {to_ms(last)}ms"
    names = {"import_wh": Quantity.IMPORT, "load_wh": Quantity.LOAD, "p3_wh": Position.P3, "p4_wh": Position.P4}
    asked = ", ".join(f'sum("{name}") AS "{name}"' for name in names)
    (series,) = house.server.ask(f'SELECT {asked} FROM "long"."energy" WHERE {where}')
    told = dict(zip(series["columns"], series["values"][0], strict=True))
    (journal,) = house.history.energies([(first, last)], GAP_S)
    assert {name: told[name] for name in names} == pytest.approx(
        {name: journal.flows[flow].energy_wh for name, flow in names.items()}, rel=1e-4
    )


def test_a_switching_is_counted_once_however_often_its_state_is_told(house) -> None:
    (asked,) = [one for one in panels(house.end) if one.where == "sps-health / Switchings a day / A"]
    counted = sum(value for one in house.server.ask(asked.query) for _, value in one["values"] if one["tags"]["position"] == "p1")
    rows = house.history.states("relay/p1/state", house.end - timedelta(days=14), house.end, 100_000)
    assert counted == len(rows) - 1
    assert counted > 6


def test_a_day_of_which_nothing_is_known_has_no_count_of_switchings(house) -> None:
    (asked,) = [one for one in panels(house.end) if one.where == "sps-health / Switchings a day / A"]
    series = house.server.ask(filled(asked.of["query"], house.end - timedelta(days=20), house.end, 3600))
    for one in series:
        before = {count for ts_ms, count in one["values"] if ts_ms < to_ms(house.end - timedelta(days=16))}
        assert before == {None}


def test_a_timer_fired_once_however_often_its_state_is_told(house) -> None:
    (asked,) = [one for one in panels(house.end) if one.where == "sps-health / Dead-man timers / A"]
    told = house.history.states("relay/p2/state", house.end - timedelta(days=14), house.end, 100_000)
    (row,) = [one for one in told if one.payload["timer_fired"]]
    for minutes in range(1, 6):
        again = f"relay,station=demo,position=p2 timer_fired=1 {row.ts_ms + minutes * 60_000}"
        house.server.write(again.encode(), RAW).raise_for_status()
    (series,) = house.server.ask(filled(asked.of["query"], house.end - timedelta(days=14), house.end, 3600))
    assert series["values"][0][1] == 1


def test_a_decision_stands_in_its_table_once_however_often_its_state_is_told(house) -> None:
    (asked,) = [one for one in panels(house.end) if one.where == "sps-now / Decisions / A"]
    (series,) = house.server.ask(asked.query)
    rows = house.history.states("controller/state", asked.begin, house.end + timedelta(seconds=1), 100_000)
    assert [ts_ms for ts_ms, *_ in series["values"]] == [row.ts_ms for row in reversed(rows)][:30]
    assert len(series["values"]) > 1


def test_a_goal_is_no_longer_shown_two_minutes_after_its_event(house) -> None:
    (asked,) = [one for one in panels(house.end) if one.where == "sps-now / Goal / A"]
    for minutes, fields in ((3, "goal_w=150"), (2.5, "mode_commanded=2"), (1, "mode_commanded=2")):
        point = f"controller,station=over {fields} {to_ms(house.end - timedelta(minutes=minutes))}"
        house.server.write(point.encode(), RAW).raise_for_status()
    assert house.server.ask(asked.query), "the event of the other station still runs"
    assert house.server.ask(asked.query.replace("'demo'", "'over'")) == []


def rules() -> list[dict[str, Any]]:
    body = yaml.safe_load((FOLDER / "provisioning" / "alerting" / "rules.yaml").read_text(encoding="utf-8"))
    return [rule for group in body["groups"] for rule in group["rules"]]


def fires(house, rule: dict[str, Any]) -> dict[str, bool]:
    """Whether the rule fires, by the tags of its series: query, last value, threshold, as the rule's three steps say."""
    query, reduce, threshold = (step["model"] for step in rule["data"])
    assert reduce["reducer"] == "last"
    ((kind, limit),) = [(one["evaluator"]["type"], one["evaluator"]["params"][0]) for one in threshold["conditions"]]
    found = {}
    for one in house.server.ask(query["query"]):
        last = one["values"][-1][1]
        found[" ".join(one.get("tags", {}).values())] = last < limit if kind == "lt" else last > limit
    return found


def test_alert_rules_have_data_and_only_the_event_that_fell_short_fires(house) -> None:
    third = house.history.last_state("event/third/performance")
    short = third["reduction_wh"] < third["pledge_w"] * 2
    for rule in rules():
        found = fires(house, rule)
        assert found, rule["title"]
        assert any(found.values()) == (rule["uid"] == "sps-alert-event" and short), (rule["title"], found)


BAD = {
    "sps-alert-power-station": (RAW, "battery_link,station=other available=0", "other", 0),
    "sps-alert-relay": (RAW, "relay,station=other,position=p1 faulty=1", "p1 other", 0),
    "sps-alert-position": (RAW, "position,station=other,position=p1 power_w=12", "p1 other", 25),
    "sps-alert-service": (RAW, "service,station=other,service=recorder online=1,ok=0", "recorder other", 0),
    "sps-alert-reserve": (RAW, "controller,station=other at_lowest=1", "other", 0),
    "sps-alert-event": (LONG, "event_total,station=other,event_id=e9 met=0", "e9 other", 0),
}
"""Of each rule a point that makes it fire, the tags under which it does, and how many minutes ago."""


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["uid"])
def test_an_alert_rule_fires_when_it_should(house, rule) -> None:
    if rule["uid"] not in BAD:
        query = rule["data"][0]["model"]["query"].replace("- 10m", "+ 10m")
        assert house.server.ask(query) == [], "no readings, no series"
        assert rule["noDataState"] == "Alerting"
        return
    policy, line, tags, ago_min = BAD[rule["uid"]]
    house.server.write(f"{line} {to_ms(house.end - timedelta(minutes=ago_min))}".encode(), policy).raise_for_status()
    assert fires(house, rule)[tags]


def test_a_meter_is_lost_by_itself_though_the_others_are_read_and_found_again_with_its_next_reading(house) -> None:
    (rule,) = [one for one in rules() if one["uid"] == "sps-alert-position"]

    def read(position: str, ago: timedelta) -> None:
        at_ms = to_ms(datetime.now(UTC) - ago)
        house.server.write(f"position,station=lone,position={position} power_w=12 {at_ms}".encode(), RAW).raise_for_status()

    for minutes in (12, 14, 70):
        read("p1", timedelta(minutes=minutes))
    read("p2", timedelta(minutes=9))
    found = fires(house, rule)
    assert found["p1 lone"]
    assert not found["p2 lone"]
    read("p1", timedelta(seconds=5))
    assert not fires(house, rule)["p1 lone"]
