"""The connection to the aggregator's broker: who we are there, and whom we take for it."""

import ssl
from collections.abc import Callable
from pathlib import Path

from services.bus.link_options import LinkOptions
from services.bus.secrets import NoSecret, read_secret, secrets_folder
from services.bus.tls import NoTrust, trusting
from services.core.config.aggregator import AggregatorMqtt

DAY_S = 86_400


def options(settings: AggregatorMqtt, var: Path) -> Callable[[], LinkOptions]:
    """How to connect, read anew at each attempt: a new password or certificate needs no restart.

    When called it raises NoSecret, NoTrust.
    """

    def read() -> LinkOptions:
        try:
            password = None if settings.secret is None else read_secret(settings.secret, var)
            return LinkOptions(
                version=settings.version,
                keep_session=settings.session_days > 0,
                session_s=settings.session_days * DAY_S,
                user=settings.user,
                password=password,
                tls=_tls(settings, secrets_folder(var)) if settings.tls else None,
                login_remedy="check aggregator.mqtt.user and the file that aggregator.mqtt.secret names",
                trust_remedy="check aggregator.mqtt.ca_file and aggregator.mqtt.host",
            )
        except NoSecret as missing:
            raise NoSecret(f"aggregator.mqtt.secret: {missing}") from None

    return read


def _tls(settings: AggregatorMqtt, folder: Path) -> ssl.SSLContext:
    ca_file = None if settings.ca_file is None else folder / settings.ca_file
    context = trusting(ca_file, "aggregator.mqtt.ca_file", "ask the aggregator for its certificate")
    if settings.client_cert is not None and settings.client_key is not None:
        try:
            context.load_cert_chain(folder / settings.client_cert, folder / settings.client_key)
        except (OSError, ssl.SSLError) as error:
            raise NoTrust(f"aggregator.mqtt.client_cert: {folder / settings.client_cert} cannot be used: {error}") from None
    return context
