"""Questions to a recorder: over one connection for as long as it lasts, and to one that does not answer."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.gateway import recorder_link
from services.gateway.problems import ApiError
from services.gateway.recorder_link import RecorderLink


class Recorder(ThreadingHTTPServer):
    """Counts its connections, and hangs up on a question in place of an answer when told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.connections = 0
        self.hang_up = 0
        self.body = b'{"found": 1.5}'

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Page(BaseHTTPRequestHandler):
    server: Recorder
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        if self.server.hang_up:
            self.server.hang_up -= 1
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setattr(recorder_link, "AT_ONCE", 1)
    with Recorder() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


async def test_the_connection_is_kept_from_one_question_to_the_next(recorder: Recorder) -> None:
    link = RecorderLink(recorder.url)
    assert [await link.get("/api/rows") for _ in range(3)] == [{"found": 1.5}] * 3
    assert recorder.connections == 1


async def test_a_recorder_that_was_restarted_meanwhile_is_asked_again_at_once(recorder: Recorder) -> None:
    link = RecorderLink(recorder.url)
    await link.get("/api/rows")
    recorder.hang_up = 1
    assert await link.get("/api/rows") == {"found": 1.5}
    assert recorder.connections == 2
    recorder.hang_up = 2
    with pytest.raises(ApiError, match="does not answer"):
        await link.get("/api/rows")
    assert await link.get("/api/rows") == {"found": 1.5}


async def test_what_is_no_json_is_unusable(recorder: Recorder) -> None:
    for recorder.body in (b"<html>", b'{"found": NaN}', b"\xff"):
        with pytest.raises(ApiError, match="status 200 without JSON"):
            await RecorderLink(recorder.url).get("/api/rows")


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
