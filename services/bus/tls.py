"""What makes a connection to the broker TLS: whom we trust."""

import ssl
from pathlib import Path


class NoTrust(Exception):
    """The certificate to trust cannot be had; says which file and what to do."""


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """A context that trusts the authority in `ca_file`, or those of the system for None. Raises NoTrust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _Socket
    try:
        if ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise NoTrust(f"broker.ca_file: {ca_file} is no certificate in PEM form; copy ca.crt from where sps setup made it") from None
    except OSError as error:
        raise NoTrust(f"broker.ca_file: {ca_file} cannot be read ({error.strerror}); copy ca.crt from where sps setup made it") from None
    return context


class _Socket(ssl.SSLSocket):
    """One that paho does not leave open when the other side fails the handshake."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise
