"""The documents about sharing and the aggregator's side say what the code does."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from services.bus.uplink import openapi
from services.bus.uplink.batches import EventRecord, FullRecord, HourRecord
from services.bus.uplink.messages import AggregatorEvent, Answer
from services.core.config.aggregator import Aggregator
from services.core.sharing import FULL_COLUMNS, HOUR_FIGURES, AnswerReason
from services.core.sharing_fields import FIELDS

DOCS = Path(__file__).parents[2] / "docs"
LINK = (DOCS / "aggregator-link.md").read_text(encoding="utf-8")


def test_the_openapi_document_is_up_to_date():
    assert openapi.FILE.read_text(encoding="utf-8") == openapi.text(), "run: make docs"


def test_batches_as_the_station_sends_them_fit_it_and_others_do_not():
    document = openapi.document()
    text = json.dumps(document["components"]["schemas"]).replace("#/components/schemas/", "#/$defs/")
    validator = jsonschema.Draft202012Validator({"$ref": "#/$defs/Batch", "$defs": json.loads(text)})
    head = {"v": 1, "network": "Borough", "cursor": "x"}
    validator.validate({**head, "kind": "full", "records": [{"ts": "2027-07-01T20:00:10.000Z", "p1_w": 1.5}]})
    validator.validate({**head, "kind": "hourly", "records": [{"start": "2027-07-01T20:00:00.000Z", "p1_wh": 1.5}]})
    assert not validator.is_valid({**head, "kind": "all", "records": []})
    assert not validator.is_valid({**head, "kind": "full", "records": [{"p1_w": 1.5}]})
    assert not validator.is_valid({**head, "kind": "full", "records": [], "more": 1})


def test_what_may_leave_and_what_the_receiving_side_knows_are_the_same():
    assert set(FullRecord.model_fields) == {"ts", *FULL_COLUMNS}
    assert set(HourRecord.model_fields) == {"start", *HOUR_FIGURES}
    assert {"baseline_wh", "reduction_wh", "performance_factor", "intervals"} <= set(EventRecord.model_fields)


def test_the_page_about_sharing_lists_each_field_with_its_meaning():
    rows = re.findall(r"^\| `([a-z0-9_.]+)` \| (.+) \|$", (DOCS / "sharing.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(one.name, one.meaning) for one in FIELDS]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", LINK, re.DOTALL)


def test_the_examples_of_the_page_about_the_link_are_right():
    event, answer = (json.loads(block) for block in blocks("json"))
    AggregatorEvent.model_validate_json(json.dumps(event))
    Answer.model_validate_json(json.dumps(answer))
    Aggregator.model_validate(yaml.safe_load(blocks("yaml")[0])["aggregator"])


@pytest.mark.parametrize("reason", [reason for reason in AnswerReason if reason])
def test_each_reason_is_explained(reason):
    assert f"`{reason.value}`" in LINK
