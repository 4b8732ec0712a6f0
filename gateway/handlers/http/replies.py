"""What the handlers that speak HTTP share: reading an answer, within bounds, and whether to try again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

LARGEST_REPLY = 65_536  # bytes
LONGEST_WAIT = 3600.0  # seconds; what a Retry-After may ask for
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""What fails before anything was on its way; after everything else the other side may have taken the message."""

_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


def may_pass(status: int) -> bool:
    """Tell whether a refusal may become an acceptance: busy, or an error of the server's own."""
    return status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR


async def read_bytes(response: httpx.Response) -> bytes:
    """Return the body of an answer; of one that is too large, its beginning."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > LARGEST_REPLY:
            break
    return bytes(content[:LARGEST_REPLY])


async def read_json(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer, or nothing if it is something else or too large."""
    try:
        reply = json.loads(await read_bytes(response))
    except (ValueError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of a Retry-After header, which has them or a date (RFC 9110, section 10.2.3)."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):  # a year, or a zone, of many digits
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)
