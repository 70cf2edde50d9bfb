"""Alert rules, where they go, and the data source: what Grafana reads at its start."""

from collections.abc import Mapping
from typing import Any

from grafana.generator.influxql import DATA_SOURCE, source

FOLDER = "Smart Power Station"
CONTACT = "station"

# No `$` anywhere: Grafana replaces it by environment variables in some of these fields, and its templates read `.Labels` as well.


def rules() -> dict[str, Any]:
    """The rules, in the form of Grafana's file provisioning."""
    found = [
        _rule(
            "sps-alert-power-station",
            "Power station does not answer",
            f'SELECT last("available") FROM {source("battery_link")} WHERE time > now() - 10m GROUP BY "station"',
            ("lt", 1),
            wait="5m",
            severity="warning",
            summary="The power station has not answered for five minutes",
            remedy="Is it on and within reach? While its charge is unknown no event is served beyond what the estimate allows.",
            panel=("sps-health", "Power station"),
        ),
        _rule(
            "sps-alert-relay",
            "Relay lost",
            f'SELECT last("faulty") FROM {source("relay")} WHERE time > now() - 10m GROUP BY "station", "position"',
            ("gt", 0),
            wait="2m",
            severity="critical",
            summary='Relay {{ index .Labels "position" }} reports a fault',
            remedy="It does not answer, is welded, or its timer fired: the table of faults on the dashboard Health says which.",
            panel=("sps-health", "Relay faults"),
        ),
        _rule(
            "sps-alert-meter",
            "No readings",
            f'SELECT count("power_w") FROM {source("position")} WHERE time > now() - 10m GROUP BY "station"',
            ("lt", 1),
            wait="5m",
            no_data="Alerting",
            severity="critical",
            summary="No meter has been read for ten minutes",
            remedy="Recorder, broker, bridges or InfluxDB are down: `docker compose ps`, or the dashboard Health.",
            panel=("sps-health", "Readings by the step"),
        ),
        _rule(
            "sps-alert-position",
            "Meter lost",
            # Offset by now() the last step is the last ten minutes as a whole, and begins where the one before ends. A meter that has
            # told nothing for a day is no longer in the answer.
            f'SELECT count("power_w") FROM {source("position")} WHERE time > now() - 1d AND time < now() '
            'GROUP BY time(10m, now()), "station", "position" fill(0)',
            ("lt", 1),
            wait="5m",
            severity="warning",
            summary='The meter at {{ index .Labels "position" }} has not been read for ten minutes',
            remedy="Has it power, and is it within reach? While a meter is lost its energy is unknown, and an event's figures have gaps.",
            panel=("sps-health", "Readings by the step"),
        ),
        _rule(
            "sps-alert-service",
            "Service in trouble",
            f'SELECT last("ok") FROM {source("service")} WHERE time > now() - 10m GROUP BY "station", "service"',
            ("lt", 1),
            wait="5m",
            severity="warning",
            summary='The service {{ index .Labels "service" }} is offline or degraded',
            remedy="The table of faults on the dashboard Health says what is degraded; its log why: `docker compose logs` with its name.",
            panel=("sps-health", "Services"),
        ),
        _rule(
            "sps-alert-reserve",
            "Battery at its reserve",
            f'SELECT last("at_lowest") FROM {source("controller")} WHERE time > now() - 10m GROUP BY "station"',
            ("gt", 0),
            wait="1m",
            severity="warning",
            summary="The battery has come down to its reserve; the load is on the grid",
            remedy="What is left is kept for an outage. The running event gets no more from the battery.",
            panel=("sps-now", "State of charge"),
        ),
        _rule(
            "sps-alert-event",
            "Event not met",
            f'SELECT last("met") FROM {source("event_total")} WHERE time > now() - 1d GROUP BY "station", "event_id"',
            ("lt", 1),
            wait="0s",
            severity="info",
            summary='Event {{ index .Labels "event_id" }} fell short of its pledge',
            remedy="`sps explain` with its name tells what was decided and why.",
            panel=("sps-events", "Goal and achieved"),
        ),
    ]
    return {"apiVersion": 1, "groups": [{"orgId": 1, "name": "station", "folder": FOLDER, "interval": "1m", "rules": found}]}


def contact_points() -> dict[str, Any]:
    """One, to be filled in: as it stands it reaches nobody, and Grafana shows its alerts on its own pages."""
    settings = {"addresses": "station@localhost", "singleEmail": True}
    receiver = {"uid": "sps-contact", "type": "email", "settings": settings, "disableResolveMessage": False}
    return {"apiVersion": 1, "contactPoints": [{"orgId": 1, "name": CONTACT, "receivers": [receiver]}]}


def policies() -> dict[str, Any]:
    """All alerts to that one."""
    policy = {
        "orgId": 1,
        "receiver": CONTACT,
        "group_by": ["alertname", "station"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "12h",
    }
    return {"apiVersion": 1, "policies": [policy]}


def data_sources() -> dict[str, Any]:
    """InfluxDB by InfluxQL. Grafana itself reads the token from its file, each time that it starts."""
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Station",
                "uid": DATA_SOURCE,
                "orgId": 1,
                "type": "influxdb",
                "access": "proxy",
                "url": "http://influxdb:8086",
                "isDefault": True,
                "editable": False,
                "jsonData": {
                    "version": "InfluxQL",
                    "dbName": "sps",
                    "httpMode": "GET",
                    "timeInterval": "10s",
                    "httpHeaderName1": "Authorization",
                },
                "secureJsonData": {"httpHeaderValue1": "Token $__file{/run/secrets/grafana.token}"},
            }
        ],
    }


def providers() -> dict[str, Any]:
    """Where the dashboards lie."""
    provider = {
        "name": "station",
        "orgId": 1,
        "folder": FOLDER,
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 60,
        "options": {"path": "/etc/grafana/dashboards", "foldersFromFilesStructure": False},
    }
    return {"apiVersion": 1, "providers": [provider]}


def _rule(
    uid: str,
    title: str,
    query: str,
    when: tuple[str, float],
    *,
    wait: str,
    severity: str,
    summary: str,
    remedy: str,
    panel: tuple[str, str],
    no_data: str = "OK",
) -> dict[str, Any]:
    kind, limit = when
    asked = {"refId": "A", "query": query, "rawQuery": True, "resultFormat": "time_series", "intervalMs": 60_000, "maxDataPoints": 1000}
    threshold = {"type": "threshold", "refId": "C", "expression": "B", "conditions": [{"evaluator": {"type": kind, "params": [limit]}}]}
    return {
        "uid": uid,
        "title": title,
        "condition": "C",
        "data": [
            _step("A", DATA_SOURCE, {**asked, "datasource": {"type": "influxdb", "uid": DATA_SOURCE}}),
            _step("B", "__expr__", {"type": "reduce", "refId": "B", "expression": "A", "reducer": "last"}),
            _step("C", "__expr__", threshold),
        ],
        "dashboardUid": panel[0],
        "panelTitle": panel[1],
        "noDataState": no_data,
        "execErrState": "Error",
        "for": wait,
        "annotations": {"summary": summary, "description": remedy},
        "labels": {"severity": severity},
        "isPaused": False,
    }


def _step(ref: str, data_source: str, model: Mapping[str, Any]) -> dict[str, Any]:
    return {"refId": ref, "relativeTimeRange": {"from": 600, "to": 0}, "datasourceUid": data_source, "model": dict(model)}
