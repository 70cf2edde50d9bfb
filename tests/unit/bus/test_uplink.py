"""What goes between station and aggregator: signatures that hold and others that do not, the old form, events that are refused."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.bus.uplink import batches, old_form, request_signature, signing
from services.bus.uplink.messages import AggregatorEvent, Answer, Online
from services.bus.uplink.topics import NetworkTopics, station_of
from services.core.events import BadValue, EventStatus

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
KEYS = {"2026-a": KEY.public_key()}
NEW_YORK = ZoneInfo("America/New_York")
EVENT = {"id": "e1", "start": "2027-07-01T16:00:00Z", "ts": "2027-06-30T16:00:00Z"}


@given(st.binary(max_size=400))
def test_what_was_signed_comes_back_and_says_by_which_key(payload):
    signed = signing.sign(payload, KEY, "2026-a")
    if payload:
        assert signing.verify(signed, KEYS) == signing.Signed(payload, "2026-a")
        assert signing.looks_signed(signed)


@given(st.data())
def test_no_change_of_a_signed_message_is_believed(data):
    signed = signing.sign(json.dumps(EVENT).encode(), KEY, "2026-a")
    at = data.draw(st.integers(0, len(signed) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != signed[at]))
    with pytest.raises(signing.BadSignature):
        signing.verify(signed[:at] + bytes([byte]) + signed[at + 1 :], KEYS)


def header(**fields):
    part = signing._encode(json.dumps(fields).encode())
    payload = signing._encode(b"{}")
    return part + b"." + payload + b"." + signing._encode(KEY.sign(part + b"." + payload))


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (signing.sign(b"{}", KEY, "another"), "not known"),
        (signing.sign(b"{}", OTHER, "2026-a"), "not by key"),
        (header(alg="none", kid="2026-a"), "EdDSA"),
        (header(alg="HS256", kid="2026-a"), "EdDSA"),
        (header(alg="EdDSA", kid="2026-a", crit=["exp"]), "nothing that we do not know"),
        (header(alg="EdDSA", kid="2026-a", jwk={"kty": "OKP"}), "nothing that we do not know"),
        (header(alg="EdDSA"), "not known"),
        (header(alg="EdDSA", kid=["2026-a"]), "not known"),
        (b"a.b", "three parts"),
        (b"", "three parts"),
        (b"..", "three parts"),
        (b"[" * 5000 + b".e30.e30", "three parts"),
    ],
)
def test_a_signature_that_does_not_hold_says_why(message, why):
    with pytest.raises(signing.BadSignature, match=why):
        signing.verify(message, KEYS)


def test_a_public_key_goes_to_the_station_file_and_back():
    text = signing.public_text(KEY.public_key())
    assert signing.public_key(text) == KEY.public_key()
    for bad in ("", "AAAA", text + "A", "é" * 43):
        with pytest.raises(ValueError, match="base64url"):
            signing.public_key(bad)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "x" * 10_000}, "id"),
        ({"id": "команда"}, "id"),
        ({"id": "command"}, "id"),
        ({"id": ".."}, "id"),
        ({"id": 7}, "id"),
        ({"start": 1_800_000_000}, "start"),
        ({"start": "16:00"}, "start"),
        ({"start": "2027-07-01T16:00:00"}, "start"),
        ({"start": None}, ""),
        ({"revision": "2"}, "revision"),
        ({"revision": -1}, "revision"),
        ({"test": "yes"}, "test"),
        ({"methods": []}, "methods"),
        ({"methods": ["magic"]}, "methods"),
        ({"goal": {"kind": "pledge"}}, "goal"),
        ({"goal": {"kind": "limit", "import_w": "a"}}, "goal"),
        ({"notice": "a\u202eb"}, "notice"),
        ({"notice": "x" * 501}, "notice"),
        ({"v": 2}, "v"),
        ({"stat": "now"}, "stat"),
        ({"nonce": "short"}, "nonce"),
        ({"network": "a/b"}, "network"),
        ({"duration": "PT"}, "duration"),
        ({"ts": None}, "ts"),
    ],
)
def test_an_event_with_a_bad_field_is_refused_by_that_field(change, field):
    with pytest.raises(ValidationError) as refused:
        AggregatorEvent.model_validate_json(json.dumps(EVENT | change))
    assert field in ".".join(str(part) for part in refused.value.errors()[0]["loc"])


def test_html_in_a_notice_is_text_like_any_other():
    assert AggregatorEvent.model_validate(EVENT | {"notice": "<script>alert(1)</script>"}).notice == "<script>alert(1)</script>"


def test_the_old_form_is_read_in_local_time():
    event = old_form.parse(b"CSRP#contingency#2026-07-01 16:00:00#2026-06-30 19:00:00", NEW_YORK)
    assert event.start == datetime(2026, 7, 1, 20, 0, tzinfo=UTC)
    assert event.sent == datetime(2026, 6, 30, 23, 0, tzinfo=UTC)
    assert (event.programme, event.immediate) == ("CSRP", False)
    again = old_form.parse(b"CSRP#contingency#2026-07-01 16:00:00#2026-06-30 19:01:00", NEW_YORK)
    assert again.id == event.id, "sent again a minute later it is the same event"
    assert old_form.parse(b"CSRP#contingency#16#2026-07-01 08:00:00", NEW_YORK).id == event.id


def test_what_it_writes_it_reads():
    start, sent = datetime(2026, 11, 1, 15, 0, tzinfo=UTC), datetime(2026, 10, 31, 15, 0, tzinfo=UTC)
    text = old_form.event_text("DLRP", "immediate", start, sent, NEW_YORK)
    event = old_form.parse(text.encode(), NEW_YORK)
    assert (event.start, event.sent, event.immediate) == (start, sent, True)
    assert (
        old_form.answer_text("e1", EventStatus.OPTED_OUT, start, sent, NEW_YORK) == "e1#opted_out#2026-11-01 10:00:00#2026-10-31 11:00:00"
    )


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b"", "payload"),
        (b"CSRP#contingency#2026-07-01 16:00:00", "payload"),
        (b"CSRP#contingency#2026-07-01 16:00:00#2026-06-30 19:00:00#x", "payload"),
        (b"#" * 600, "payload"),
        (b"\xff#a#b#c", "payload"),
        ("ЦСРП#contingency#2026-07-01 16:00:00#2026-06-30 19:00:00".encode(), "event"),
        (b"<b>CSRP</b>#contingency#2026-07-01 16:00:00#2026-06-30 19:00:00", "event"),
        (b"CSRP#soon#2026-07-01 16:00:00#2026-06-30 19:00:00", "type"),
        (b"CSRP#contingency#2026-02-30 16:00:00#2026-06-30 19:00:00", "start_time"),
        (b"CSRP#contingency#25#2026-06-30 19:00:00", "start_time"),
        (b"CSRP#contingency#16:00#2026-06-30 19:00:00", "start_time"),
        (b"CSRP#contingency#2026-03-08 02:30:00#2026-03-07 19:00:00", "start_time"),
        (b"CSRP#contingency#2026-07-01 16:00:00#yesterday", "timestamp"),
        (b"CSRP#contingency#9999-12-31 23:00:00#2026-06-30 19:00:00", "start_time"),
    ],
)
def test_a_bad_message_in_the_old_form_names_the_field(payload, field):
    with pytest.raises(BadValue) as refused:
        old_form.parse(payload, NEW_YORK)
    assert refused.value.field == field


def test_a_local_time_that_came_twice_is_the_first_of_the_two():
    event = old_form.parse(b"CSRP#contingency#2026-11-01 01:30:00#2026-10-31 19:00:00", NEW_YORK)
    assert event.start == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_a_time_that_clocks_skipped_says_so():
    with pytest.raises(BadValue, match="put forward") as refused:
        old_form.parse(b"CSRP#contingency#2026-03-08 02:30:00#2026-03-07 19:00:00", NEW_YORK)
    assert "03:30" in refused.value.remedy


def test_a_request_is_signed_for_its_time_path_and_body_alone():
    body = b'{"v":1}'
    good = request_signature.signature("secret", "1800000000", "POST", "/v1/stations/demo/batches", body)

    def refusal(secret="secret", ts="1800000000", method="POST", path="/v1/stations/demo/batches", sent=body, now=1_800_000_010.0):
        return request_signature.refusal(secret, good, ts, method, path, sent, now)

    assert refusal() is None
    assert refusal(method="post") is None
    for changed in (
        refusal(secret="other"),
        refusal(ts="1800000001"),
        refusal(method="PUT"),
        refusal(path="/v1/stations/other/batches"),
        refusal(sent=body + b" "),
        refusal(now=1_800_000_301.0),
        refusal(ts="soon"),
        request_signature.refusal("secret", "v1=é", "1800000000", "POST", "/", body, 1_800_000_000.0),
    ):
        assert changed is not None


def test_topics_of_a_network():
    topics = NetworkTopics("BoroughHall")
    assert topics.event == "dr/BoroughHall/event"
    assert topics.station_event("demo") == "dr/BoroughHall/station/demo/event"
    assert station_of(topics.answer("demo")) == "demo"
    assert station_of(topics.event) is None
    assert station_of("dr/n/station/a b/answer") is None
    for bad in ("", "a/b", "+", "#", "x" * 65):
        with pytest.raises(ValueError, match="level of a topic"):
            NetworkTopics(bad)
    with pytest.raises(ValueError, match="level of a topic"):
        topics.answer("../x")


def test_an_idempotency_key_is_the_same_for_the_same_batch_only():
    key = batches.idempotency_key("demo", "full", "", "9-0-0", 1, b"{}")
    assert key == batches.idempotency_key("demo", "full", "", "9-0-0", 1, b"{}")
    assert key != batches.idempotency_key("demo", "full", "", "9-0-0", 2, b"{}")
    assert key != batches.idempotency_key("demo", "full", "", "9-0-0", 1, b"{} ")


ANSWER = {"id": "e1", "revision": 0, "status": "scheduled", "ts": "2027-06-30T16:00:00Z"}


@pytest.mark.parametrize(
    "change",
    [
        {"revision": -1},
        {"revision": 2**31},
        {"revision": 10**40},
        {"ts": "9999-12-31T23:59:59.9999Z"},
        {"ts": "0001-01-01T00:00:00+14:00"},
        {"ts": "1969-12-31T23:59:59Z"},
        {"field": "start\x00"},
        {"field": "\x1b[2J"},
    ],
)
def test_an_answer_that_no_database_can_hold_is_none(change):
    Answer.model_validate_json(json.dumps(ANSWER | {"revision": 2**31 - 1, "field": "goal.reduction_w", "ts": "1970-01-01T00:00:00Z"}))
    with pytest.raises(ValidationError):
        Answer.model_validate_json(json.dumps(ANSWER | change))
    if "ts" in change:
        with pytest.raises(ValidationError):
            Online.model_validate_json(json.dumps({"online": True} | change))


def test_an_event_at_a_time_that_utc_does_not_have_is_refused():
    with pytest.raises(ValidationError):
        AggregatorEvent.model_validate_json(json.dumps(EVENT | {"start": "0001-01-01T00:00:00+14:00"}))
