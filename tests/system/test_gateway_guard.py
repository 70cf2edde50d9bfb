"""Whom the gateway turns away, over real HTTP: foreign names, foreign pages, forms, floods, and the network."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from services.gateway.security import FORM, MAX_BODY_BYTES
from tests.support.gateway import House


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house")) as house:
        yield house


def raw(house: House, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> http.client.HTTPResponse:
    """A request with exactly these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", house.station.web.port, timeout=5)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def host_of(house: House) -> str:
    return f"127.0.0.1:{house.station.web.port}"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""])
def test_a_foreign_host_header_is_refused(house: House, host: str) -> None:
    assert raw(house, "GET", "/api/state", {"Host": host}).status == 400
    assert raw(house, "GET", "/", {"Host": host}).status == 400


def test_its_own_names_are_accepted(house: House) -> None:
    for name in ("127.0.0.1", "localhost", "LocalHost", "[::1]"):
        assert raw(house, "GET", "/healthz", {"Host": f"{name}:{house.station.web.port}"}).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://localhost:1"])
def test_writes_from_another_site_are_refused(house: House, origin: str) -> None:
    sent = len(house.controller.commands)
    answer = house.post("/api/events", {"start": "now"}, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["field"]) == (403, "Origin")
    assert len(house.controller.commands) == sent


def test_writes_from_its_own_page_are_accepted(house: House) -> None:
    assert house.post("/api/events", {"start": "now"}, headers={"Origin": house.url}).status_code == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_a_form_cannot_write(house: House, kind: str | None) -> None:
    headers = {"Host": host_of(house)} | ({"Content-Type": kind} if kind else {})
    assert raw(house, "POST", "/api/events", headers, b'{"start":"now"}').status == 415


def test_a_large_body_is_refused_with_and_without_a_length(house: House) -> None:
    headers = {"Content-Type": "application/json"}
    body = b'{"start":"' + b"n" * MAX_BODY_BYTES + b'"}'
    assert requests.post(f"{house.url}/api/events", data=body, headers=headers, timeout=5).status_code == 413
    chunks = (body[i : i + 8192] for i in range(0, len(body), 8192))
    assert requests.post(f"{house.url}/api/events", data=chunks, headers=headers, timeout=5).status_code == 413


def test_security_headers_are_on_every_answer(house: House) -> None:
    for path in ("/", "/api/state", "/static/js/shell.js", "/nothing", "/openapi.json"):
        headers = house.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == ("no-cache" if path == "/static/js/shell.js" else "no-store")


def test_static_files_do_not_lead_out(house: House) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert raw(house, "GET", path, {"Host": host_of(house)}).status == 404


def test_nothing_comes_from_elsewhere(house: House) -> None:
    """The page works with the network cable pulled: no file of it names another host, namespaces aside."""
    static = Path(__file__).parents[2] / "services" / "gateway" / "static"
    for file in (f for f in static.rglob("*") if f.suffix in (".html", ".css", ".js", ".svg") and "vendor" not in f.parts):
        assert "http://" not in file.read_text().replace("http://www.w3.org/2000/svg", ""), file
        assert "https://" not in file.read_text(), file


def test_a_form_that_broke_off_is_not_taken_for_a_shorter_one(house: House) -> None:
    sent = len(house.controller.commands)
    names = {"Host": host_of(house), "Origin": house.url, "Content-Type": FORM, "Content-Length": "16"}
    head = "POST /events/start HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in names.items()) + "\r\n"
    with socket.create_connection(("127.0.0.1", house.station.web.port), timeout=5) as connection:
        connection.sendall(head.encode() + b"duration=PT2H")  # the rest would have been "30M"
        connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)
    # Commands go out one by one: once this one is answered, the broken one would have been, too.
    house.post("/api/events", {"start": "now", "duration": "PT1H"})
    assert len(house.controller.commands) == sent + 1
