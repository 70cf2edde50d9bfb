"""The connection to the aggregator's broker: who we are there, and whom we take for it."""

import ssl
from collections.abc import Callable
from pathlib import Path

from services.bus.link import ConnectFailed
from services.bus.link_options import LinkOptions
from services.bus.secrets import NoSecret, read_secret, secrets_folder
from services.core.config.aggregator import AggregatorMqtt

DAY_S = 86_400


def options(settings: AggregatorMqtt, var: Path) -> Callable[[], LinkOptions]:
    """How to connect, read anew at each attempt: a new password or certificate needs no restart. Raises ConnectFailed when called."""

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
            )
        except NoSecret as missing:
            raise ConnectFailed(f"aggregator.mqtt.secret: {missing}") from None

    return read


class _ClosesItself(ssl.SSLSocket):
    """paho forgets a socket whose handshake failed, and leaves it open until it is collected."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls(settings: AggregatorMqtt, folder: Path) -> ssl.SSLContext:
    context = _believing(settings, folder)
    context.sslsocket_class = _ClosesItself
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.client_cert is not None and settings.client_key is not None:
        try:
            context.load_cert_chain(folder / settings.client_cert, folder / settings.client_key)
        except (OSError, ssl.SSLError) as error:
            raise ConnectFailed(f"aggregator.mqtt.client_cert: {folder / settings.client_cert} cannot be used: {error}") from None
    return context


def _believing(settings: AggregatorMqtt, folder: Path) -> ssl.SSLContext:
    if settings.ca_file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(folder / settings.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConnectFailed(f"aggregator.mqtt.ca_file: {folder / settings.ca_file} cannot be used: {error}") from None
