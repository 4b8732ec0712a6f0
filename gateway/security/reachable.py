"""The address under which other people's devices reach the page, as far as the gateway can tell."""

from __future__ import annotations

import socket

from gateway.config import Config
from gateway.config.values import is_loopback

_WILDCARDS = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # noqa: S104 - read, not bound
"""Any address, by the family: what it is asked about is an address that nobody has. Nothing is sent."""


def page_address(config: Config) -> str:
    """Return what links in messages begin with, without a slash at the end: never an address of this device alone.

    It is `http.public_url`, else the device's address on its network. Nothing where there is none, or no page.
    """
    http = config.http
    if http is None:
        return ""
    if http.public_url is not None:
        return str(http.public_url).rstrip("/")
    host = _own_address(http.host) if http.host in _WILDCARDS else http.host
    if not host or is_loopback(host) or http.port == 0:
        return ""
    return f"http://{f'[{host}]' if ':' in host else host}:{http.port}"


def _own_address(wildcard: str) -> str:
    family = socket.AF_INET6 if ":" in wildcard else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_WILDCARDS[wildcard], 9))  # only asks which way it would go
            address: str = probe.getsockname()[0]
    except OSError:
        return ""
    return address
