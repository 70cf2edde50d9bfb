"""A certificate authority for one house, and the broker's certificate that it signs."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=3653)
SERVER_LIFE = timedelta(days=825)
RENEW_BEFORE = timedelta(days=90)
"""So long before its end a certificate of the broker is made anew."""
_EARLIER = timedelta(days=1)
"""Certificates hold from a day ago: a board without a clock battery may be behind."""

Key = ec.EllipticCurvePrivateKey


class Unusable(ValueError):
    """A key or certificate that is none, or that does not belong to the other; says why."""


def new_key() -> bytes:
    """A new private key on the curve P-256, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def read_key(pem: bytes) -> Key:
    """The key in `pem`. Raises Unusable."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise Unusable("it holds no private key, or half of one") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Unusable("it holds a private key of another kind than ours (P-256)")
    return key


def read_certificate(pem: bytes) -> x509.Certificate:
    """The certificate in `pem`. Raises Unusable."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise Unusable("it holds no certificate, or half of one") from None


def new_authority(key: Key, station: str, now: datetime) -> bytes:
    """A certificate of an authority that signs itself, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Smart Power Station {station}: certificate authority")])
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _builder(name, name, key.public_key(), now, now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(own, critical=False)
    )
    return _signed(builder, key)


def new_server(key: Key, authority: x509.Certificate, authority_key: Key, names: Iterable[str], now: datetime) -> bytes:
    """A certificate for the broker at `names` (host names and IP addresses), signed by `authority`, as PEM. Raises Unusable."""
    require_pair(authority, authority_key)
    names = tuple(names)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    end = min(now + SERVER_LIFE, authority.not_valid_after_utc)
    builder = (
        _builder(subject, authority.subject, key.public_key(), now, end)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(own, critical=False)
        .add_extension(issuer, critical=False)
    )
    return _signed(builder, authority_key)


def names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names and addresses that `certificate` is good for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in found)


def require_pair(certificate: x509.Certificate, key: Key) -> None:
    """Raise Unusable unless `key` is the key of `certificate`."""
    if certificate.public_key() != key.public_key():
        raise Unusable("it is of another key than the one beside it")


def require_signed(certificate: x509.Certificate, authority: x509.Certificate) -> None:
    """Raise Unusable unless `authority` signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise Unusable("it was not signed by ca.crt") from None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(end)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _signed(builder: x509.CertificateBuilder, key: Key) -> bytes:
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
