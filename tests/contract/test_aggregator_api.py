"""The stations' API of a running aggregator against what it says of itself: whatever is sent, the answer is one it has announced."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.support.aggregator import Aggregator, aggregator

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


def test_what_it_says_of_itself_names_every_record_and_every_refusal(running: Aggregator) -> None:
    document = requests.get(f"{running.url}/openapi.json", timeout=10).json()
    batches = document["paths"]["/v1/stations/{name}/batches"]["post"]
    assert set(batches["responses"]) >= {"200", "400", "401", "409", "413", "415", "422", "429", "503"}
    assert set(document["components"]["schemas"]) >= {"EventBatch", "HourBatch", "FullBatch", "EventRecord", "HourRecord", "FullRecord"}
