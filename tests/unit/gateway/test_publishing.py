"""The page as it runs in a container: bound to every interface, asked for under the name that is published."""

from services.bus.deployment import Deployment
from services.gateway import publishing
from services.gateway.security import allowed_hosts


def test_it_answers_under_the_name_that_is_published() -> None:
    names = allowed_hosts("0.0.0.0", 8080) | publishing.names(Deployment(web_published="127.0.0.1:9080"))
    assert {"127.0.0.1:9080", "localhost:9080", "127.0.0.1:8080"} <= names
    assert "evil.example:9080" not in names
    assert publishing.names(Deployment()) == frozenset()
