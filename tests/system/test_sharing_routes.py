"""What the page is told about sharing, over a real gateway with a real broker and no aggregator."""

import csv
import io

import pytest
import requests

from services.core.config.aggregator import Aggregator
from services.core.sharing_fields import FIELDS
from tests.support.gateway import House


@pytest.fixture
def house(tmp_path):
    with House(tmp_path) as running:
        yield running


def patch(house, **changes):
    return requests.patch(f"{house.url}/api/preferences", json=changes, timeout=10)


def test_sharing_is_shown_field_by_field_and_changed_by_the_preferences(house):
    view = house.get("/api/sharing").json()
    assert view["level"] == "none"
    assert [field["name"] for field in view["fields"] if field["on"]] == ["answers.choice"]
    assert view["link"] == {
        "network": None,
        "mqtt": {"state": "off", "detail": "", "since": None},
        "upload": {"state": "off", "detail": "the station file names no aggregator", "last_sent": None, "pending_rows": 0, "until": None},
    }
    changed = patch(house, sharing="hourly", sharing_fields={"hourly.soc_pct": False}, share_past=True)
    assert changed.status_code == 200, changed.text
    assert changed.json()["sharing_fields"] == {"hourly.soc_pct": False}
    on = {field["name"]: field["on"] for field in house.get("/api/sharing").json()["fields"]}
    assert (on["hourly.p1_wh"], on["hourly.soc_pct"], on["full.p1_w"]) == (True, False, False)
    house.stop_gateway()
    house.start_gateway()
    assert house.get("/api/sharing").json()["level"] == "hourly"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"sharing": "some"}, "sharing"),
        ({"sharing_fields": {"full.address": True}}, "sharing_fields"),
        ({"sharing_fields": {"full.p1_w": "yes"}}, "sharing_fields"),
        ({"share_past": "perhaps"}, "share_past"),
        ({"share_pasta": True}, "share_pasta"),
    ],
)
def test_a_bad_choice_is_refused_by_its_field_and_changes_nothing(house, body, field):
    answer = patch(house, **body)
    assert answer.status_code == 422
    assert field in answer.json()["field"]
    assert house.get("/api/sharing").json()["level"] == "none"


def test_an_example_holds_what_would_be_sent_and_nothing_leaves(house):
    example = house.post("/api/sharing/example", {"level": "none", "fields": {}}).json()
    assert example["records"] == []
    assert "no event" in example["none_because"]
    example = house.post("/api/sharing/example", {"level": "event", "fields": {"event.pledge_w": False}}).json()
    kinds = {one["kind"]: one["record"] for one in example["records"]}
    assert kinds["registration"] == {"capacity_wh": 1152, "power_w": 1800, "programme": "recent-days"}
    assert set(kinds["online"]) == {"v", "online", "ts"}
    assert house.get("/api/sharing/sent").json() == {"sent": [], "next": None}
    for bad in ({"level": "all"}, {"level": "full", "fields": {"x": True}}, {"level": "full", "more": 1}):
        assert house.post("/api/sharing/example", bad).status_code == 422


@pytest.mark.parametrize(
    ("link", "kinds"),
    [
        ({"mqtt": {"host": "127.0.0.1", "port": 1}}, ["online"]),
        ({"http": {"url": "http://127.0.0.1:1"}}, ["registration"]),
        ({"http": {"url": "http://127.0.0.1:1", "profile": "table"}}, ["table analysis"]),
    ],
)
def test_an_example_holds_what_the_configured_link_would_carry(link, kinds, tmp_path):
    aggregator = Aggregator.model_validate({"network": "Borough", **link})
    with House(tmp_path, aggregator=aggregator) as house:
        example = house.post("/api/sharing/example", {"level": "event", "fields": {}}).json()
        assert [one["kind"] for one in example["records"]] == kinds
        assert ("no event" in (example["none_because"] or "")) == ("mqtt" in link)
        if kinds == ["table analysis"]:
            fields = example["records"][0]["record"]
            assert (fields["name"], fields["network"], "max flex WhAC" in fields) == ("demo", "Borough", True)
            form = {"sharing": "event", "csrf": "", "field": [one.name for one in FIELDS]}
            piece = requests.post(f"{house.url}/preferences/sharing/example", data=form, headers={"Origin": house.url}, timeout=10)
            assert "analysis table" in piece.text


def test_the_log_of_what_left_is_paged_and_exported(house):
    rows = list(csv.reader(io.StringIO(house.get("/api/sharing/sent.csv").text)))
    assert rows == [["id", "ts", "to", "route", "kind", "records", "bytes", "outcome", "attempts", "body"]]
    assert house.get("/api/sharing/sent?before=x").status_code == 422
    assert house.get("/api/sharing/sent?limit=1000").status_code == 422
    assert house.post("/api/sharing/forget").status_code == 409
