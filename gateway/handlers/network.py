"""What the handlers that talk to a server share: whom to trust."""

from __future__ import annotations

import ssl
from ipaddress import ip_address

_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL


def is_loopback(host: str) -> bool:
    """Return whether what is sent to `host` stays on this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_bad_certificate(error: BaseException | None) -> bool:
    """Return whether `error` comes from a server's certificate that will not get better by waiting.

    One that is not valid yet will: a device without a battery for its clock boots in 1970.
    """
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None and error.verify_code != _NOT_YET_VALID
