"""Who gets in and who does not, over real HTTP: each rule both ways."""

import http.client
import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from services.bus.deployment import Deployment
from services.gateway.access.throttle import FREE
from tests.support.access import GuardedHouse
from tests.support.gateway import House
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedHouse]:
    with GuardedHouse(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
def own(tmp_path: Path) -> Iterator[GuardedHouse]:
    """A house of its own, for tests that leave it changed."""
    with GuardedHouse(tmp_path) as house:
        yield house


def test_on_loopback_it_is_open_as_before_and_says_so(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert house.get("/api/state").status_code == 200
        assert house.post("/api/events", {"start": "now"}).status_code == 201
        assert "open to this machine only" in house.get("/access").text
        assert house.get("/login", allow_redirects=False).headers["Location"] == "/"
        refused = requests.post(
            f"{house.url}/access/tokens", data={"name": "x", "scopes": "read"}, headers={"Origin": house.url}, timeout=5
        )
        assert (refused.status_code, "access control is off" in refused.text) == (409, True)
        assert not (tmp_path / "secrets").exists()


def test_in_a_container_it_asks_although_nothing_else_says_so(tmp_path: Path) -> None:
    with House(tmp_path, deployment=Deployment(web_host="127.0.0.1", web_published="localhost:18080")) as house:
        assert house.get("/healthz", headers={"Host": "localhost:18080"}).status_code == 200
        assert house.get("/healthz", headers={"Host": "localhost:18081"}).status_code == 400
        assert house.get("/api/state").status_code == 401
        assert house.get("/healthz").status_code == 200


def test_beyond_loopback_it_asks_and_answers_under_addresses_and_listed_names_only(tmp_path: Path) -> None:
    with GuardedHouse(tmp_path, host="0.0.0.0", password=False, names=("station.local",)) as house:
        port = house.station.web.port
        for host in ("192.168.1.20:8080", "[fd00::5]:80", "10.0.0.1", f"station.local:{port}", "station.local", f"localhost:{port}"):
            assert house.get("/api/state", headers={"Host": host}).status_code == 401, host
        for host in (
            "evil.example",
            f"evil.example:{port}",
            "station.local.evil.example",
            "192.168.1.20.evil.example",
            "user@10.0.0.1",
            "10.0.0.1/x",
            "10.0.0.1:99999",
            "10.0.0.1:x",
            "[::1",
        ):
            refused = house.get("/api/state", headers={"Host": host})
            assert (refused.status_code, "web.names" in refused.text) == (400, True), host


def test_a_stranger_gets_the_login_page_or_a_401_and_nothing_else(house: GuardedHouse) -> None:
    page = house.browser().visit("/")
    assert (page.status_code, page.headers["Location"]) == (303, "/login")
    assert house.browser().visit("/access").headers["Location"] == "/login?next=/access"
    for path in (
        "/api/state",
        "/api/stream",
        "/static/js/shell.js",
        "/static/",
        "/openapi.json",
        "/metrics",
        "/nothing",
        "/static/css/page.css",
    ):
        refused = house.get(path)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        assert refused.json()["remedy"]
    for path in ("/login", "/healthz", "/static/css/plain.css", "/static/favicon.svg"):
        assert house.get(path).status_code == 200, path
    assert set(house.get("/healthz").json()) == {"status", "bus", "deciding", "detail"}
    assert house.post("/api/events", {"start": "now"}).status_code == 401
    assert house.controller.commands == []


def test_an_open_page_whose_session_has_ended_is_led_to_the_login(house: GuardedHouse) -> None:
    answer = house.get("/devices/list", headers={"HX-Request": "true", "Accept": "*/*"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login")


@pytest.mark.parametrize("path", ["/login/", "/login/../api/state", "//login", "/healthz/x", "/static/css/plain.css/../page.css", "/LOGIN"])
def test_what_only_looks_like_an_open_path_is_not(house: GuardedHouse, path: str) -> None:
    request = requests.Request("GET", house.url).prepare()
    request.url = house.url + path
    with requests.Session() as session:
        answer = session.send(request, timeout=5, allow_redirects=False)
    assert answer.status_code == 401, answer.text


def test_the_first_password_lies_in_a_private_file_and_is_kept_as_a_hash(house: GuardedHouse) -> None:
    assert stat.S_IMODE(house.first_password_file.stat().st_mode) == 0o600
    kept = json.loads(house.store.path.read_text())
    assert kept["password_hash"].startswith("$argon2id$")
    assert house.password not in house.store.path.read_text()
    assert stat.S_IMODE(house.store.path.stat().st_mode) == 0o600


def test_the_password_opens_and_the_cookie_is_for_http_alone(house: GuardedHouse) -> None:
    browser = house.browser()
    answer = browser.form("/login", password=house.password, next="/access")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/access")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie, "over plain HTTP a browser would drop it"
    assert "Strict-Transport-Security" not in answer.headers
    for path in ("/", "/api/state", "/static/js/shell.js", "/openapi.json", "/access"):
        assert browser.visit(path).status_code == 200, path
    assert browser.visit("/login").headers["Location"] == "/"


def test_a_wrong_password_is_told_and_not_let_in(own: GuardedHouse) -> None:
    browser = own.browser()
    answer = browser.form("/login", password="wrong")
    assert answer.status_code == 401
    assert "The password is wrong" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert "wrong" not in str(answer.url)
    for odd in ("", " ", own.password + " ", own.password.upper(), "\x00", "x" * 1000, "🔑" * 100):
        assert own.browser().form("/login", password=odd).status_code in (401, 429)
    assert browser.visit("/api/state").status_code == 401


def test_many_wrong_passwords_make_wait_and_are_told_how_long(own: GuardedHouse) -> None:
    browser = own.browser()
    for _ in range(3):
        assert browser.form("/login", password="wrong").status_code == 401
    refused = browser.form("/login", password=own.password)
    assert refused.status_code == 429, "not even the right one is looked at"
    assert 1 <= int(refused.headers["Retry-After"]) <= 2
    assert "try again in" in refused.text
    # It is a wait, not a lock: the page says how long, and then the right one opens.
    wait_until(lambda: own.browser().form("/login", password=own.password).status_code == 303, 10, what="the wait to be over")


def test_a_flood_of_logins_is_answered_and_the_rest_lives_on(own: GuardedHouse) -> None:
    session = own.browser().log_in()
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(own.browser().form("/login", password="wrong").status_code)) for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    assert session.visit("/api/state").status_code == 200
    for thread in threads:
        thread.join()
    assert set(statuses) <= {401, 429}
    assert statuses.count(401) <= 3


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "/\t/evil.example", "/login"]
)
def test_a_login_leads_nowhere_else(house: GuardedHouse, target: str) -> None:
    assert house.browser().form("/login", password=house.password, next=target).headers["Location"] == "/"
    assert "evil" not in house.browser().get(f"{house.url}/login", params={"next": target}, timeout=5).text


def test_a_session_is_always_a_new_one(house: GuardedHouse) -> None:
    browser = house.browser()
    browser.cookies.set("sps_session", "chosen-by-somebody-else")
    browser.log_in()
    assert browser.visit("/api/state").status_code == 200
    stale = requests.get(f"{house.url}/api/state", cookies={"sps_session": "chosen-by-somebody-else"}, timeout=5)
    assert stale.status_code == 401


def test_a_second_login_ends_the_first_session_of_that_browser(house: GuardedHouse) -> None:
    browser = house.browser().log_in()
    old = browser.cookies["sps_session"]
    browser.log_in()
    assert browser.cookies["sps_session"] != old
    assert requests.get(f"{house.url}/api/state", cookies={"sps_session": old}, timeout=5).status_code == 401


def test_logging_out_ends_the_session_on_the_server(house: GuardedHouse) -> None:
    browser, other = house.browser().log_in(), house.browser().log_in()
    kept = browser.cookies["sps_session"]
    answer = browser.form("/logout", csrf=browser.csrf())
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert requests.get(f"{house.url}/api/state", cookies={"sps_session": kept}, timeout=5).status_code == 401
    assert other.visit("/api/state").status_code == 200


def test_logging_out_everywhere_ends_all_and_open_streams_too(own: GuardedHouse) -> None:
    browser, other = own.browser().log_in(), own.browser().log_in()
    with other.get(f"{own.url}/api/stream", stream=True, timeout=20) as stream:
        lines = stream.iter_lines()
        next(lines)
        assert browser.form("/logout", csrf=browser.csrf(), everywhere="true").status_code == 303
        own.decision(reason="something to stream")
        for _ in lines:  # ends, or the time-out fails the test
            pass
    assert other.visit("/api/state").status_code == 401


def test_a_browsers_write_needs_the_token_against_forgery(house: GuardedHouse) -> None:
    browser = house.browser().log_in()
    token, sent = browser.csrf(), len(house.controller.commands)

    def write(**headers: str) -> int:
        return browser.post(f"{house.url}/api/events", json={"start": "now"}, headers=headers, timeout=5).status_code

    assert write() == 403
    assert write(**{"X-CSRF-Token": "guessed"}) == 403
    assert write(**{"X-CSRF-Token": house.browser().log_in().csrf()}) == 403, "another session's"
    assert browser.form("/access/tokens", name="forged", scopes="admin").status_code == 403
    assert browser.form("/access/tokens", name="forged", scopes="admin", csrf="é").status_code == 403
    assert browser.form("/logout", csrf="").status_code == 403
    assert len(house.controller.commands) == sent
    assert write(**{"X-CSRF-Token": token}) in (200, 201, 202)


def test_forms_of_other_sites_are_refused_even_with_everything_else_right(house: GuardedHouse) -> None:
    browser = house.browser().log_in()
    token = browser.csrf()
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{house.station.web.port}"):
        refused = browser.form("/access/tokens", headers={"Origin": origin}, name="x", scopes="read", csrf=token)
        assert refused.status_code == 403, origin
    assert browser.form("/login", headers={"Origin": "http://evil.example"}, password=house.password).status_code == 403


def test_a_form_reaches_no_route_of_the_api(house: GuardedHouse) -> None:
    browser = house.browser().log_in()
    assert browser.form("/api/events", start="now", csrf=browser.csrf()).status_code == 415
    answer = browser.post(f"{house.url}/login", files={"password": "x"}, timeout=5)
    assert answer.status_code == 415


def test_the_password_is_changed_on_the_page_and_the_first_one_is_gone(own: GuardedHouse) -> None:
    browser, other, first = own.browser().log_in(), own.browser().log_in(), own.password
    assert str(own.first_password_file) in browser.visit("/access").text
    new = "four words of mine"
    csrf = browser.csrf()
    for fields, why in [
        ({"old": first, "new": "short", "again": "short"}, "too short"),
        ({"old": first, "new": new, "again": new + "x"}, "not typed the same"),
        ({"old": first, "new": first, "again": first}, "old password"),
        ({"old": "wrong", "new": new, "again": new}, "password is wrong"),
    ]:
        refused = browser.form("/access/password", csrf=csrf, **fields)
        assert (refused.status_code, why in refused.text) == (400, True), why
    assert browser.form("/access/password", csrf=csrf, old=first, new=new, again=new).status_code == 303
    assert not own.first_password_file.exists()
    assert browser.visit("/access").status_code == 200
    assert "first password" not in browser.visit("/access").text
    assert other.visit("/access").status_code == 303, "logged out elsewhere"
    assert own.browser().form("/login", password=first).status_code == 401
    own.stop_gateway()
    own.start_gateway()
    assert not own.first_password_file.exists(), "no new first password is made"
    own.browser().log_in(new)


def test_a_token_is_made_shown_once_used_and_revoked(own: GuardedHouse) -> None:
    browser = own.browser().log_in()
    answer = browser.form("/access/tokens", name="my script", scopes=["read", "events"], csrf=browser.csrf())
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    word = answer.text.split('<code id="token">')[1].split("<")[0]
    assert word not in browser.visit("/access").text
    headers = {"Authorization": f"Bearer {word}"}
    assert own.get("/api/state", headers=headers).status_code == 200
    assert own.post("/api/events", {"start": "now"}, headers=headers).status_code == 201, "and no token against forgery"
    assert own.get("/api/state", headers={"Authorization": f"bearer   {word}"}).status_code == 200
    for wrong in (f"Bearer {word}x", "Bearer", "Bearer ", f"Basic {word}", word, "Bearer ä"):
        assert requests.get(f"{own.url}/api/state", headers={"Authorization": wrong.encode()}, timeout=5).status_code == 401, wrong
    (kept,) = own.store.current().tokens
    with requests.get(f"{own.url}/api/stream", headers=headers, stream=True, timeout=20) as stream:
        lines = stream.iter_lines()
        next(lines)
        assert browser.form(f"/access/tokens/{kept.id}/revoke", csrf=browser.csrf()).status_code == 303
        for _ in lines:
            pass
    assert own.get("/api/state", headers=headers).status_code == 401
    assert browser.form(f"/access/tokens/{kept.id}/revoke", csrf=browser.csrf()).status_code == 400
    for fields, why in [
        ({"name": "x"}, "at least one"),
        ({"name": "", "scopes": "read"}, "Give the token a name"),
        ({"name": "<script>", "scopes": "read"}, "name"),
    ]:
        refused = browser.form("/access/tokens", csrf=browser.csrf(), **fields)
        assert (refused.status_code, why in refused.text) == (400, True)
        assert "<script>" not in refused.text


def test_a_wrong_token_is_not_saved_by_a_good_cookie(house: GuardedHouse) -> None:
    browser = house.browser().log_in()
    assert browser.get(f"{house.url}/api/state", headers={"Authorization": "Bearer wrong"}, timeout=5).status_code == 401


def test_the_password_of_a_proxy_in_front_is_none_of_ours(house: GuardedHouse) -> None:
    basic = {"Authorization": "Basic c29tZW9uZTpzb21ldGhpbmc=", "Accept": "text/html"}
    assert house.get("/", headers=basic, allow_redirects=False).headers["Location"] == "/login"
    assert house.get("/api/state", headers=basic).status_code == 401
    browser = house.browser().log_in()
    assert browser.get(f"{house.url}/", headers=basic, timeout=10).status_code == 200


def test_a_restart_asks_again_and_takes_the_same_password_and_tokens(own: GuardedHouse) -> None:
    browser, headers, password = own.browser().log_in(), own.bearer("read"), own.password
    own.stop_gateway()
    own.start_gateway()
    assert browser.visit("/").status_code == 303
    assert own.get("/api/state", headers=headers).status_code == 200
    assert own.password == password
    own.browser().log_in()


def test_a_damaged_record_lets_nobody_in_and_the_page_says_so(own: GuardedHouse) -> None:
    browser, headers = own.browser().log_in(), own.bearer("admin")
    own.store.path.write_text("{ not json")
    assert browser.visit("/api/state").status_code == 401
    assert own.get("/api/state", headers=headers).status_code == 401
    assert "sps access password" in own.browser().form("/login", password=own.password).text
    wait_until(lambda: own.client.on(f"sps/{own.station.station}/service/gateway/error"), 5, what="the service's error")
    own.stop_gateway()
    own.start_gateway()
    assert own.get("/healthz").status_code == 200, "it serves on"
    assert own.store.path.read_text() == "{ not json", "and leaves the file to its person"


def test_behind_tls_the_cookie_is_secure_and_the_origin_https(tmp_path: Path) -> None:
    with GuardedHouse(tmp_path, password=False, behind_tls=True, names=("power.example.org",)) as house:
        there = {"Host": "power.example.org"}
        answer = house.browser().form("/login", password=house.password, headers={**there, "Origin": "https://power.example.org"})
        assert answer.status_code == 303
        assert answer.headers["Set-Cookie"].startswith("__Host-sps_session=")
        assert "Secure" in answer.headers["Set-Cookie"]
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        refused = house.browser().form("/login", password=house.password, headers={**there, "Origin": "http://power.example.org"})
        assert refused.status_code == 403
        for n in range(4):
            house.browser().form(
                "/login", password="wrong", headers={**there, "Origin": "https://power.example.org", "X-Forwarded-For": "1.1.1.1"}
            )
            last = house.browser().form(
                "/login",
                password="wrong" if n < 3 else house.password,
                headers={**there, "Origin": "https://power.example.org", "X-Forwarded-For": f"1.1.1.1, 9.9.9.{n}"},
            )
        assert last.status_code == 303, "another client behind the same proxy does not wait"


def test_a_forged_line_above_the_proxys_own_does_not_save_from_the_wait(tmp_path: Path) -> None:
    with GuardedHouse(tmp_path, password=False, behind_tls=True, names=("power.example.org",)) as house:
        for n in range(FREE + 1):
            connection = http.client.HTTPConnection("127.0.0.1", house.station.web.port, timeout=10)
            connection.putrequest("POST", "/login", skip_host=True)
            body = b"password=wrong"
            for name, value in (
                ("Host", "power.example.org"),
                ("Origin", "https://power.example.org"),
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Content-Length", str(len(body))),
                ("X-Forwarded-For", f"1.1.1.{n}"),
                ("X-Forwarded-For", "9.9.9.9"),
            ):
                connection.putheader(name, value)
            connection.endheaders(body)
            last = connection.getresponse().status
            connection.close()
        assert last == 429


def test_no_page_of_access_needs_what_the_policy_forbids(house: GuardedHouse) -> None:
    browser = house.browser().log_in()
    for page in (house.browser().visit("/login"), browser.visit("/access")):
        assert all("src=" in tag.split(">")[0] for tag in page.text.split("<script")[1:])
        assert "style=" not in page.text
        assert " on" + "click" not in page.text
        assert "form-action 'self'" in page.headers["Content-Security-Policy"]
        assert page.headers["Referrer-Policy"] == "same-origin"


def test_where_secrets_cannot_be_written_the_first_password_lies_with_the_state(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("in the way of the folder, as a read-only mount would be")
    with GuardedHouse(tmp_path) as house:
        file = house.var / "gateway" / "first-password"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        browser = house.browser().log_in(file.read_text().strip())
        assert str(file) in browser.visit("/access").text
