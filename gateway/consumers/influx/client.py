"""The InfluxDB client, without numpy.

It imports numpy wherever that is installed, to recognise its numbers; we hand over finished lines. Beside a simulator
that would cost the gateway 12 MB, and its start a tenth of a second.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _without_numpy() -> Iterator[None]:
    """Let numpy look as if it were not installed, unless somebody has imported it already."""
    hidden = "numpy" not in sys.modules
    if hidden:
        sys.modules["numpy"] = None  # type: ignore[assignment] # what makes an import fail
    try:
        yield
    finally:
        if hidden:
            del sys.modules["numpy"]


with _without_numpy():
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.client.write_api import SYNCHRONOUS
    from influxdb_client.rest import ApiException

__all__ = ["SYNCHRONOUS", "ApiException", "InfluxDBClient"]
