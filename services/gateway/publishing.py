"""The page in a container: it listens for the container's network, and people reach it where the container publishes it."""

from urllib.parse import urlsplit

from services.bus.deployment import Deployment
from services.core.config.web import is_loopback


def names(deployment: Deployment) -> frozenset[str]:
    """The Host headers under which people ask for a published page, in lower case."""
    if deployment.web_published is None:
        return frozenset()
    published = deployment.web_published.lower()
    local = is_loopback(urlsplit(f"//{published}").hostname or "")
    return frozenset({published, f"localhost:{published.rpartition(':')[2]}"} if local else {published})
