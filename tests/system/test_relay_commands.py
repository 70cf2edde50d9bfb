"""`sps relay` on emulated relays: the click that tells them apart, and the proof of the dead-man."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.support.house import emulated_shelly
from tests.support.sps import station_file
from tests.unit.relay_bridge.emulated import var_with_secret
from tests.unit.relay_bridge.kinds import KINDS


async def sps(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "services.cli", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=-1, stderr=-1)
    out, err = await asyncio.wait_for(process.communicate(), 150)
    return process.returncode or 0, out.decode(), err.decode()


def configured(folder, broker=None, **relays) -> list[str]:
    """The options for a station whose relays are at these addresses."""
    file = station_file(folder, **({"broker": {"port": broker.port}} if broker else {}))
    station = yaml.safe_load(file.read_text())
    for position, address in relays.items():
        station["positions"][position]["address"] = address
    file.write_text(yaml.safe_dump(station))
    return ["--config", str(file), "--var", str(folder / "var")]


def moves(shelly) -> list[bool]:
    """Every switching of the contact from now on."""
    seen: list[bool] = []
    close = shelly.wire.close

    def noted(closed: bool) -> None:
        if closed != shelly.wire.closed:
            seen.append(closed)
        close(closed)

    shelly.wire.close = noted
    return seen


def say(plain, phase: str, bridge: str = "online") -> None:
    """What a running station retains."""
    ts = datetime.now(UTC).isoformat()
    for service, state in (("controller", "online"), ("relay_bridge", bridge)):
        status = {"ts": ts, "state": state, "version": "1", "since": ts}
        plain.publish(f"sps/demo/service/{service}/status", status, retain=True)
    decision = {"ts": ts, "phase": phase, "mode_commanded": 2, "mode_confirmed": 2, "reason": "r", "reason_code": "c"}
    plain.publish("sps/demo/controller/state", decision, retain=True)


async def test_identify_clicks_and_puts_back_and_asks_before_it_touches_the_load(tmp_path):
    async with emulated_shelly(on=True) as p1, emulated_shelly(on=False) as p2:
        options = configured(tmp_path, p1=p1.address, p2=p2.address)
        p1_moves, p2_moves = moves(p1), moves(p2)
        code, out, err = await sps("relay", "identify", "p2", "--clicks", "2", *options)
        assert (code, "clicked 2 x, and is off again" in out) == (0, True), err
        assert p2_moves == [True, False, True, False]
        for target in ("p1", p1.address):
            code, _, err = await sps("relay", "identify", target, *options)
            assert (code, "--yes" in err) == (2, True), err
        assert p1_moves == []
        code, out, err = await sps("relay", "identify", p1.address, "--clicks", "1", "--yes", *options)
        assert (code, p1_moves, p1.switch.timer_left_s) == (0, [False, True], None), err


async def test_identify_leaves_alone_what_an_event_or_a_timer_holds(tmp_path, broker, plain):
    async with emulated_shelly(on=False) as p2:
        options = configured(tmp_path, broker, p2=p2.address)
        seen = moves(p2)
        await asyncio.to_thread(say, plain, "ongoing")
        code, _, err = await sps("relay", "identify", "p2", *options)
        assert (code, "an event runs" in err) == (1, True), err
        assert seen == []
        await asyncio.to_thread(say, plain, "normal")
        p2.switch.put(on=True, source="test", toggle_after_s=60.0)
        seen.clear()
        code, _, err = await sps("relay", "identify", "p2", *options)
        assert (code, "timer runs" in err, seen) == (1, True, []), err


async def of_kind(name: str, folder: Path) -> str:
    """Both commands on one driver's devices, as a person types them; returns what they said."""
    kind = KINDS[name]
    var = var_with_secret(folder, "relays", kind.password or "")
    async with kind.make(on=True, name="p1") as p1, kind.make(on=False, name="p2") as p2:
        file = station_file(folder)
        station = yaml.safe_load(file.read_text())
        for position, device in (("p1", p1), ("p2", p2)):
            settings = device.configured(2.0).model_dump(mode="json", exclude_defaults=True)
            station["positions"][position] = {"driver": "shelly_gen2"} | settings | ({"secret": "relays"} if kind.password else {})
        file.write_text(yaml.safe_dump(station))
        for device in (p1, p2):
            device.load.moves.clear()
        said = []
        for command in (("identify", "p2", "--clicks", "2"), ("verify-deadman", "p1", "--yes")):
            code, out, err = await sps("relay", *command, "--config", str(file), "--var", str(var))
            assert code == 0, (name, command, out, err)
            said += [f"$ sps relay {' '.join(command)}    # {name}", out]
        assert [closed for closed, _ in p2.load.moves] == [True, False, True, False]
        (opened, opened_at), (closed, closed_at) = p1.load.moves
        assert (opened, closed, p1.left_s, p2.left_s) == (False, True, None, None)
        assert closed_at - opened_at == pytest.approx(10.0, abs=1.5), "by the device's own timer"
    proof = json.loads((var / "relay_bridge" / "verified.json").read_text())["proofs"]["p1"]
    assert proof["driver"] == station["positions"]["p1"]["driver"]
    assert proof["flipped_after_s"] == pytest.approx(10.0, abs=1.5)
    return "\n".join(said)


@pytest.mark.timeout(300)
async def test_every_driver_is_told_apart_by_its_click_and_its_deadman_is_proved_and_the_proof_kept(tmp_path):
    """In real time, all drivers at once; `-s` shows what the commands say."""
    names = ["shelly_gen1", "shelly_gen2", "shelly_gen2, channel 1, digest", "shelly_ble", "kasa", "kasa, KLAP"]
    folders = [tmp_path / str(number) for number in range(len(names))]
    for folder in folders:
        folder.mkdir()
    said = await asyncio.gather(*map(of_kind, names, folders))
    sys.stdout.write("\n" + "\n".join(said))


async def test_deadman_is_not_tested_while_the_station_runs_or_without_a_yes(tmp_path, broker, plain):
    async with emulated_shelly(on=True) as p1:
        options = configured(tmp_path, broker, p1=p1.address)
        seen = moves(p1)
        await asyncio.to_thread(say, plain, "normal", "offline")
        code, _, err = await sps("relay", "verify-deadman", "p1", *options)
        assert (code, "--yes" in err) == (2, True), err
        await asyncio.to_thread(say, plain, "normal")
        code, _, err = await sps("relay", "verify-deadman", "p1", "--yes", *options)
        assert (code, "stop `sps run` first" in err) == (1, True), err
        assert seen == []


async def test_relay_that_does_not_answer_is_one_line(tmp_path):
    options = configured(tmp_path, p2="http://127.0.0.1:9")
    for command in (["identify", "p2"], ["verify-deadman", "p2", "--yes"]):
        code, _, err = await sps("relay", *command, *options)
        assert (code, "Traceback" not in err, "address" in err) == (1, True, True), err
