"""The page's door: its password, its sessions, its forms; and what a file or variable may say."""

import stat
from pathlib import Path

import pytest

from services.aggregator.config import AggregatorFile, load_file, placed
from services.aggregator.page.access import SESSION_S, Access
from services.aggregator.page.guard import allowed_hosts
from services.core.config.load import ConfigError

STATIC = Path(__file__).parents[3] / "services"


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return Access(tmp_path, tmp_path / "secrets", guarded=True)


def test_the_first_password_is_made_once_and_kept_as_a_hash(access: Access, tmp_path: Path) -> None:
    first = access.first_password.read_text(encoding="utf-8").strip()
    assert stat.S_IMODE(access.first_password.stat().st_mode) == 0o600
    assert first not in (tmp_path / "access.json").read_text(encoding="utf-8")
    again = Access(tmp_path, tmp_path / "secrets", guarded=True)
    assert access.first_password.read_text(encoding="utf-8").strip() == first
    assert again.log_in(first, 0.0) is not None
    assert again.log_in("guess", 0.0) is None


def test_a_session_ends_with_time_with_logging_out_and_with_a_new_password(access: Access) -> None:
    access.set_password("correct horse")
    one, two = access.log_in("correct horse", 0.0), access.log_in("correct horse", 0.0)
    assert one is not None
    assert two is not None
    assert access.open_to(one, 1.0)
    assert not access.open_to(one, SESSION_S + 1)
    access.log_out(one)
    assert (access.open_to(one, 1.0), access.open_to(two, 1.0)) == (False, True)
    access.set_password("battery staple")
    assert not access.open_to(two, 1.0)
    assert not access.open_to(None, 1.0)
    with pytest.raises(ValueError, match="10 characters"):
        access.set_password("short")


def test_a_form_belongs_to_its_session(access: Access) -> None:
    token = access.form_token("one")
    assert access.form_holds("one", token)
    assert not access.form_holds("two", token)
    assert not access.form_holds("one", "")
    assert not access.form_holds("one", "é")


def test_a_page_in_a_container_answers_under_its_published_name_only() -> None:
    hosts = allowed_hosts("0.0.0.0", 8091, "fleet.example.org")
    assert "fleet.example.org" in hosts
    assert "evil.example.org" not in hosts


def test_surroundings_place_it_and_beyond_loopback_it_asks_for_a_password() -> None:
    file = placed(
        AggregatorFile(network="n"),
        {"SPS_BROKER_HOST": "mosquitto", "SPS_BROKER_PORT": "8883", "SPS_AGGREGATOR_PAGE_HOST": "0.0.0.0", "SPS_AGGREGATOR_API_HOST": ""},
    )
    assert (file.broker.host, file.broker.port, file.broker.start) == ("mosquitto", 8883, False)
    assert (file.page.guarded, file.api.host) == (True, "127.0.0.1")
    assert not AggregatorFile(network="n").page.guarded
    with pytest.raises(ConfigError, match="SPS_BROKER_PORT: many"):
        placed(file, {"SPS_BROKER_PORT": "many"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SPS_AGGREGATOR_BROKER_PUBLISHED", "dr.example.org"),
        ("SPS_AGGREGATOR_BROKER_PUBLISHED", "dr.example.org:99999"),
        ("SPS_AGGREGATOR_API_PUBLISHED", "dr.example.org:8090"),
        ("SPS_AGGREGATOR_PAGE_PUBLISHED", "http://dr.example.org"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_by_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=variable):
        placed(AggregatorFile(network="n"), {variable: value})


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("network: a/b", "network"),
        ("network: n\ntimezone: Mars/Base", "timezone"),
        ("network: n\nbroker: {host: 0.0.0.0}", "broker"),
        ("network: n\nbroker: {tls: true}", "broker"),
        ("network: n\napi: {cert_file: a.crt}", "api"),
        ("network: n\napi: {host: 0.0.0.0}", "api"),
        ("network: n\napi: {host: 0.0.0.0, published: 'http://dr.example.org'}", "api"),
        ("network: n\npage: {port: 0}", "page.port"),
        ("network: n\npages: {}", "pages"),
        ("- network", "the file"),
    ],
)
def test_a_wrong_file_is_refused_by_its_field(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "aggregator.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_file(path, {})
    assert refused.value.problems[0].field == field


def test_the_shipped_file_is_right() -> None:
    assert load_file(Path("config/aggregator.yaml"), {}).network == "demo-network"


def test_the_fleets_colours_are_the_stations() -> None:
    def colours(path: Path) -> list[str]:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip().startswith("--")]

    ours = colours(STATIC / "aggregator/page/static/fleet.css")
    assert ours
    assert ours == colours(STATIC / "gateway/static/css/page.css")
