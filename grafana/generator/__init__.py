"""Writes the dashboards and alert rules: `make dashboards`. Needed by developers only; Grafana reads what it wrote."""
