"""What every connection to the broker needs: credentials, pauses between attempts, and what is wrong in plain words."""

from __future__ import annotations

import random
import socket
import ssl
import time

import structlog

from gateway.config import MqttSection, TlsSection

log = structlog.get_logger(__name__)

LASTING = 60.0
"""Seconds after which a connection counts as a success. It is longer than the longest pause, so that two gateways that
take a session from each other do so less and less often."""
_SUSPICIOUS = 3  # short connections in a row
_DIAGNOSIS = 3.0  # seconds


class Problems:
    """Why nothing can arrive, by the part concerned. Each is logged once for as long as it lasts."""

    def __init__(self) -> None:
        self._found = {"connection": "not connected to the broker yet"}

    def say(self, part: str, problem: str) -> None:
        """Let `problem` be what is wrong with a part."""
        if self._found.get(part) != problem:
            self._found[part] = problem
            log.warning(problem)

    def clear(self, part: str) -> None:
        """Let a part be well."""
        self._found.pop(part, None)

    def of(self, part: str) -> str:
        """Return what is wrong with a part; nothing if all is well."""
        return self._found.get(part, "")

    def all(self) -> list[str]:
        """Return everything that is wrong."""
        return list(self._found.values())


class Pauses:
    """How long to wait before the next attempt: twice as long each time, until a connection has lasted.

    The first is drawn at random, which spreads a fleet of gateways out when their broker comes back.
    """

    def __init__(self) -> None:
        self._first, self.longest = random.uniform(0.5, 1.5), random.uniform(20, 40)
        self._attempts = 0
        self._short_lived = 0  # connections in a row
        self._connected_at: float | None = None

    @property
    def seconds(self) -> float:
        """How long the next pause is."""
        doublings = min(max(0, self._attempts - 1), 10)
        return min(self._first * 2.0**doublings, self.longest)

    def connected(self) -> None:
        """Take note that a connection begins."""
        self._connected_at = time.monotonic()

    def ended(self) -> None:
        """Take note that an attempt has failed, or that its connection has ended."""
        lasted = self._connected_at is not None and time.monotonic() - self._connected_at > LASTING
        if self._connected_at is not None:
            self._short_lived = 0 if lasted else self._short_lived + 1
        self._attempts = 0 if lasted else self._attempts + 1
        self._connected_at = None

    def suspicion(self, client_id: str) -> str:
        """Return what many short connections in a row suggest; nothing if there were none."""
        if self._short_lived < _SUSPICIOUS:
            return ""
        return (
            f"; {self._short_lived} in a row were short: does another program use our client id"
            f" {client_id!r}, such as a second gateway with this gateway.id?"
        )


def where(section: MqttSection) -> str:
    """Return the beginning of what is said when there is no connection."""
    return f"no connection to the broker at {section.host}:{section.port}"


def refused(reason: object) -> str:
    """Return what is said when the broker does not let us in."""
    return f"the broker refused the connection: {reason}; check [mqtt] in the configuration"


def why_unreachable(section: MqttSection) -> str:
    """Return what stands in the way of a connection, in the words of the system. Blocks for some seconds at most."""
    try:
        with socket.create_connection((section.host, section.port), timeout=_DIAGNOSIS) as plain:
            if section.tls is None:
                return "the broker closes the connection"
            with tls_of(section.tls).wrap_socket(plain, server_hostname=section.host):
                return "the broker closes the connection after the TLS handshake"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not to be trusted: {error.verify_message}; check mqtt.tls.ca and mqtt.host"
    except ssl.SSLError as error:
        return f"TLS: {error.reason or error}; check mqtt.tls and mqtt.port"
    except OSError as error:
        return error.strerror or str(error)


def tls_of(section: TlsSection) -> ssl.SSLContext:
    """Return a context from the files as they are now. Raises OSError."""
    try:
        return section.context()
    except ValueError as error:
        raise OSError(str(error)) from error


def password_of(section: MqttSection) -> str | None:
    """Return the password in the clear, for the client that needs it."""
    return section.password.get_secret_value() if section.password else None
