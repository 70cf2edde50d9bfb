"""The page as it runs in a container: bound to every interface, asked for under the name that is published."""

import pytest

from services.bus.deployment import Deployment
from services.core.config.load import ConfigError
from services.gateway import publishing
from services.gateway.security import allowed_hosts


@pytest.mark.parametrize("published", [None, "0.0.0.0:8080", "192.168.1.5:8080", "station.example:8080"])
def test_it_refuses_to_be_published_beyond_loopback(published) -> None:
    with pytest.raises(ConfigError, match="SPS_WEB_PUBLISHED") as refused:
        publishing.refuse_beyond_loopback(Deployment(web_host="0.0.0.0", web_published=published))
    assert "no password yet" in str(refused.value)


@pytest.mark.parametrize(
    "deployment",
    [Deployment(), Deployment(web_host="127.0.0.1"), Deployment(web_host="0.0.0.0", web_published="127.0.0.1:9080")],
)
def test_this_machine_may_reach_it(deployment) -> None:
    publishing.refuse_beyond_loopback(deployment)


def test_it_answers_under_the_name_that_is_published() -> None:
    names = allowed_hosts("0.0.0.0", 8080) | publishing.names(Deployment(web_published="127.0.0.1:9080"))
    assert {"127.0.0.1:9080", "localhost:9080", "127.0.0.1:8080"} <= names
    assert "evil.example:9080" not in names
