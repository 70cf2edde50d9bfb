"""Questions to a recorder that does not answer."""

import asyncio
import socket

import pytest

from services.gateway.problems import ApiError
from services.gateway.recorder_link import RecorderLink


async def test_a_recorder_that_hangs_takes_no_threads_of_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        link = RecorderLink(f"http://127.0.0.1:{mute.getsockname()[1]}")
        asked = [asyncio.create_task(link.get("/api/states")) for _ in range(64)]
        await asyncio.sleep(0)
        await asyncio.to_thread(int)
        assert not any(one.done() for one in asked)
        for one in asked:
            one.cancel()
    # Whoever waits in the queue of the operating system is turned away with the listener.
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError | ApiError) for one in results)


def test_it_names_where_it_asked() -> None:
    with pytest.raises(ApiError, match="does not answer"):
        asyncio.run(RecorderLink("http://127.0.0.1:9").get("/"))
