"""All files that are generated, by their paths under `grafana/`."""

import json
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana.generator import alerts, energy, events, health, station_now

FOLDER = Path(__file__).parents[1]
HEAD = "# Generated: `make dashboards` writes it from grafana/generator. Change it there.\n"


def dashboards() -> dict[str, Dashboard]:
    """By file name."""
    found = {"station-now": station_now, "events": events, "energy": energy, "health": health}
    return {f"dashboards/{name}.json": module.dashboard() for name, module in found.items()}


def texts() -> dict[str, str]:
    """What each file holds."""
    made = dashboards()
    files = {path: json.dumps(one, cls=JSONEncoder, indent=1, sort_keys=True) + "\n" for path, one in made.items()}
    provisioning = {
        "alerting/rules.yaml": _with_panels(alerts.rules(), made),
        "alerting/contact-points.yaml": alerts.contact_points(),
        "alerting/policies.yaml": alerts.policies(),
        "dashboards/station.yaml": alerts.providers(),
        "datasources/station.yaml": alerts.data_sources(),
    }
    for path, body in provisioning.items():
        files[f"provisioning/{path}"] = HEAD + yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=140)
    return files


def write() -> list[Path]:
    """Write them all. Raises OSError."""
    written = []
    for name, text in texts().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _with_panels(body: dict[str, Any], made: dict[str, Dashboard]) -> dict[str, Any]:
    """Each rule leads to its panel by number; it names the panel by its title. Raises KeyError for one that is not there."""
    numbers = {
        (one.uid, panel.title): panel.id_val for one in made.values() for panel in reversed(one.panels or []) if isinstance(panel, Panel)
    }
    for group in body["groups"]:
        for rule in group["rules"]:
            rule["panelId"] = numbers[rule["dashboardUid"], rule.pop("panelTitle")]
    return body
