"""The dead-man is proved on the device or not at all, and the relay ends safe in every case."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.bus.clock import SystemClock
from services.core.config.hardware import RelayDevice
from services.relay_bridge.driver import RelayDriver
from services.relay_bridge.registry import connect
from services.relay_bridge.verify import NotProved, Proof, is_proved, load_proofs, verify_deadman
from services.simulator.devices.faults import Faults
from tests.support.waiting import wait_for
from tests.unit.relay_bridge.emulated import Emulated, shelly

TIMER_S = 3.0


def nothing_on() -> str | None:
    return None


class Case:
    """One device and the proof of its dead-man."""

    def __init__(self, emulated: Emulated, folder: Path, *, safe_on: bool) -> None:
        self.emulated = emulated
        self.folder = folder
        self.safe_on = safe_on
        self.told: list[str] = []
        self.device: RelayDevice = emulated.configured(0.5)
        self.driver: RelayDriver = connect(self.device, time.monotonic)

    async def prove(self, busy: Callable[[], str | None] = nothing_on) -> Proof:
        return await verify_deadman(
            "p1",
            self.device,
            self.driver,
            safe_on=self.safe_on,
            clock=SystemClock(),
            state_dir=self.folder,
            busy=busy,
            timer_s=TIMER_S,
            tell=self.told.append,
        )

    def proved(self) -> bool:
        return is_proved(load_proofs(self.folder), "p1", self.device, safe_on=self.safe_on)

    def is_safe(self) -> bool:
        return self.emulated.switch.output == self.safe_on and self.emulated.switch.timer_left_s is None


@asynccontextmanager
async def case(folder: Path, *, safe_on: bool = True, generation: int = 2) -> AsyncIterator[Case]:
    async with shelly(on=safe_on, generation=generation) as emulated:
        found = Case(emulated, folder, safe_on=safe_on)
        try:
            yield found
        finally:
            found.driver.close()


@pytest.mark.parametrize(("generation", "safe_on"), [(1, True), (2, True), (2, False)])
async def test_a_device_that_flips_by_itself_is_proved(tmp_path: Path, generation: int, safe_on: bool) -> None:
    async with case(tmp_path, safe_on=safe_on, generation=generation) as relay:
        assert not relay.proved()
        proof = await relay.prove()
        assert proof.flipped_after_s == pytest.approx(TIMER_S, abs=1.0)
        assert [moved for moved, _ in relay.emulated.load.moves][-2:] == [not safe_on, safe_on]
        assert relay.is_safe()
        assert relay.proved()
        assert not is_proved(load_proofs(tmp_path), "p1", relay.device.model_copy(update={"channel": 1}), safe_on=safe_on)
        assert not is_proved(load_proofs(tmp_path), "p2", relay.device, safe_on=safe_on)


async def test_while_an_event_runs_nothing_is_touched(tmp_path: Path) -> None:
    async with case(tmp_path) as relay:
        moves = list(relay.emulated.load.moves)
        with pytest.raises(NotProved, match="not now: an event runs"):
            await relay.prove(lambda: "an event runs")
        assert relay.emulated.load.moves == moves
        assert not relay.proved()


async def test_an_event_that_begins_meanwhile_ends_it(tmp_path: Path) -> None:
    async with case(tmp_path) as relay:
        with pytest.raises(NotProved, match="not now: an event begins"):
            await relay.prove(lambda: None if relay.emulated.load.closed else "an event begins")
        assert relay.is_safe()
        assert not relay.proved()


async def test_a_device_that_ignores_its_timer_is_not_proved_and_set_safe(tmp_path: Path) -> None:
    async with case(tmp_path) as relay:
        switch = relay.emulated.switch
        timeless = switch.put
        switch.put = lambda *, on, source, toggle_after_s: timeless(on=on, source=source, toggle_after_s=None)  # type: ignore[method-assign]
        with pytest.raises(NotProved, match="runs no timer"):
            await relay.prove()
        assert relay.is_safe()
        assert not relay.proved()


async def test_a_timer_that_is_told_and_never_fires_is_not_proved_and_set_safe(tmp_path: Path) -> None:
    async with case(tmp_path) as relay:
        switch = relay.emulated.switch
        went = switch.put

        def put(*, on: bool, source: str, toggle_after_s: float | None) -> bool:
            was_on = went(on=on, source=source, toggle_after_s=toggle_after_s)
            if switch._timer is not None:
                switch._timer.cancel()
            return was_on

        switch.put = put  # type: ignore[method-assign]
        with pytest.raises(NotProved, match="its timer does not work"):
            await relay.prove()
        assert relay.is_safe()


async def test_a_flip_that_comes_too_early_is_somebody_elses(tmp_path: Path) -> None:
    async with case(tmp_path) as relay:
        task = asyncio.create_task(relay.prove())
        # Told once the driver has read the switching back: before that, the same hand is another error.
        await wait_for(lambda: relay.told)
        relay.emulated.switch.put(on=True, source="another controller", toggle_after_s=None)
        with pytest.raises(NotProved, match="something else switches it; stop the station"):
            await task
        assert relay.is_safe()


async def test_a_welded_contact_is_not_proved(tmp_path: Path) -> None:
    async with case(tmp_path, safe_on=False) as relay:
        task = asyncio.create_task(relay.prove())
        await wait_for(lambda: relay.emulated.load.closed)
        relay.emulated.switch.suffer(Faults(welded=True))
        with pytest.raises(NotProved, match="welded contact"):
            await task


async def test_stopped_by_hand_the_relay_is_set_safe(tmp_path: Path) -> None:
    async with case(tmp_path) as relay:
        task = asyncio.create_task(relay.prove())
        await wait_for(lambda: not relay.emulated.load.closed)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert relay.is_safe()
        assert relay.emulated.load.closed


async def test_stopped_in_the_middle_of_the_command_the_relay_is_set_safe(tmp_path: Path) -> None:
    async with case(tmp_path) as relay:
        await relay.emulated.suffer(Faults(delay_s=0.2))
        task = asyncio.create_task(relay.prove())
        await wait_for(lambda: not relay.emulated.load.closed)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert relay.is_safe()


async def test_a_lost_answer_while_watching_is_no_failure_but_silence_is(tmp_path: Path) -> None:
    async with case(tmp_path) as relay:
        task = asyncio.create_task(relay.prove())
        await wait_for(lambda: relay.told)  # switched, and read back
        await relay.emulated.suffer(Faults(half=True))
        await asyncio.sleep(0.6)
        await relay.emulated.suffer(Faults())
        assert (await task).flipped_after_s == pytest.approx(TIMER_S, abs=1.0)
        await relay.emulated.suffer(Faults(refuse=True))
        with pytest.raises(NotProved, match="check the device's power"):
            await relay.prove()


async def test_a_spoilt_file_counts_as_no_proof(tmp_path: Path) -> None:
    (tmp_path / "verified.json").write_bytes(b"{]")
    assert load_proofs(tmp_path).proofs == {}
