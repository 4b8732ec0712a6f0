"""Which addresses may be connected to, and which certificates stay bad."""

from __future__ import annotations

import asyncio
import socket
import ssl
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from gateway.errors import DeliveryError

_NAT64 = IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = [IPv6Network(text) for text in ("::/96", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10")]
"""What not every Python knows: IPv4-compatible, local NAT64 (RFC 8215), documentation (RFC 9637), segment routing
(RFC 9602), site-local."""
_CLOUD_METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google, Oracle, DigitalOcean, Hetzner, OpenStack, IBM and others
            "169.254.170.2",  # AWS, of containers
            "169.254.170.23",  # AWS, of pods
            "169.254.42.42",  # Scaleway
            "169.254.0.23",  # Tencent
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's agent: an address of the public internet by its look
            "192.0.0.192",  # Oracle, classic
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # AWS, of pods
            "fd00:42::42",  # Scaleway
            "fd20:ce::254",  # Google
            "fe80::a9fe:a9fe",  # OpenStack
        ),
    )
)
"""Where clouds hand the credentials of a machine to every program on it. Most are not public anyway; each is named,
since not every one is reserved, and which of them Python knows to be depends on its version."""
_MOST_ADDRESSES = 4
_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL


def is_bad_certificate(error: BaseException | None) -> bool:
    """Return whether `error` comes from a server's certificate that will not get better by waiting.

    One that is not valid yet will: a device without a battery for its clock boots in 1970.
    """
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None and error.verify_code != _NOT_YET_VALID


async def allowed_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses of a host that may be connected to, a few at most.

    Raises DeliveryError: for good if all are forbidden, with a retry if the name cannot be looked up.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DeliveryError(f"{host}: the name cannot be looked up: {error}") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [address for address in addresses if allow_private or is_public(address)]
    if not allowed:
        raise DeliveryError(
            f"{host} is an address of this device or of a private network; set allow_private = true if that is meant",
            retry=False,
        )
    return allowed[:_MOST_ADDRESSES]


def is_public(address: str) -> bool:
    """Return whether an address is one of the public internet: not loopback, link-local, private, shared or reserved.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, Teredo, NAT64) is judged by that one too.
    """
    ip = ip_address(address.partition("%")[0])
    if any(ip in network for network in _NOT_PUBLIC):
        return False
    return all(one.is_global and not one.is_multicast and one not in _CLOUD_METADATA for one in (ip, *_inside(ip)))


def _inside(ip: IPv4Address | IPv6Address) -> list[IPv4Address]:
    if isinstance(ip, IPv4Address):
        return []
    embedded = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64:
        embedded.append(IPv4Address(int(ip) & 0xFFFFFFFF))
    return [one for one in embedded if one is not None]
