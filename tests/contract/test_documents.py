"""The documents in docs/bus say what the code does."""

import json
from typing import Any

import jsonschema
import pytest
import yaml

from services.bus.contract import CHANNELS
from services.bus.documents import FOLDER, asyncapi, schema, texts
from services.bus.examples import example


@pytest.mark.parametrize("file", ["asyncapi.yaml", "schema.json", "access.md"])
def test_the_documents_are_up_to_date(file) -> None:
    assert (FOLDER / file).read_text(encoding="utf-8") == texts()[file], "run: python -m services.bus.documents"


def test_the_same_contract_makes_the_same_text() -> None:
    assert texts() == texts()
    assert yaml.safe_load(texts()["asyncapi.yaml"]) == asyncapi()


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda c: c.pattern)
def test_what_we_send_fits_the_published_schema(channel) -> None:
    document = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    validator = jsonschema.Draft202012Validator({"$ref": f"#/$defs/{channel.model.__name__}", **document})
    validator.validate(json.loads(example(channel).model_dump_json()))
    assert not validator.is_valid([])


def test_what_people_type_fits_the_published_schema() -> None:
    validator = jsonschema.Draft202012Validator({"$ref": "#/$defs/EventCommand", **schema()})
    validator.validate({"start": "now"})
    validator.validate({"start": "16:00", "duration": "PT4H", "goal": {"kind": "pledge", "reduction_w": 150}})
    validator.validate({"start": "16:00", "duration": 4})
    assert not validator.is_valid({"start": "now", "begin": "16:00"})


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()
    for reference in _references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        assert isinstance(target, dict)


def test_the_asyncapi_document_holds_each_channel_with_its_operation_and_bindings() -> None:
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    assert set(document["info"]) >= {"title", "version"}
    by_address = {channel["address"]: (name, channel) for name, channel in document["channels"].items()}
    assert len(by_address) == len(CHANNELS)
    for channel in CHANNELS:
        name, described = by_address[f"sps/{{station}}/{channel.pattern}"]
        assert set(described["parameters"]) == {part[1:-1] for part in described["address"].split("/") if part.startswith("{")}
        (operation,) = [o for o in document["operations"].values() if o["channel"]["$ref"] == f"#/channels/{name}"]
        assert operation["action"] in ("send", "receive")
        assert operation["bindings"]["mqtt"]["qos"] == channel.qos
        assert operation["bindings"]["mqtt"]["retain"] == channel.retain


def test_the_examples_fit_their_own_schemas() -> None:
    document = asyncapi()
    for message in document["components"]["messages"].values():
        jsonschema.Draft202012Validator({**message["payload"], **document}).validate(message["examples"][0]["payload"])


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [v for k, v in node.items() if k == "$ref"] + [r for v in node.values() for r in _references(v)]
    return [r for v in node for r in _references(v)] if isinstance(node, list) else []
