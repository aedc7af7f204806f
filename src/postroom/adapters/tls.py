"""TLS towards mail servers: always verified (D10), and its faults in words."""

import ssl
from pathlib import Path
from typing import Final

_CERTIFICATE_FAULTS: Final = {
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by itself and not trusted",
    19: "is signed by an authority that is not trusted",
    20: "is signed by an authority that is not known",
    21: "is signed by an authority that is not known",
    62: "does not name this host",
    64: "does not name this address",
}


def client_context(extra_authorities: Path | None = None) -> ssl.SSLContext:
    """A context that verifies against the system's authorities and those of a PEM file.

    Raises `ValueError` when the file cannot be read as certificates.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if extra_authorities is not None:
        try:
            context.load_verify_locations(cafile=extra_authorities)
        except (OSError, ssl.SSLError) as exc:
            raise ValueError("cannot be read as a file of certificates in PEM form") from exc
    return context


def tls_fault(error: BaseException | None) -> str:
    """What went wrong in a handshake, for the person who reads it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        fault = _CERTIFICATE_FAULTS.get(error.verify_code, "cannot be verified")
        return f"the server's certificate {fault}; nothing was sent"
    return "the TLS handshake failed, or the server does not speak TLS on this port; nothing was sent"
