"""What Grafana is given: provisioning, dashboards, and the generator that writes both."""
