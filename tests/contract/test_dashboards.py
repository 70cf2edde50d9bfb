"""What Grafana is given is what the generator writes, fits together, and explains itself. Grafana itself is not started."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models.alerting import Rule
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.generator.influxql import DATA_SOURCE
from grafana.generator.write import FOLDER, texts

TEXTS = texts()
NAMES = sorted(name for name in TEXTS if name.startswith("dashboards/"))


def loaded(name: str) -> Any:
    text = (FOLDER / name).read_text(encoding="utf-8")
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in loaded(name)["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_the_files_are_what_the_generator_writes(name) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == TEXTS[name], "run: make dashboards"


def test_nothing_else_lies_there() -> None:
    found = {str(path.relative_to(FOLDER)) for part in ("dashboards", "provisioning") for path in (FOLDER / part).rglob("*.*")}
    assert found == set(TEXTS)


def test_each_dashboard_has_a_uid_of_its_own_and_its_panels_have_ids() -> None:
    uids = [loaded(name)["uid"] for name in NAMES]
    assert sorted(uids) == ["sps-energy", "sps-events", "sps-health", "sps-now"]
    for name in NAMES:
        ids = [panel["id"] for panel in loaded(name)["panels"]]
        assert len(set(ids)) == len(ids)
        assert 0 not in ids


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_shows_and_in_what_unit(name) -> None:
    for panel in panels(name):
        assert panel["title"], panel
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
        assert panel["targets"], panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_the_dashboard_is_read_back_by_the_sdk_and_is_in_the_browsers_time_zone(name) -> None:
    body = loaded(name)
    Dashboard.from_json(body)
    assert body["timezone"] == "browser"
    assert {one["name"] for one in body["annotations"]["list"]} == {"Events", "Faults"}
    assert [one["name"] for one in body["templating"]["list"]] == ["station"]


@pytest.mark.parametrize("name", NAMES)
def test_panels_do_not_overlap_and_lie_on_the_grid(name) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in loaded(name)["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", NAMES)
def test_unknown_is_a_gap(name) -> None:
    for panel in panels(name):
        if panel["type"] == "timeseries":
            assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
        for target in panel["targets"]:
            assert "fill(previous)" not in target["query"]
            assert "fill(linear)" not in target["query"]
            assert "$__interval" not in target["query"] or "fill(null)" in target["query"]
    lately = [panel for panel in panels(name) if panel.get("timeFrom") == "5m"]
    assert bool(lately) == (name in ("dashboards/station-now.json", "dashboards/health.json")), "what is now must not be old"


def test_a_position_has_one_colour_everywhere() -> None:
    colours: dict[str, set[str]] = {}
    for name in NAMES:
        for panel in panels(name):
            for override in panel["fieldConfig"].get("overrides", []):
                given = {one["id"]: one["value"] for one in override["properties"]}
                tag = re.search(r"\b[pP][1-4]\b", given.get("displayName", "") + " " + override["matcher"]["options"])
                if tag and "color" in given:
                    colours.setdefault(tag.group().lower(), set()).add(given["color"]["fixedColor"])
    assert sorted(colours) == ["p1", "p2", "p3", "p4"]
    assert all(len(found) == 1 for found in colours.values())
    assert len(set().union(*colours.values())) == 4


def test_whatever_tells_of_money_says_that_it_is_notional() -> None:
    for panel in panels("dashboards/events.json"):
        asked = " ".join(target["query"] for target in panel["targets"])
        if re.search(r'"(payment|paid|reservation|performance|wear)"', asked):
            assert "notional" in (panel["title"] + panel["description"]).lower(), panel["title"]


def test_every_query_asks_the_one_provisioned_data_source() -> None:
    (source,) = loaded("provisioning/datasources/station.yaml")["datasources"]
    assert source["uid"] == DATA_SOURCE
    assert source["type"] == "influxdb"
    for name in NAMES:
        body = loaded(name)
        asked = [target["datasource"] for panel in panels(name) for target in panel["targets"]]
        asked += [one["datasource"] for one in (*body["annotations"]["list"], *body["templating"]["list"])]
        assert {(one["type"], one["uid"]) for one in asked} == {("influxdb", DATA_SOURCE)}


def test_the_data_source_speaks_influxql_with_a_token_from_a_file() -> None:
    body = loaded("provisioning/datasources/station.yaml")
    assert body["apiVersion"] == 1
    (source,) = body["datasources"]
    # The fields that Grafana's provisioning of data sources and its InfluxDB plugin know.
    assert set(source) == {"name", "uid", "orgId", "type", "access", "url", "isDefault", "editable", "jsonData", "secureJsonData"}
    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["jsonData"]["dbName"] == "sps"
    assert source["jsonData"]["httpHeaderName1"] == "Authorization"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token $__file{/run/secrets/grafana.token}"}


def test_the_provider_reads_the_folder_of_dashboards_and_nobody_edits_them_in_the_browser() -> None:
    (provider,) = loaded("provisioning/dashboards/station.yaml")["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    assert provider["allowUiUpdates"] is False


def test_alert_rules_have_what_grafana_asks_of_them() -> None:
    (group,) = loaded("provisioning/alerting/rules.yaml")["groups"]
    assert set(group) == {"orgId", "name", "folder", "interval", "rules"}
    uids = [rule["uid"] for rule in group["rules"]]
    assert len(set(uids)) == len(uids) >= 3
    known = {one["uid"]: {panel["id"] for panel in one["panels"]} for one in map(loaded, NAMES)}
    for rule in group["rules"]:
        Rule.from_json({**rule, "folderUID": "f", "ruleGroup": group["name"], "orgID": 1})
        assert rule["panelId"] in known[rule["dashboardUid"]]
        steps = {step["refId"]: step for step in rule["data"]}
        assert rule["condition"] in steps
        assert steps["A"]["datasourceUid"] == DATA_SOURCE
        assert steps["A"]["model"]["query"]
        assert all(step["model"]["refId"] == ref for ref, step in steps.items())
        assert steps["C"]["model"]["expression"] == "B"
        assert steps["B"]["model"]["expression"] == "A"
        assert re.fullmatch(r"\d+[smh]", rule["for"])
        assert rule["noDataState"] in ("OK", "NoData", "Alerting")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_provisioning_has_no_dollar_that_grafana_would_replace() -> None:
    for path in (FOLDER / "provisioning" / "alerting").iterdir():
        assert "$" not in path.read_text(encoding="utf-8"), path.name


def test_alerts_go_to_a_contact_point_that_is_there() -> None:
    (point,) = loaded("provisioning/alerting/contact-points.yaml")["contactPoints"]
    (policy,) = loaded("provisioning/alerting/policies.yaml")["policies"]
    assert policy["receiver"] == point["name"]
    assert point["receivers"][0]["settings"]["addresses"]


def test_the_docs_name_every_dashboard_and_rule() -> None:
    page = (Path(__file__).parents[2] / "docs" / "grafana.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert loaded(name)["title"] in page
    for rule in loaded("provisioning/alerting/rules.yaml")["groups"][0]["rules"]:
        assert rule["title"] in page
