"""The station file's section `aggregator`: what is refused, and the field it is refused by."""

import pytest
from pydantic import ValidationError

from services.core.config.aggregator import Aggregator

KEY = "A" * 43
HTTP = {"url": "https://dr.example.org/api/", "secret": "aggregator/token"}
MQTT = {"host": "dr.example.org"}


def test_a_link_for_signals_and_data():
    section = Aggregator.model_validate({"network": "BoroughHall", "mqtt": {**MQTT, "version": 5}, "http": HTTP, "keys": {"a": KEY}})
    assert section.mqtt is not None
    assert section.http is not None
    assert (section.mqtt.version, section.mqtt.tls, section.http.url) == ("5", True, "https://dr.example.org/api")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "aggregator-broker"])
def test_a_password_goes_without_tls_within_one_machine_alone(host):
    mqtt = {"host": host, "tls": False, "user": "u", "secret": "s"}
    http = {"url": f"http://{'aggregator' if host == 'aggregator-broker' else host}:8090", "secret": "s"}
    section = Aggregator.model_validate({"network": "n", "mqtt": mqtt, "http": http})
    assert section.mqtt is not None
    with pytest.raises(ValidationError, match="in the open"):
        Aggregator.model_validate({"network": "n", "mqtt": {**mqtt, "host": f"{host}.example.org"}})


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ({"network": "n"}, "neither mqtt nor http"),
        ({"network": "a/b", "mqtt": MQTT}, "network"),
        ({"network": "n", "mqtt": MQTT, "require_signed": True}, "without any keys"),
        ({"network": "n", "mqtt": MQTT, "require_signed": True, "keys": {"a": KEY}, "forms": ["json", "old"]}, "cannot be signed"),
        ({"network": "n", "mqtt": MQTT, "keys": {"a": "short"}}, "base64url"),
        ({"network": "n", "mqtt": {**MQTT, "tls": False, "user": "u", "secret": "s"}}, "in the open"),
        ({"network": "n", "mqtt": {**MQTT, "client_cert": "c.pem"}}, "go together"),
        ({"network": "n", "mqtt": {**MQTT, "secret": "s"}}, "needs the user"),
        ({"network": "n", "mqtt": {**MQTT, "secret": "../x", "user": "u"}}, "secret"),
        ({"network": "n", "http": {"url": "http://dr.example.org"}}, "https only"),
        ({"network": "n", "http": {"url": "https://user:pass@dr.example.org"}}, "url"),
        ({"network": "n", "http": {"url": "https://dr.example.org", "auth": "hmac"}}, "needs a secret"),
        ({"network": "n", "http": {**HTTP, "profile": "table", "auth": "hmac"}}, "no signatures"),
    ],
)
def test_what_cannot_be_meant_is_refused(section, why):
    with pytest.raises(ValidationError, match=why):
        Aggregator.model_validate(section)
