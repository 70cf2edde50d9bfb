"""Where the page may listen, when that asks for a password, and how it is reached."""

import pytest
from pydantic import ValidationError

from services.core.config.station import Endpoint
from services.core.config.web import WebPage, local_url


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1", "192.168.1.20", "localhost", "station.local"])
def test_the_page_may_listen_anywhere_on_this_machine(host: str) -> None:
    assert WebPage(host=host).host == host


def test_what_has_no_access_control_still_may_not() -> None:
    with pytest.raises(ValidationError, match="no access control"):
        Endpoint(host="0.0.0.0", port=8081)


@pytest.mark.parametrize("host", ["", "http://a", "a:8080", "*", "a b", "-a", "ä"])
def test_what_is_no_address_is_refused_with_what_would_be(host: str) -> None:
    with pytest.raises(ValidationError, match="an address of this machine"):
        WebPage(host=host)


@pytest.mark.parametrize("name", ["http://a", "a/b", "a:", "a:0", "a:99999", "*.example.org", ""])
def test_a_name_is_as_it_is_typed_without_http(name: str) -> None:
    with pytest.raises(ValidationError, match="without http"):
        WebPage(names=(name,))


@pytest.mark.parametrize(
    ("page", "asks"),
    [
        (WebPage(), False),
        (WebPage(host="::1"), False),
        (WebPage(host="localhost"), False),
        (WebPage(host="0.0.0.0"), True),
        (WebPage(host="192.168.1.20"), True),
        (WebPage(names=("station.local",)), True),
        (WebPage(behind_tls=True), True),
        (WebPage(password=True), True),
    ],
)
def test_only_what_stays_on_this_machine_asks_nobody(page: WebPage, asks: bool) -> None:
    assert page.asks is asks


@pytest.mark.parametrize(
    ("page", "url"),
    [
        (WebPage(), "http://127.0.0.1:8080"),
        (WebPage(host="0.0.0.0"), "http://127.0.0.1:8080"),
        (WebPage(host="::"), "http://[::1]:8080"),
        (WebPage(host="192.168.1.20", port=80), "http://192.168.1.20:80"),
        (WebPage(names=("Station.local",)), "http://station.local:8080"),
        (WebPage(names=("station.local:80",)), "http://station.local:80"),
        (WebPage(names=("power.example.org",), behind_tls=True), "https://power.example.org"),
    ],
)
def test_the_page_is_named_as_a_browser_reaches_it(page: WebPage, url: str) -> None:
    assert page.url == url


def test_this_machine_reaches_it_by_loopback_where_it_listens_everywhere() -> None:
    assert local_url("0.0.0.0", 8080) == "http://127.0.0.1:8080"
    assert local_url("localhost", 8080) == "http://localhost:8080"
