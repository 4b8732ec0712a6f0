import ssl

import pytest

from gateway.handlers.network import is_bad_certificate, is_loopback


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, *, ours: bool) -> None:
    assert is_loopback(host) is ours


def chained(code: int) -> Exception:
    cause = ssl.SSLCertVerificationError()
    cause.verify_code = code
    error = ConnectionError("as a library reports it")
    error.__cause__ = cause
    return error


def test_a_bad_certificate_stays_bad_unless_our_clock_is_behind() -> None:
    assert is_bad_certificate(chained(18))  # self-signed
    assert not is_bad_certificate(chained(9))  # not yet valid
    assert not is_bad_certificate(ConnectionError("refused"))
