"""The whole REST API against its own description where access is controlled, as different visitors see it."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.support.access import GuardedHouse

CHECKS: list[Any] = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
BOUNDED = settings(
    max_examples=8, deadline=None, database=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedHouse]:
    with GuardedHouse(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.mark.parametrize("scopes", [("admin",), ("read",), ()], ids=["admin", "read only", "stranger"])
def test_the_api_keeps_to_its_openapi(house: GuardedHouse, scopes: tuple[Any, ...]) -> None:
    admin = house.bearer("admin")
    headers = house.bearer(*scopes) if scopes else {}
    # A stream has no end; it is tested by itself.
    schema = schemathesis.openapi.from_url(f"{house.url}/openapi.json", headers=admin).exclude(path="/api/stream")
    seen: dict[str, set[int]] = {}

    def keeps(case: Any) -> None:
        case.headers.pop("Authorization", None)
        case.cookies.clear()
        response = case.call(headers=headers, timeout=10)
        case.validate_response(response, checks=CHECKS)
        seen.setdefault(f"{case.method} {case.path}", set()).add(response.status_code)

    for operation in schema.get_all_operations():
        assert isinstance(operation, Ok)
        BOUNDED(given(case=operation.ok().as_strategy())(keeps))()
    guarded = {route: statuses for route, statuses in seen.items() if route != "GET /healthz"}
    assert len(guarded) >= 17
    if not scopes:
        assert {status for statuses in guarded.values() for status in statuses} <= {401, 400, 415, 413}
    elif scopes == ("admin",):
        assert not {status for statuses in guarded.values() for status in statuses} & {401, 403}
    else:
        writes = {route: statuses for route, statuses in guarded.items() if route.startswith(("POST /api/events", "PATCH"))}
        assert len(writes) == 3
        assert all(status >= 400 for statuses in writes.values() for status in statuses)
        assert 403 in writes["POST /api/events"] & writes["PATCH /api/preferences"]
