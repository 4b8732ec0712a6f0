import ssl

import pytest

from gateway.outgoing.addresses import is_bad_certificate, is_public


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


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *["127.0.0.1", "127.255.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1"],
        *["169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
        *["::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"],
        *[
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
        ],
        *["fec0::1", "64:ff9b:1::7f00:1", "::7f00:1", "::5db8:d822", "5f00::1", "3fff::1", "3fff:fff::1"],
    ],
)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *["169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.42.42", "169.254.0.23", "100.100.100.200"],
        *["168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd00:42::42", "fd20:ce::254"],
        *["fe80::a9fe:a9fe", "::ffff:168.63.129.16", "64:ff9b::a83f:8110", "2002:a83f:8110::"],
    ],
)
def test_where_a_cloud_keeps_a_machines_credentials_is_not_public(address: str) -> None:
    assert not is_public(address)
