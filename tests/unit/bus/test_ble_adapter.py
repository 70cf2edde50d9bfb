"""One lock for the machine's Bluetooth adapter."""

import asyncio
import subprocess
import sys
import textwrap

import pytest

from services.bus.ble import adapter
from tests.support.waiting import wait_for

HOLDER = textwrap.dedent("""
    import asyncio
    from services.bus.ble import adapter
    async def main():
        async with adapter.turn():
            print("held", flush=True)
            await asyncio.sleep(60)
    asyncio.run(main())
""")


@pytest.fixture(autouse=True)
def lock(tmp_path, monkeypatch):
    monkeypatch.setenv("SPS_BLUETOOTH_LOCK", str(tmp_path / "lock"))


async def test_two_take_turns() -> None:
    done: list[str] = []

    async def work(name: str) -> None:
        async with adapter.turn():
            done.append(f"{name} begins")
            await asyncio.sleep(0.05)
            done.append(f"{name} ends")

    await asyncio.gather(work("bridge"), work("relay"))
    assert done in (
        ["bridge begins", "bridge ends", "relay begins", "relay ends"],
        ["relay begins", "relay ends", "bridge begins", "bridge ends"],
    )


async def test_another_process_is_waited_for_and_one_that_dies_lets_go() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE) as holder:  # noqa: ASYNC220 - it is only started
        try:
            assert holder.stdout is not None
            assert await asyncio.to_thread(holder.stdout.readline) == b"held\n"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), adapter.turn():
                    pass
            async with adapter.turn(real=False):
                pass
        finally:
            holder.kill()
        taken = asyncio.create_task(_take())
        await wait_for(taken.done)


async def _take() -> None:
    async with adapter.turn():
        pass
