"""The emulated Shelly behaves on the wire as the vendor's documentation says."""

import asyncio
import time

import pytest
import requests

from tests.support.house import emulated_shelly, get, post, rpc
from tests.support.waiting import wait_for


async def test_set_answers_what_was_and_moves_the_contact():
    async with emulated_shelly(on=True) as shelly:
        assert (await rpc(shelly.address, "Switch.Set", id=0, on=False))["result"] == {"was_on": True}
        assert not shelly.wire.closed
        assert (await rpc(shelly.address, "Switch.Set", id=0, on=False))["result"] == {"was_on": False}
        assert (await rpc(shelly.address, "Switch.Toggle", id=0))["result"] == {"was_on": False}
        assert shelly.wire.closed


async def test_frames_carry_the_callers_id_and_name():
    async with emulated_shelly() as shelly:
        frame = await rpc(shelly.address, "Switch.GetStatus", id=0)
        assert (frame["id"], frame["dst"]) == (7, "test")
        assert frame["src"].startswith("shellyplus1pm-")


async def test_status_has_the_documented_fields():
    async with emulated_shelly(on=True, power_w=460.0) as shelly:
        shelly.wire.energy_wh = 12.3456
        status = (await get(f"{shelly.address}/rpc/Switch.GetStatus?id=0")).json()
        assert status["id"] == 0
        assert status["source"] == "init"
        assert status["output"] is True
        assert (status["apower"], status["voltage"], status["current"], status["freq"], status["pf"]) == (460.0, 230.0, 2.0, 50.0, 1.0)
        assert status["aenergy"]["total"] == 12.346
        assert len(status["aenergy"]["by_minute"]) == 3
        assert set(status["temperature"]) == {"tC", "tF"}
        assert "timer_started_at" not in status
        whole = (await get(f"{shelly.address}/rpc/Shelly.GetStatus")).json()
        assert whole["switch:0"]["output"] is True
        assert whole["sys"]["restart_required"] is False


async def test_device_info_is_the_same_without_rpc():
    async with emulated_shelly() as shelly:
        info = (await get(f"{shelly.address}/shelly")).json()
        assert info == (await rpc(shelly.address, "Shelly.GetDeviceInfo"))["result"]
        assert (info["gen"], info["auth_en"], info["auth_domain"], info["app"]) == (2, False, None, "Plus1PM")


async def test_a_timer_flips_back_in_real_seconds():
    async with emulated_shelly(on=True) as shelly:
        await rpc(shelly.address, "Switch.Set", id=0, on=False, toggle_after=0.3)
        started = time.monotonic()
        status = (await rpc(shelly.address, "Switch.GetStatus", id=0))["result"]
        assert status["timer_duration"] == 0.3
        assert abs(status["timer_started_at"] - time.time()) < 5
        await wait_for(lambda: shelly.wire.closed, what="the timer")
        assert 0.2 < time.monotonic() - started < 3.0
        status = (await rpc(shelly.address, "Switch.GetStatus", id=0))["result"]
        assert status["source"] == "timer"
        assert "timer_started_at" not in status


async def test_a_new_set_replaces_the_timer_and_a_plain_one_cancels_it():
    async with emulated_shelly(on=True) as shelly:
        for _ in range(4):
            await rpc(shelly.address, "Switch.Set", id=0, on=False, toggle_after=1.0)
            await asyncio.sleep(0.3)
            assert not shelly.wire.closed
        await rpc(shelly.address, "Switch.Set", id=0, on=False)
        await asyncio.sleep(1.1)
        assert not shelly.wire.closed


async def test_auto_off_comes_from_the_configuration():
    async with emulated_shelly(on=False) as shelly:
        change = {"auto_off": True, "auto_off_delay": 0.1}
        assert (await rpc(shelly.address, "Switch.SetConfig", id=0, config=change))["result"] == {"restart_required": False}
        await rpc(shelly.address, "Switch.Set", id=0, on=True)
        assert shelly.wire.closed
        await wait_for(lambda: not shelly.wire.closed, what="auto_off")


async def test_configuration_is_kept_over_a_reboot_and_rules_the_boot_state():
    async with emulated_shelly(on=False) as shelly:
        await rpc(shelly.address, "Switch.SetConfig", id=0, config={"initial_state": "on", "name": "P1"})
        await shelly.device.reboot()
        assert shelly.wire.closed
        config = (await rpc(shelly.address, "Switch.GetConfig", id=0))["result"]
        assert (config["id"], config["initial_state"], config["name"]) == (0, "on", "P1")


async def test_counters_can_be_reset():
    async with emulated_shelly() as shelly:
        shelly.wire.energy_wh = 5.0
        assert (await rpc(shelly.address, "Switch.ResetCounters", id=0))["result"] == {"aenergy": {"total": 5.0}}
        shelly.wire.energy_wh = 7.0
        assert (await rpc(shelly.address, "Switch.GetStatus", id=0))["result"]["aenergy"]["total"] == 2.0


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("Switch.Sett", {"id": 0}, 404),
        ("Switch.GetStatus", {}, -103),
        ("Switch.GetStatus", {"id": 3}, -105),
        ("Switch.GetStatus", {"id": "0"}, -103),
        ("Switch.GetStatus", {"id": False}, -103),
        ("Switch.Set", {"id": 0}, -103),
        ("Switch.Set", {"id": 0, "on": 1}, -103),
        ("Switch.Set", {"id": 0, "on": True, "toggle_after": 0}, -103),
        ("Switch.Set", {"id": 0, "on": True, "toggle_after": "soon"}, -103),
        ("Switch.SetConfig", {"id": 0, "config": {"initial_state": "maybe"}}, -103),
        ("Switch.SetConfig", {"id": 0, "config": {"colour": "red"}}, -103),
    ],
)
async def test_errors_come_in_the_frame(method: str, params: dict[str, object], code: int):
    async with emulated_shelly(on=True) as shelly:
        answer = await post(f"{shelly.address}/rpc", {"id": 1, "method": method, "params": params})
        assert answer.status_code == 200
        assert answer.json()["error"]["code"] == code
        assert shelly.wire.closed


async def test_errors_of_the_get_form_come_as_http_errors():
    async with emulated_shelly() as shelly:
        unknown = await get(f"{shelly.address}/rpc/Switch.Nothing")
        assert (unknown.status_code, unknown.json()["code"]) == (404, 404)
        missing = await get(f"{shelly.address}/rpc/Switch.GetStatus")
        assert (missing.status_code, missing.json()["code"]) == (500, -103)
        done = await get(f"{shelly.address}/rpc/Switch.Set?id=0&on=false&toggle_after=30")
        assert done.json() == {"was_on": True}


async def test_nonsense_from_the_client_does_not_hurt():
    async with emulated_shelly() as shelly:
        for body in (b"", b"{", b"[]", b"\xff", b"[" * 50_000):
            answer = await asyncio.to_thread(requests.post, f"{shelly.address}/rpc", data=body, timeout=5)
            assert answer.status_code == 400
        for frame in ({}, {"id": 1, "method": 5}, {"id": 1, "method": "Switch.Set", "params": [1]}):
            assert (await post(f"{shelly.address}/rpc", frame)).json()["error"]["code"] == -103
        too_large = await asyncio.to_thread(requests.post, f"{shelly.address}/rpc", data=b"x" * 70_000, timeout=5)
        assert too_large.status_code == 413
        assert (await get(f"{shelly.address}/shelly")).ok


@pytest.mark.parametrize("fault", ["silent", "refuse", "half"])
async def test_a_device_that_does_not_answer(fault: str):
    async with emulated_shelly() as shelly:
        await shelly.suffer(**{fault: True})
        with pytest.raises(requests.RequestException):
            await get(f"{shelly.address}/shelly", timeout=0.3)
        await shelly.suffer()
        assert (await get(f"{shelly.address}/shelly")).ok


async def test_a_device_that_answers_rubbish_or_late():
    async with emulated_shelly() as shelly:
        await shelly.suffer(http_500=True)
        assert (await get(f"{shelly.address}/shelly")).status_code == 500
        await shelly.suffer(nonsense=True)
        with pytest.raises(requests.JSONDecodeError):
            (await get(f"{shelly.address}/shelly")).json()
        await shelly.suffer(delay_s=0.3)
        started = time.monotonic()
        assert (await get(f"{shelly.address}/shelly")).ok
        assert time.monotonic() - started >= 0.3


async def test_a_command_is_carried_out_though_its_answer_is_lost():
    async with emulated_shelly(on=True) as shelly:
        await shelly.suffer(half=True)
        with pytest.raises(requests.RequestException):
            await rpc(shelly.address, "Switch.Set", id=0, on=False)
        assert not shelly.wire.closed


async def test_a_welded_contact_reports_off_and_carries_power():
    async with emulated_shelly(on=True) as shelly:
        await shelly.suffer(welded=True)
        await rpc(shelly.address, "Switch.Set", id=0, on=False)
        status = (await rpc(shelly.address, "Switch.GetStatus", id=0))["result"]
        assert (status["output"], status["apower"]) == (False, 120.0)
        await shelly.suffer()
        assert (await rpc(shelly.address, "Switch.GetStatus", id=0))["result"]["apower"] == 0.0


async def test_a_lying_device_reports_the_opposite():
    async with emulated_shelly(on=True) as shelly:
        await shelly.suffer(wrong_state=True)
        status = (await rpc(shelly.address, "Switch.GetStatus", id=0))["result"]
        assert (status["output"], status["apower"]) == (False, 120.0)


async def test_without_power_it_is_silent_and_forgets_its_timer():
    async with emulated_shelly(on=True) as shelly:
        await rpc(shelly.address, "Switch.Set", id=0, on=False, toggle_after=0.2)
        await shelly.device.power(False)
        with pytest.raises(requests.Timeout):
            await get(f"{shelly.address}/shelly", timeout=0.4)
        assert not shelly.wire.closed
        await shelly.device.power(True)
        assert shelly.wire.closed
        assert (await rpc(shelly.address, "Switch.GetStatus", id=0))["result"]["source"] == "init"


async def test_a_kept_connection_is_answered_in_one_piece_and_fast():
    async with emulated_shelly() as shelly:

        def calls() -> float:
            with requests.Session() as session:
                times = []
                for _ in range(50):
                    started = time.perf_counter()
                    session.get(f"{shelly.address}/rpc/Switch.GetStatus?id=0", timeout=5).json()
                    times.append(time.perf_counter() - started)
            return sorted(times)[25]

        # Two sends would cost 40 ms each time.
        assert await asyncio.to_thread(calls) < 0.02
