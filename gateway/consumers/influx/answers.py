"""What an answer to a write means: 1.x, 2 and 3 say the same things in their own ways. Only 204 is a success."""

from __future__ import annotations

import re
from http import HTTPStatus

from gateway.errors import DeliveryError
from gateway.outgoing.client import Answer

_LONGEST = 300
_DROPPED = re.compile(r"\bdropped=(\d{1,9})\b")
_TOO_OLD = re.compile(r"(beyond|outside|older than)\b.{0,40}\bretention", re.IGNORECASE)
_ABOUT_POINTS = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.INTERNAL_SERVER_ERROR,
}


def is_written(answer: Answer) -> bool:
    """Return whether all points of a request are in the database."""
    return answer.status == HTTPStatus.NO_CONTENT


def is_about_points(answer: Answer) -> bool:
    """Return whether some of a request's points may be to blame, so that it is worth to look for them."""
    return answer.status in _ABOUT_POINTS


def is_too_old(answer: Answer) -> bool:
    """Return whether some points are refused since the bucket does not keep what is so old; the reading is fine."""
    return is_about_points(answer) and _TOO_OLD.search(said(answer)) is not None


def dropped(answer: Answer) -> int | None:
    """Return how many points 1.x or 2 says not to have written, when all others are (a partial write)."""
    found = _DROPPED.search(said(answer))
    return int(found[1]) if found else None


def named(answer: Answer, count: int) -> dict[int, str]:
    """Return those of `count` lines, from 0, that 3 names with the reason: 100 at most, of all that it refuses."""
    found = answer.json().get("data")
    lines = found if isinstance(found, list) else []
    pairs = [(one.get("line_number"), one.get("error_message")) for one in lines if isinstance(one, dict)]
    return {
        number - 1: reason[:_LONGEST]
        for number, reason in pairs
        if isinstance(number, int) and isinstance(reason, str) and 0 < number <= count
    }


def said(answer: Answer) -> str:
    """Return what it says, on one line of bounded length."""
    fields = answer.json()
    text = fields.get("message") or fields.get("error") or answer.text or "no reason"
    return "".join(char if char.isprintable() else " " for char in str(text)[:_LONGEST])


def in_words(answer: Answer) -> str:
    """Return the status and what it says."""
    return f"InfluxDB answered {answer.status}: {said(answer)}"


def problem(answer: Answer) -> DeliveryError:
    """Return what to raise for an answer that is about no point: it may pass, or a person has to look."""
    if answer.may_pass:
        return DeliveryError(in_words(answer), retry_after=answer.retry_after)
    if answer.is_redirect:
        advice = "redirections are not followed; put the last address into influxdb.url"
    elif answer.is_success:
        advice = "only 204 says that points are written; is influxdb.url that of InfluxDB?"
    else:
        advice = "check [influxdb] in the configuration"
    return DeliveryError(f"{in_words(answer)}; {advice}", needs_person=True)
