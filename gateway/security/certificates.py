"""Until when certificates hold, read from their files without a library: nobody else needs one."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.config import Config

AHEAD = timedelta(days=30)
"""So long before its end a certificate is told of: it takes a person, an authority, and often a visit."""

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _GENERALIZED_TIME, _LONG, _TURN_OF_CENTURY = 0xA0, 0x18, 0x80, "50"


def ending(config: Config, now: datetime) -> list[str]:
    """Return `key: what ends when` for every file of certificates that ends within AHEAD, or cannot be read."""
    found = []
    for key, path in _files(config):
        try:
            end = _end(path, everybody=key.rpartition(".")[2] == "cert")
        except (OSError, ValueError, IndexError) as error:
            found.append(f"{key}: until when {path} holds cannot be read: {error}")
            continue
        if end - now < AHEAD:
            found.append(f"{key}: {path} {'ends' if end > now else 'has ended'} on {end:%Y-%m-%d %H:%M} UTC; renew it")
    return found


def _files(config: Config) -> Iterator[tuple[str, Path]]:
    tls: Mapping[str, Any] = config.mqtt.tls.model_dump() if config.mqtt.tls else {}
    found = {f"mqtt.tls.{name}": tls.get(name) for name in ("ca", "cert")}
    found["influxdb.ca"] = config.influxdb.ca if config.influxdb else None
    for kind, tables in (("handlers", config.handlers), ("consumers", config.consumers)):
        found |= {f"{kind}.{name}.ca": table.settings.get("ca") for name, table in tables.items()}
    return ((key, Path(path)) for key, path in found.items() if isinstance(path, str | Path))


def _end(path: Path, *, everybody: bool) -> datetime:
    """Return when the first of a chain ends. Of authorities the last counts: a store has old ones that nobody needs."""
    ends = [_not_after(ssl.PEM_cert_to_DER_cert(text)) for text in _PEM.findall(path.read_text(encoding="latin-1"))]
    if not ends:
        raise ValueError("there is no certificate in it")
    return min(ends) if everybody else max(ends)


def _not_after(certificate: bytes) -> datetime:
    """Return the end of the validity (RFC 5280, 4.1.2.5) in a certificate in DER."""
    (_, signed), *_ = _parts(_parts(certificate)[0][1])
    fields = _parts(signed)
    validity = fields[4 if fields[0][0] == _VERSION else 3][1]
    kind, content = _parts(validity)[1]
    text = content.decode("ascii")
    if kind != _GENERALIZED_TIME:
        text = ("19" if text[:2] >= _TURN_OF_CENTURY else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _parts(der: bytes) -> list[tuple[int, bytes]]:
    """Return (tag, content) of what stands one after the other. Raises IndexError for what ends too early."""
    found = []
    while der:
        start, length = 2, der[1]
        if length >= _LONG:
            start += length - _LONG
            length = int.from_bytes(der[2:start])
        if len(der) < start + length:
            raise IndexError("a certificate that ends too early")
        found.append((der[0], der[start : start + length]))
        der = der[start + length :]
    return found
