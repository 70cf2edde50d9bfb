"""What is made of the aggregator's messages: joined late, remembered, and told from a replay."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from services.bus.clock import ManualClock
from services.bus.link_options import Delivery
from services.bus.uplink import signing
from services.core.events import EventStatus
from services.core.sharing import AnswerReason
from services.gateway.aggregator_link import inbox, inbox_store
from services.gateway.aggregator_link.buckets import Bucket
from services.gateway.aggregator_link.inbox import Inbox
from services.gateway.aggregator_link.inbox_store import InboxStore
from services.gateway.aggregator_link.judging import Refusal, Rules, command_of, judge
from services.gateway.problems import ApiError, Problem
from tests.support.waiting import wait_for

NOW = datetime(2027, 7, 1, 12, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
USUAL = timedelta(hours=4)


def rules(*, require_signed=False):
    keys = {"a": KEY.public_key()}
    return Rules("Borough", "demo", ("json", "old"), require_signed, keys, ZoneInfo("America/New_York"))


def message(**changes):
    body = {"id": "e1", "start": (NOW + timedelta(hours=2)).isoformat(), "ts": NOW.isoformat(), **changes}
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


def signed(nonce="nonce-0001", **changes):
    return signing.sign(message(network="Borough", nonce=nonce, **changes), KEY, "a")


@given(st.binary(max_size=300) | st.text().map(str.encode), st.sampled_from(["all", "one", "old"]))
def test_whatever_comes_is_an_event_or_a_refusal(payload, way):
    why = None
    try:
        judge(way, payload, rules(), NOW)
    except Refusal as refusal:
        why = refusal
    assert why is None or (why.message and why.reason is not AnswerReason.NONE)


def test_an_event_that_has_begun_is_joined_for_its_rest_and_one_that_is_over_is_not():
    late = judge("all", message(start=(NOW - timedelta(hours=1)).isoformat(), duration="PT4H"), rules(), NOW)
    command = command_of(late, NOW, USUAL)
    assert command is not None
    assert (command.start, command.duration) == (NOW.isoformat(), timedelta(hours=3))
    assert command_of(late, NOW + timedelta(hours=2, minutes=58), USUAL) is None
    by_default = judge("all", message(start=(NOW - timedelta(hours=3)).isoformat()), rules(), NOW)
    joined = command_of(by_default, NOW, USUAL)
    assert joined is not None
    assert joined.duration == timedelta(hours=1)


def test_immediate_in_the_old_form_is_at_once_for_a_while_and_then_what_it_was():
    text = b"DLRP#immediate#2027-07-01 07:50:00#2027-07-01 07:58:00"
    assert judge("old", text, rules(), NOW).start == NOW
    later = NOW + timedelta(hours=2)
    assert judge("old", text, rules(), later).start == NOW - timedelta(minutes=10)


@pytest.mark.parametrize(
    ("payload", "way", "reason"),
    [
        (signed(station="other"), "all", AnswerReason.WRONG_NETWORK),
        (signed(), "one", AnswerReason.BAD_MESSAGE),
        (signed(ts=(NOW - timedelta(days=31)).isoformat()), "all", AnswerReason.REPLAYED),
        (signed(ts=(NOW + timedelta(minutes=11)).isoformat()), "all", AnswerReason.REPLAYED),
        (signed(nonce=None), "all", AnswerReason.BAD_MESSAGE),
        (message(network="Other"), "all", AnswerReason.WRONG_NETWORK),
    ],
)
def test_a_signed_event_is_bound_to_its_receiver_and_its_time(payload, way, reason):
    with pytest.raises(Refusal) as refused:
        judge(way, payload, rules(), NOW)
    assert refused.value.reason is reason


def test_signed_for_one_station_it_is_taken_there():
    assert judge("one", signed(station="demo"), rules(require_signed=True), NOW).kid == "a"


@pytest.mark.parametrize("duration", ["P9999999D", "PT25H", "PT0S", -1])
def test_an_event_lasts_more_than_nothing_and_at_most_a_day(duration):
    with pytest.raises(Refusal) as refused:
        judge("all", message(start=(NOW - timedelta(hours=1)).isoformat(), duration=duration), rules(), NOW)
    assert (refused.value.reason, refused.value.field) == (AnswerReason.BAD_MESSAGE, "duration")


class World:
    """An inbox with all around it written down."""

    def __init__(self, folder):
        self.clock = ManualClock(NOW)
        self.store = InboxStore(folder)
        self.refused: list[AnswerReason] = []
        self.reported: list[Refusal] = []
        self.repeated: list[str] = []
        self.acknowledged = 0
        self.known: dict[str, object] = {}
        self.inbox = Inbox(
            self.store,
            rules(),
            self.clock,
            knows=self.known.get,  # type: ignore[arg-type]
            report=lambda refusal, _topic: self.reported.append(refusal),
            refused=lambda refusal, _way: self.refused.append(refusal.reason),
            repeated=self.repeated.append,
        )

    def receive(self, payload, *, retained=False, lost=lambda: False):
        self.inbox.receive("all", Delivery("t", payload, retained, self._acknowledge, lost))

    def _acknowledge(self):
        self.acknowledged += 1


@pytest.fixture
async def world(tmp_path):
    return World(tmp_path)


async def test_it_is_acknowledged_only_once_it_is_on_disk(world, tmp_path):
    world.receive(message())
    assert world.acknowledged == 0
    task = asyncio.create_task(world.inbox.keep())
    await wait_for(lambda: world.acknowledged == 1)
    task.cancel()
    again = InboxStore(tmp_path)
    assert [one.id for one in again.pending] == ["e1"]


async def test_what_cannot_be_kept_is_not_acknowledged(world, monkeypatch):
    def full(_snapshot):
        raise OSError("No space left on device")

    monkeypatch.setattr(world.store, "write", full)
    world.receive(message())
    task = asyncio.create_task(world.inbox.keep())
    await asyncio.sleep(0.05)
    task.cancel()
    assert world.acknowledged == 0


async def test_a_signed_message_again_is_a_repeat_at_first_and_a_replay_later(world):
    world.receive(signed())
    world.receive(signed())
    assert (world.repeated, world.refused) == (["e1"], [])
    world.clock.advance(601)
    world.receive(signed())
    # Whoever sent it must not think that the station leaves the event: it is answered as it stands, and the person is told.
    assert (world.repeated, world.refused) == (["e1", "e1"], [])
    assert [refusal.reason for refusal in world.reported] == [AnswerReason.REPLAYED]


async def test_a_copy_of_an_earlier_revision_is_no_refusal_either(world):
    world.receive(signed())
    world.receive(signed(nonce="nonce-0002", revision=1))
    world.receive(signed())
    world.clock.advance(601)
    world.receive(signed())
    assert (world.repeated, world.refused) == (["e1", "e1"], [])
    assert [(one.id, one.revision) for one in world.store.pending] == [("e1", 1)]


@pytest.mark.parametrize("field", ["start", "ts"])
async def test_a_time_beyond_the_calendar_is_refused_and_acknowledged(field, world):
    world.receive(message(**{field: "0001-01-01T00:00:00+01:00"}))
    assert (world.refused, world.acknowledged) == ([AnswerReason.BAD_MESSAGE], 1)
    assert world.reported[0].field == field


async def test_a_message_that_we_fail_on_is_refused_and_does_not_come_again(world, monkeypatch):
    monkeypatch.setattr(inbox, "judge", lambda *_: 1 // 0)
    world.receive(message())
    assert (world.refused, world.acknowledged) == ([AnswerReason.BAD_MESSAGE], 1)


async def test_a_nonce_that_had_to_make_room_takes_older_messages_with_it(world, monkeypatch):
    monkeypatch.setattr(inbox_store, "MOST_NONCES", 2)
    for number in range(3):
        ts = (NOW + timedelta(seconds=number)).isoformat()
        world.receive(signed(nonce=f"nonce-{number:04}", id=f"e{number}", ts=ts))
    world.receive(signed(nonce="nonce-0000", id="again", ts=NOW.isoformat()))
    assert world.refused == [AnswerReason.REPLAYED]


async def test_a_lower_revision_is_ignored_and_a_cancellation_needs_none(world):
    world.receive(message(revision=2))
    world.receive(message(revision=1, priority=1))
    assert world.repeated == ["e1"]
    later = (NOW + timedelta(seconds=1)).isoformat()
    world.receive(message(action="cancel", start=None, ts=later))
    assert [one.action for one in world.store.pending] == ["schedule", "cancel"]
    before = (NOW - timedelta(seconds=1)).isoformat()
    world.receive(message(action="cancel", start=None, ts=before))
    assert len(world.store.pending) == 2


async def test_an_id_of_the_persons_own_is_left_alone(world):
    world.known["e1"] = SimpleNamespace(revision=0, start=NOW + timedelta(hours=3))
    world.receive(message())
    assert (world.refused, world.store.pending) == ([AnswerReason.NOT_POSSIBLE], [])


async def test_an_event_that_the_controller_had_before_a_crash_is_taken_for_the_aggregators(world):
    world.known["e1"] = SimpleNamespace(revision=0, start=NOW + timedelta(hours=2))
    world.receive(message(start=(NOW + timedelta(hours=2, microseconds=999)).isoformat()))
    assert (world.refused, [one.id for one in world.store.pending]) == ([], ["e1"])


async def test_the_same_message_again_is_not_acknowledged_before_the_first_is_on_disk(world, monkeypatch):
    written, full = world.store.write, True

    def write(snapshot):
        if full:
            raise OSError("No space left on device")
        written(snapshot)

    monkeypatch.setattr(world.store, "write", write)
    world.receive(message())
    task = asyncio.create_task(world.inbox.keep())
    # The connection was lost meanwhile, and the broker sends again what was not acknowledged.
    world.receive(message())
    await asyncio.sleep(2 * inbox.GATHER_S)
    assert world.acknowledged == 0
    full = False
    await wait_for(lambda: world.acknowledged == 2)
    task.cancel()
    world.receive(message())
    assert world.acknowledged == 3, "what is on disk is acknowledged at once"


async def test_delivery_goes_on_until_the_controller_has_it(world):
    attempts = []

    async def send(command):
        attempts.append(command.id)
        if len(attempts) == 1:
            raise ApiError(503, Problem(message="the broker does not answer"))
        if len(attempts) == 2:
            return command.id, None
        return command.id, type("Event", (), {"status": EventStatus.SCHEDULED})()

    world.receive(message())
    task = asyncio.create_task(world.inbox.deliver(send, lambda: USUAL))
    for _ in range(3):
        await asyncio.sleep(0.01)
        world.clock.advance(60)
    await wait_for(lambda: not world.store.pending)
    task.cancel()
    assert attempts == ["e1"] * 3
    assert world.store.last("e1").outcome == "delivered"


async def accepting(command):
    return command.id, SimpleNamespace(status=EventStatus.SCHEDULED, revision=command.revision)


@contextlib.asynccontextmanager
async def delivering(world, send):
    task = asyncio.create_task(world.inbox.deliver(send, lambda: USUAL))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_kept_event_that_no_command_can_be_made_of_is_refused_and_the_next_goes_on(tmp_path):
    store = InboxStore(tmp_path)
    good = judge("all", message(id="good"), rules(), NOW)
    endless = good.model_copy(update={"id": "endless", "start": NOW - timedelta(hours=1), "duration": timedelta(days=9_999_999)})
    for signal in (endless, good):
        store.take(signal, NOW)
    store.write(store.snapshot())
    world = World(tmp_path)
    async with delivering(world, accepting):
        await wait_for(lambda: not world.store.pending)
    assert {event_id: known.outcome for event_id, known in world.store.known.items()} == {"endless": "refused", "good": "delivered"}


async def test_one_that_nobody_answers_for_keeps_no_other_waiting(world):
    tried = []

    async def send(command):
        tried.append(command.id)
        return command.id, None if command.id == "stuck" else SimpleNamespace(status=EventStatus.SCHEDULED)

    world.receive(message(id="stuck"))
    world.receive(message(id="e1"))
    async with delivering(world, send):
        await wait_for(lambda: [one.id for one in world.store.pending] == ["stuck"])
        await wait_for(lambda: tried.count("stuck") > 3)
        world.receive(message(id="e2"))
        await wait_for(lambda: world.store.last("e2").outcome == "delivered")


@pytest.mark.parametrize(
    ("later", "told"),
    [
        ({"action": "cancel", "start": None}, {"status": EventStatus.CANCELLED, "revision": 0}),
        ({"revision": 1, "duration": "PT2H"}, {"status": EventStatus.SCHEDULED, "revision": 1}),
    ],
)
async def test_what_the_controller_did_not_hear_is_sent_until_the_event_stands_as_it_says(later, told, world):
    as_it_was = SimpleNamespace(status=EventStatus.SCHEDULED, revision=0, start=NOW + timedelta(hours=2))
    attempts = []

    async def send(command):
        attempts.append(command.action)
        return command.id, None

    world.known["e1"] = as_it_was
    world.receive(message())
    async with delivering(world, send):
        await wait_for(lambda: not world.store.pending, what="what the event shows already")
        attempts.clear()
        world.receive(message(ts=(NOW + timedelta(seconds=1)).isoformat(), **later))
        await wait_for(lambda: len(attempts) > 3, what="another try")
        assert world.store.last("e1").outcome == "waiting"
        world.known["e1"] = SimpleNamespace(**{**vars(as_it_was), **told})
        await wait_for(lambda: not world.store.pending, what="its end once the event shows it")
    assert world.store.last("e1").outcome == "delivered"


@contextlib.asynccontextmanager
async def working(world, *names):
    tasks = [asyncio.create_task(getattr(world.inbox, name)()) for name in names]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def earliest(number):
    """More events than are taken at once, so many of them."""
    return [message(id=f"e{one}") for one in range(inbox.TAKEN[0] + number)]


async def test_a_backlog_waits_unacknowledged_and_is_taken_in_its_order(world):
    for body in earliest(inbox.MOST_HELD):
        world.receive(body)
    assert (len(world.store.pending), world.refused) == (inbox.TAKEN[0], [])
    later = (NOW + timedelta(seconds=1)).isoformat()
    world.receive(message(id="e0", action="cancel", start=None, ts=later))
    assert world.store.pending[-1].action == "cancel", "what ends a known event does not wait"
    world.receive(message(id="one-too-many"))
    assert (world.refused, world.acknowledged) == ([AnswerReason.TOO_MANY], 1)
    async with working(world, "resume", "keep"):
        await wait_for(lambda: len(world.store.known) == inbox.TAKEN[0] + inbox.MOST_HELD)
        await wait_for(lambda: world.acknowledged == inbox.TAKEN[0] + inbox.MOST_HELD + 2)
    assert list(world.store.known)[-2:] == ["e48", "e49"]


async def test_the_cancellation_of_what_is_held_waits_behind_it(world):
    for body in earliest(1):
        world.receive(body)
    later = (NOW + timedelta(seconds=1)).isoformat()
    world.receive(message(id="e30", action="cancel", start=None, ts=later))
    assert world.store.last("e30") is None
    async with working(world, "resume"):
        await wait_for(lambda: [one.action for one in world.store.pending_of("e30")] == ["schedule", "cancel"])


async def test_what_is_held_comes_again_with_the_next_connection_and_is_held_once(world):
    lost = False
    bodies = earliest(inbox.MOST_HELD)
    for body in bodies:
        world.receive(body, lost=lambda: lost)
    lost = True
    for body in bodies[inbox.TAKEN[0] :]:
        world.receive(body)
    assert world.refused == []
    async with working(world, "resume", "keep"):
        await wait_for(lambda: world.acknowledged == len(bodies))
    assert world.repeated == []


async def test_however_often_one_event_changes_little_of_it_is_pending(world):
    for number in range(2 * inbox_store.MOST_PENDING):
        ts = (NOW + timedelta(seconds=number)).isoformat()
        world.receive(message(revision=number, ts=ts))
        world.receive(message(action="cancel", start=None, ts=ts))
    assert len(world.store.pending) <= inbox_store.MOST_PENDING


async def test_what_is_written_again_and_again_is_all_of_it_each_time(world, tmp_path):
    for number in range(20):
        world.receive(signed(nonce=f"nonce-{number:04}", id=f"e{number}"))
        world.store.write(world.store.snapshot())
    world.store.settle(world.store.pending[0], "delivered")
    world.store.told("e3", "0 scheduled ")
    world.store.presence = True
    world.store.write(world.store.snapshot())
    again = InboxStore(tmp_path)
    assert again.known == world.store.known
    assert (again.pending, again.presence, len(again.known)) == (world.store.pending, True, 20)
    assert again.nonce_of(judge("all", signed(nonce="nonce-0007"), rules(), NOW)) is not None


async def test_a_damaged_inbox_is_begun_anew_and_said_so(tmp_path):
    (tmp_path / inbox_store.FILE).write_text("{")
    store = InboxStore(tmp_path)
    assert store.complaint is not None
    assert store.pending == []
    store.distrust(NOW)
    assert store.below_floor(judge("all", signed(), rules(), NOW)), "without its nonces nothing sent before can be told from a replay"


def test_a_bucket_fills_up_again():
    bucket = Bucket(2, 1)
    assert [bucket.take(0), bucket.take(0), bucket.take(0), bucket.take(1), bucket.take(1.5), bucket.take(100)] == [
        True, True, False, True, False, True,
    ]  # fmt: skip
