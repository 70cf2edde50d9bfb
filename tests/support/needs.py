"""What some tests need from the machine: missing, it is a skip that names the remedy; in CI it is a failure."""

import os
import shutil

import pytest

from services.bus.broker.choose import find_mosquitto


def need_mosquitto() -> None:
    """The real broker."""
    _need(find_mosquitto() is not None, "Mosquitto", "mosquitto")


def need_mosquitto_pub() -> None:
    """Mosquitto's own command-line client."""
    _need(shutil.which("mosquitto_pub") is not None, "mosquitto_pub", "mosquitto-clients")


def need_victoria() -> None:
    """A server that accepts InfluxDB 2's writes."""
    _need(shutil.which("victoria-metrics") is not None, "VictoriaMetrics", "victoria-metrics")


def need_influxd() -> None:
    """A server that answers InfluxQL."""
    _need(shutil.which("influxd") is not None, "InfluxDB", "influxdb")


def need_chromium() -> None:
    """A browser for the page."""
    _need(shutil.which("chromium") is not None, "Chromium", "chromium")


def _need(found: bool, what: str, package: str) -> None:
    if found:
        return
    why = f"needs {what}: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
