"""The page behind the link in a message: its button acknowledges, opening it changes nothing.

Mail programs and scanners open links by themselves. The signed link names the alert, the person and its end; whoever
has it may acknowledge in that name, without the token.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gateway.domain.model.timefmt import microseconds, moment
from gateway.errors import ConflictError, JournalUnavailableError, NotFoundError
from gateway.security.ack_links import AckLink, verify
from gateway.web.ports import Actions, PageSettings, Services

_PAGE = Template(Path(__file__).with_name("ack_page.html").read_text(encoding="utf-8"))
_LONGEST = 300  # characters of any text from a sensor


class Answer(NamedTuple):
    """What a page says: `state` decides its colour, `button` is what can be done, if anything."""

    status: int
    state: str
    title: str
    text: str
    button: str = ""


_FORGED = Answer(
    403, "refused", "This link is not valid", "Copy it whole from the message, or acknowledge on the live page."
)
_EXPIRED = Answer(410, "refused", "This link has expired", "Acknowledge on the live page, if the alert is still open.")
_UNKNOWN = Answer(404, "refused", "There is no such alert", "The gateway has no record of it any more.")
_UNAVAILABLE = Answer(503, "refused", "Not acknowledged", "The gateway cannot store it right now. Please try again.")


def create_ack_page(services: Services, actions: Actions, page: PageSettings) -> APIRouter:
    """Return the page's routes. It is no part of the API, and works without scripts."""
    router = APIRouter(include_in_schema=False)

    @router.get("/ack/{signed}")
    async def show(signed: str) -> Response:
        link = _checked(signed, services.link_key)
        if isinstance(link, Answer):
            return answer_page(link, page)
        alert = await services.answers.find_alert(link.alert_id)
        return answer_page(_state(alert, link, page), page, alert)

    @router.post("/ack/{signed}")
    async def acknowledge(signed: str) -> Response:
        link = _checked(signed, services.link_key)
        if isinstance(link, Answer):
            return answer_page(link, page)
        try:
            with suppress(ConflictError, NotFoundError):  # somebody was faster, or it is over: the page says which
                await actions.acknowledge(link.alert_id, link.person, "by the link in a message")
        except JournalUnavailableError:
            return answer_page(_UNAVAILABLE, page)
        return RedirectResponse(signed, status_code=303)  # so that a reload does not ask to send anything again

    return router


def _checked(signed: str, key: bytes) -> AckLink | Answer:
    link = verify(signed, key) if key else None
    if link is None:
        return _FORGED
    return link if time.time_ns() < link.until_ns else _EXPIRED


def _state(alert: Mapping[str, Any] | None, link: AckLink, page: PageSettings) -> Answer:
    """Return what there is to say of an alert."""
    if alert is None:
        return _UNKNOWN
    if alert["state"] == "cleared":
        cleared = _moment(alert["clearedAt"], page)
        return Answer(
            200, "cleared", "This alert is over", f"It cleared at {cleared}. There is nothing to acknowledge."
        )
    if alert["acknowledged"]:
        by = shown_text(alert["acknowledgedBy"] or "somebody")
        return Answer(200, "done", f"Acknowledged by {by}", "The alert stays open until the level is normal again.")
    text = "Press the button to tell the others that you are dealing with it."
    return Answer(200, alert["severity"], "Not acknowledged yet", text, f"Acknowledge as {shown_text(link.person)}")


def answer_page(
    answer: Answer, page: PageSettings, alert: Mapping[str, Any] | None = None, *, forms: str = "", below: str = ""
) -> HTMLResponse:
    """Return the page. `forms` and `below` are HTML: what can be done beside the button, and what stands below."""
    facts = [] if alert is None else _facts(alert, page)
    html = _PAGE.substitute(
        gateway=escape(page.gateway_id),
        state=answer.state,
        label=escape(str(alert["severity"]).upper()) if alert else "",
        title=escape(answer.title),
        text=escape(answer.text),
        facts="\n".join(f"<dt>{escape(name)}</dt><dd>{escape(shown_text(value))}</dd>" for name, value in facts),
        form=f'<form method="post"><button>{escape(answer.button)}</button></form>' if answer.button else forms,
        below=below,
    )
    return HTMLResponse(html, answer.status)


def _facts(alert: Mapping[str, Any], page: PageSettings) -> list[tuple[str, str]]:
    known = [
        ("Machine", alert["tags"].get("machine", "")),
        ("Sensor", alert["sensorId"]),
        ("Location", alert["location"]),
        ("Since", _moment(alert["openedAt"], page)),
        ("Reason", alert["reason"]),
    ]
    return [(name, value) for name, value in known if value]


def _moment(text: str | None, page: PageSettings) -> str:
    return moment(microseconds(datetime.fromisoformat(text)) * 1000, page.timezone) if text else "an unknown time"


def shown_text(text: str) -> str:
    """Return a text of one line without control characters and marks that turn the direction of the text around."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())[:_LONGEST]
