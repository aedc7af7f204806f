"""A certificate authority of the tests' own, and server certificates good and bad, for loopback."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LOCALHOST = x509.SubjectAlternativeName(
    [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")), x509.IPAddress(ip_address("::1"))]
)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate and its key as PEM files."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """A server's TLS context with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class CertificateAuthority:
    """Issues certificates into `folder`; `ca_file` is what a client has to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Postroom test CA")])
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self._self_signed_ca().public_bytes(Encoding.PEM))

    def client_context(self) -> ssl.SSLContext:
        """A client's TLS context that trusts this authority alone, and verifies."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def localhost(self) -> ServerCertificate:
        """Good for localhost, 127.0.0.1 and ::1."""
        return self._issue("localhost", _LOCALHOST)

    def other_host(self) -> ServerCertificate:
        """Good, but for another host."""
        return self._issue("elsewhere", x509.SubjectAlternativeName([x509.DNSName("elsewhere.example.test")]))

    def expired(self) -> ServerCertificate:
        """For localhost, until yesterday."""
        return self._issue("expired", _LOCALHOST, until=datetime.now(UTC) - timedelta(days=1))

    def self_signed(self) -> ServerCertificate:
        """For localhost, signed by nobody but itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        builder = _builder(name, name, key.public_key(), datetime.now(UTC) + timedelta(days=30))
        certificate = builder.add_extension(_LOCALHOST, critical=False).sign(key, hashes.SHA256())
        return self._written("self-signed", certificate, key)

    def _issue(
        self, label: str, names: x509.SubjectAlternativeName, until: datetime | None = None
    ) -> ServerCertificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])
        until = until or datetime.now(UTC) + timedelta(days=30)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(subject, self._name, key.public_key(), until)
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(authority, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return self._written(label, certificate, key)

    def _written(
        self, label: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> ServerCertificate:
        files = ServerCertificate(self._folder / f"{label}.pem", self._folder / f"{label}.key")
        files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files

    def _self_signed_ca(self) -> x509.Certificate:
        signs = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        until = datetime.now(UTC) + timedelta(days=30)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return (
            _builder(self._name, self._name, self._key.public_key(), until)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(signs, critical=True)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - timedelta(days=60))
        .not_valid_after(until)
    )
