"""The page in a container: it listens for the container's network, and people reach it where the container publishes it."""

from urllib.parse import urlsplit

from services.bus.deployment import Deployment
from services.core.config.load import ConfigError, Problem
from services.core.config.station import is_loopback


def refuse_beyond_loopback(deployment: Deployment) -> None:
    """Raise ConfigError for a page that others than this machine could reach: it has no access control yet.

    The one place to lift this, once it has.
    """
    if deployment.web_host is None or is_loopback(deployment.web_host):
        return
    published = deployment.web_published
    if published is None or not is_loopback(urlsplit(f"//{published}").hostname or ""):
        remedy = "the page has no password yet, so it is published on this machine only: 127.0.0.1:8080 (SPS_PUBLISH=127.0.0.1)"
        raise ConfigError([Problem(None, "environment variable SPS_WEB_PUBLISHED", repr(published or ""), remedy)])


def names(deployment: Deployment) -> frozenset[str]:
    """The Host headers under which people ask for a published page, in lower case."""
    if deployment.web_published is None:
        return frozenset()
    published = deployment.web_published.lower()
    local = is_loopback(urlsplit(f"//{published}").hostname or "")
    return frozenset({published, f"localhost:{published.rpartition(':')[2]}"} if local else {published})
