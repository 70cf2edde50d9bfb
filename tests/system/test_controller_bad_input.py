"""Bad input over a real broker: there is always a decision with its reason, the error names what was wrong, and the service goes on."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from services.controller import frozen
from tests.support.controlling import controlled
from tests.support.waiting import wait_for

pytestmark = pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)
EVENT = "sps/demo/event/e1"


def ts(ago_s=0.0):
    return (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat()


async def says(house, what, within_s=10.0, **wanted):
    await wait_for(lambda: (said := house.said()) and wanted.items() <= said[-1].items(), within_s, what=f"{what}: {wanted}")
    return house.said()[-1]


async def goes_on(house):
    """Another decision comes, with a reason."""
    heard = len(house.said())
    await wait_for(lambda: len(house.said()) > heard, 10, what="the next decision")
    assert house.said()[-1]["reason"]


def errors(plain, field):
    return [h.json for h in plain.on("sps/demo/service/controller/error") if h.json["field"] == field]


@pytest.mark.parametrize(
    ("topic", "body", "field"),
    [
        ("position/p1/reading", '{"ts":"%s","device":"x","power_w":NaN}', "power_w"),
        ("position/p1/reading", '{"ts":"%s","device":"x","power_w":Infinity}', "power_w"),
        ("position/p3/reading", '{"ts":"%s","device":"x","power_w":1e999}', "power_w"),
        ("position/p3/reading", '{"ts":"%s","device":"x","power_w":"much"}', "power_w"),
        ("battery/reading", '{"ts":"%s","device":"x","soc_pct":NaN}', "soc_pct"),
        ("battery/reading", '{"ts":"%s","device":"x","soc_pct":-1}', "soc_pct"),
        ("battery/reading", '{"ts":"%s","device":"x","soc_pct":150}', "soc_pct"),
    ],
)
async def test_a_reading_that_is_no_number_is_refused_by_name_and_the_event_goes_on(broker, plain, tmp_path, topic, body, field):
    async with controlled(broker, plain, tmp_path) as house:
        house.schedule("e1", duration="PT1H")
        await house.goes(on=False)
        opened = len(house.commanded())
        plain.publish(f"sps/demo/{topic}", body % ts(), qos=0)
        await wait_for(lambda: errors(plain, field), what=f"an error about {field}")
        await goes_on(house)
        assert not any(command["on"] for command in house.commanded()[opened:])


async def test_a_reading_that_jumps_beyond_any_meter_or_comes_late_is_not_taken(broker, plain, tmp_path):
    async with controlled(broker, plain, tmp_path) as house:
        house.schedule("e1", duration="PT1H")
        await house.goes(on=False)
        opened = len(house.commanded())
        for _ in range(10):
            house.tell("position/p3/reading", power_w=5000.0, device="played", ts=ts(ago_s=30))
            house.tell("battery/reading", soc_pct=3.0, ac_output_on=False, device="played", ts=ts(ago_s=30))
            house.tell("position/p3/reading", power_w=1e9, device="played")
            await goes_on(house)
            if len(house.said()) > 4:
                break
        assert not any(command["on"] for command in house.commanded()[opened:]), "nothing of it was believed"


async def test_a_load_that_really_jumps_above_the_inverter_hands_the_load_back(broker, plain, tmp_path):
    async with controlled(broker, plain, tmp_path) as house:
        house.schedule("e1", duration="PT1H")
        await house.goes(on=False)
        house.load_w = 2500.0
        await house.goes(on=True)
        await wait_for(lambda: any(said["reason_code"] == "over_inverter" for said in house.said()), what="the reason")


async def test_a_clock_of_a_bridge_that_was_set_back_is_believed_after_some_seconds(broker, plain, tmp_path):
    async with controlled(broker, plain, tmp_path) as house:
        house.now = lambda: datetime.now(UTC) - timedelta(hours=1)
        house.schedule("e1", duration="PT1H")
        await house.goes(on=False, timeout=15)
        await says(house, "confirmed", mode_confirmed=5)


async def test_a_frozen_report_is_noticed_and_the_load_handed_back(broker, plain, tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "AFTER_SWITCHING_S", 3.0)
    async with controlled(broker, plain, tmp_path, battery={"poll_s": 0.5}) as house:
        await goes_on(house)
        house.frozen = True
        house.schedule("e1", duration="PT1H")
        await house.goes(on=False)
        await house.goes(on=True, timeout=20)
        assert any("has frozen" in h.json["message"] for h in plain.on("sps/demo/service/controller/error"))
        await says(house, "its reason", mode_commanded=2)
        house.frozen, house.soc_pct = False, 79.0
        await says(house, "the event to go on once it lives, after the pause of a minute", reason_code="p3_lost")


def baseline(import_w, start):
    begin = datetime.fromisoformat(start)
    hours = [begin + timedelta(hours=n) for n in range(5)]
    intervals = [{"start": a.isoformat(), "end": b.isoformat(), "import_wh": import_w, "load_wh": import_w} for a, b in pairwise(hours)]
    return {"ts": ts(), "event_id": "e1", "method": "test", "days": [], "intervals": intervals}


async def test_a_baseline_that_comes_late_changes_or_goes_is_followed_in_mid_event(broker, plain, tmp_path):
    async with controlled(broker, plain, tmp_path) as house:
        house.schedule("e1", duration="PT1H", goal={"kind": "pledge", "reduction_w": 50})
        event = await house.event_is("e1", "ongoing")
        await wait_for(lambda: (house.said()[-1]["goal_w"] or 0) == pytest.approx(50.0, abs=3), 10, what="to hold what the battery gives")
        plain.publish(f"{EVENT}/baseline", baseline(150.0, event["start"]), retain=True)
        # The import has to be 100 W: half of the load of 200 W.
        await wait_for(lambda: (house.said()[-1]["goal_w"] or 0) == pytest.approx(100.0, abs=3), 10, what="the late baseline")
        plain.publish(f"{EVENT}/baseline", baseline(80.0, event["start"]), retain=True)
        await wait_for(lambda: (house.said()[-1]["goal_w"] or 0) == pytest.approx(170.0, abs=3), 10, what="the changed baseline")
        plain.publish(f"{EVENT}/baseline", baseline(80.0, event["start"]) | {"intervals": [{"start": 1}]}, retain=True)
        await goes_on(house)
        assert house.said()[-1]["goal_w"] == pytest.approx(170.0, abs=3), "a bad one is refused as a whole"
        plain.publish(f"{EVENT}/baseline", b"", retain=True)
        await wait_for(lambda: (house.said()[-1]["goal_w"] or 0) == pytest.approx(50.0, abs=3), 10, what="the baseline to go")


async def test_an_event_amended_shortened_extended_and_cancelled_while_it_runs(broker, plain, tmp_path):
    async with controlled(broker, plain, tmp_path) as house:
        house.schedule("e1", duration="PT2H")
        first = await house.event_is("e1", "ongoing")
        await house.goes(on=False)

        async def amended(revision, **more):
            house.schedule("e1", revision=revision, **more)
            await wait_for(lambda: plain.on(EVENT)[-1].json["revision"] == revision, what=f"revision {revision}")
            return plain.on(EVENT)[-1].json

        longer = await amended(1, duration="PT3H")
        assert longer["start"] == first["start"]
        assert longer["end"] > first["end"]
        shorter = await amended(2, duration="PT1H")
        assert shorter["end"] < first["end"]
        limit = await amended(3, duration="PT1H", goal={"kind": "limit", "import_w": 10_000})
        assert limit["goal"]["kind"] == "limit"
        await says(house, "a goal above the load asks for nothing", reason_code="nothing_to_reduce")
        await amended(4, duration="PT1H", goal={"kind": "minimize"})
        await house.goes(on=False)
        plain.publish("sps/demo/event/command", {"id": "e1", "action": "cancel"})
        await house.event_is("e1", "cancelled")
        await house.goes(on=True)
        house.schedule("e1", revision=9, duration="PT1H")
        await goes_on(house)
        assert plain.on(EVENT)[-1].json["status"] == "cancelled", "what was cancelled does not come back"


async def test_shortened_to_what_is_over_already_an_event_ends_now(broker, plain, tmp_path):
    async with controlled(broker, plain, tmp_path) as house:
        house.schedule("e1", duration="PT2H")
        first = await house.event_is("e1", "ongoing")
        await house.goes(on=False)
        house.schedule("e1", start=first["start"], revision=1, duration="PT1S")
        await house.event_is("e1", "completed")


@pytest.mark.parametrize(
    ("goal", "accepted"),
    [
        ({"kind": "pledge", "reduction_w": -1}, False),
        ({"kind": "limit", "import_w": 1e9}, False),
        ({"kind": "pledge", "reduction_w": 90_000}, True),
        ({"kind": "limit", "import_w": 0}, True),
        ({"kind": "pledge", "reduction_w": 0}, True),
    ],
)
async def test_goals_below_zero_and_above_load_and_inverter(broker, plain, tmp_path, goal, accepted):
    async with controlled(broker, plain, tmp_path) as house:
        house.schedule("e1", duration="PT1H", goal=goal)
        if not accepted:
            await wait_for(lambda: errors(plain, "goal"), what="an error about the goal")
            assert not plain.on(EVENT)
        else:
            await house.event_is("e1", "ongoing")
            said = await says(house, "a decision", event_id="e1", phase="ongoing")
            assert said["goal_w"] is None or 0.0 <= said["goal_w"] <= 201.0
        await goes_on(house)
