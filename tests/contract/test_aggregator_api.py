"""The stations' API of a running aggregator against what it says of itself: whatever is sent, the answer is one it has announced."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.support.aggregator import Aggregator, aggregator, hour_batch

NAME = "house-1"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aggregator]:
    with aggregator(tmp_path_factory.mktemp("aggregator"), api={"batches_per_minute": 100_000}) as one:
        yield one


def test_every_answer_is_an_announced_one(running: Aggregator) -> None:
    station = running.enrol(NAME)
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    checks: list[Any] = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    bounded = settings(
        max_examples=25, deadline=None, database=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
    )
    met: set[tuple[str, int]] = set()

    def keeps(case: Any) -> None:
        if "name" in case.path_parameters:
            case.path_parameters["name"] = NAME
        # Shown beside a token, a signature is what counts.
        for name in [name for name in case.headers or () if name.lower() == "x-sps-signature"]:
            del case.headers[name]
        headers = {"Authorization": f"Bearer {station.http}"}
        answer = case.call_and_validate(checks=checks, timeout=10, headers=headers)
        met.add((case.path, answer.status_code))

    for operation in schema.get_all_operations():
        assert isinstance(operation, Ok)
        bounded(given(case=operation.ok().as_strategy())(keeps))()
    assert {path for path, _ in met} == {
        "/healthz",
        "/v1/stations/{name}",
        "/v1/stations/{name}/batches",
        "/v1/stations/{name}/data",
        "/v1/stations/{name}/deletions/{deletion_id}",
    }
    assert all(status != 401 for _, status in met)


def test_it_is_the_aggregator_that_stations_are_told_of(running: Aggregator) -> None:
    """The document that the stations' side publishes: what they send is taken, and nothing is answered that they do not await."""
    told = yaml.safe_load(Path("docs/aggregator/openapi.yaml").read_text(encoding="utf-8"))
    ours = requests.get(f"{running.url}/openapi.json", timeout=10).json()
    for model in ("EventBatch", "HourBatch", "FullBatch", "EventRecord", "EventInterval", "HourRecord", "FullRecord", "Registration"):
        assert ours["components"]["schemas"][model] == told["components"]["schemas"][model]
    for path, operations in told["paths"].items():
        for method in operations.keys() & {"put", "post", "delete"}:
            there, here = operations[method]["responses"], ours["paths"][path][method]["responses"]
            assert [status for status in there if status < "400"] == [status for status in here if status < "400"]
            # A station treats every other 4xx as final, too; these it never causes.
            assert here.keys() - there.keys() <= {"404", "409", "413", "415"}
    station = running.enrol("house-2")
    batch = {**hour_batch(1, 2), "cursor": "1"}
    sent = jsonschema.Draft202012Validator({**told, "$ref": "#/components/schemas/Batch"})
    sent.validate(batch)
    taken = jsonschema.Draft202012Validator({**told, "$ref": "#/components/schemas/BatchAccepted"})
    taken.validate(station.post(batch).json())
    refused = jsonschema.Draft202012Validator({**told, "$ref": "#/components/schemas/Refusal"})
    refused.validate(station.post({**batch, "kind": "other"}, "key-00000002").json())
    assert station.put({"v": 1, "network": running.file.network, "level": "event"}).status_code == 200


def test_what_it_says_of_itself_names_every_record_and_every_refusal(running: Aggregator) -> None:
    document = requests.get(f"{running.url}/openapi.json", timeout=10).json()
    batches = document["paths"]["/v1/stations/{name}/batches"]["post"]
    assert set(batches["responses"]) >= {"200", "400", "401", "409", "413", "415", "422", "429", "503"}
    assert set(document["components"]["schemas"]) >= {"EventBatch", "HourBatch", "FullBatch", "EventRecord", "HourRecord", "FullRecord"}
