"""The page behind the short link in a message: one alert, why, who was told, what to do, and three buttons.

It needs no script, no sign-in and no typing. The link names the alert, its severity, the person and its end; opening it
changes nothing, as mail programs and scanners open links by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.domain.engine.event_log import StoredReading
from gateway.domain.model.timefmt import short_moment
from gateway.errors import ConflictError, JournalUnavailableError, NotFoundError, RefusedError, TooMuchError
from gateway.security.alert_links import PATH, AlertLink, verify
from gateway.web.ack_page import Answer, answer_page, shown_text
from gateway.web.ports import Actions, PageSettings, Services

_HOURS = 8
_CHART_NS = 6 * 3600 * 10**9
_POINTS = 120
_WIDTH, _HEIGHT = 320, 90
_MOST_TOLD = 6

_FORGED = Answer(403, "refused", "This link is not valid", "Copy it whole from the message. It ends with who is told.")
_EXPIRED = Answer(410, "refused", "This link has expired", "Look at the live page, if the alert is still open.")
_UNKNOWN = Answer(404, "refused", "There is no such alert", "The gateway has no record of it any more.")
_UNAVAILABLE = Answer(503, "refused", "Nothing has changed", "The gateway cannot store it right now. Please try again.")

_NEXT = {
    "machine": "Go and look, listen and feel, if that is safe. What the reason says is the first thing to check.",
    "sensor": "Check the sensor, its mounting, cable and battery: its machine is not watched meanwhile.",
    "gateway": "Check the gateway itself: 'vibration-gateway stats' on the device says what is wrong.",
}


def create_alert_page(services: Services, actions: Actions, page: PageSettings) -> APIRouter:
    """Return the page's routes. It is no part of the API."""
    router = APIRouter(include_in_schema=False)

    async def opened(code: str) -> tuple[AlertLink, Mapping[str, Any]] | Answer:
        link = verify(code, page.people, services.link_key)
        if link is None:
            services.refused("alert link")
            return _FORGED
        if time.time_ns() >= link.until_ns:
            return _EXPIRED
        alert = await services.answers.find_alert(link.alert_id)
        return _UNKNOWN if alert is None else (link, alert)

    @router.get(PATH + "{code}")
    async def show(code: str) -> Response:
        found = await opened(code)
        if isinstance(found, Answer):
            return answer_page(found, page)
        link, alert = found
        now_ns = time.time_ns()
        answer, buttons = _state(alert, link)
        below = _chart(await _readings(services, alert, now_ns)) + _next(alert) + _told(alert, page, now_ns)
        return answer_page(answer, page, alert, forms=buttons, below=below)

    @router.post(PATH + "{code}")
    async def act(code: str, request: Request) -> Response:
        found = await opened(code)
        if isinstance(found, Answer):
            return answer_page(found, page)
        link, alert = found
        wanted = parse_qs((await request.body()).decode("ascii", "replace")).get("do", [""])[0]
        try:
            await _do(actions, wanted, alert, link)
        except JournalUnavailableError:
            return answer_page(_UNAVAILABLE, page)
        return RedirectResponse(code, status_code=303)  # so that a reload does not ask to send anything again

    return router


def who(person: str) -> str:
    """Return whom the records name: of a phone number its end, which is nobody's business but tells two apart."""
    return f"SMS to …{person[-4:]}" if person.startswith("+") else person


async def _readings(services: Services, alert: Mapping[str, Any], now_ns: int) -> Sequence[StoredReading]:
    if alert["kind"] == "gateway":
        return ()
    try:
        return await services.answers.history(alert["sensorId"], now_ns - _CHART_NS, now_ns, _POINTS)
    except TooMuchError:
        return ()


async def _acknowledge(actions: Actions, alert: Mapping[str, Any], by: str) -> None:
    await actions.acknowledge(alert["id"], by, "by the link in a message")


async def _shelve(actions: Actions, alert: Mapping[str, Any], by: str) -> None:
    await actions.shelve(alert["id"], _HOURS * 3600 * 10**9, by, "by the link in a message")


async def _silence(actions: Actions, alert: Mapping[str, Any], by: str) -> None:
    until = datetime.now(UTC) + timedelta(hours=_HOURS)
    parts = {"machines": (alert["tags"]["machine"],), "until": until, "severity": "critical"}
    await actions.add_silence(parts, by, "by the link in a message")


_DEEDS = {"acknowledge": _acknowledge, "shelve": _shelve, "silence": _silence}


async def _do(actions: Actions, wanted: str, alert: Mapping[str, Any], link: AlertLink) -> None:
    if wanted in _DEEDS and _outdated(alert, link) is None:
        with suppress(ConflictError, NotFoundError, RefusedError):  # somebody was faster, or it is over
            await _DEEDS[wanted](actions, alert, who(link.person))


def _outdated(alert: Mapping[str, Any], link: AlertLink) -> Answer | None:
    """Return why nothing can be done by this link, if that is so."""
    if alert["state"] == "cleared":
        return Answer(200, "cleared", "This alert is over", "There is nothing to do about it any more.")
    if alert["severity"] != link.severity:
        return Answer(
            200, alert["severity"], f"It is {alert['severity']} by now",
            "This link is of the message before. Use that of the newer message, or the live page.",
        )  # fmt: skip
    return None


def _state(alert: Mapping[str, Any], link: AlertLink) -> tuple[Answer, str]:
    """Return what there is to say of an alert, and the buttons for what can be done."""
    outdated = _outdated(alert, link)
    if outdated is not None:
        return outdated, ""
    person = who(link.person)
    buttons = []
    if alert["acknowledged"]:
        by = shown_text(alert["acknowledgedBy"] or "somebody")
        answer = Answer(200, "done", f"Acknowledged by {by}", "The alert stays open until the level is normal again.")
    else:
        text = "Acknowledging tells the others that you are dealing with it."
        answer = Answer(200, alert["severity"], "Not acknowledged yet", text)
        buttons.append(_button("acknowledge", f"Acknowledge as {shown_text(person)}", ""))
    if alert.get("shelvedBy") is None:
        buttons.append(_button("shelve", f"Shelve this alert for {_HOURS} hours", "hollow"))
    if alert["tags"].get("machine") and alert["kind"] != "gateway":
        machine = shown_text(alert["tags"]["machine"])
        buttons.append(_button("silence", f"Silence all of {machine} for {_HOURS} hours", "hollow"))
    return answer, "".join(buttons)


def _button(deed: str, text: str, look: str) -> str:
    name = f' class="{look}"' if look else ""
    return f'<form method="post"><button name="do" value="{deed}"{name}>{escape(text)}</button></form>'


def _next(alert: Mapping[str, Any]) -> str:
    return f"<h2>What to do next</h2><p>{escape(_NEXT.get(alert['kind'], _NEXT['machine']))}</p>"


def _told(alert: Mapping[str, Any], page: PageSettings, now_ns: int) -> str:
    """Return who was told and when, the newest last."""
    rows = []
    for each in (alert.get("messages") or [])[-_MOST_TOLD:]:
        at = str(each.get("at") or each.get("created") or "")
        moment = short_moment(_ns(at), now_ns, page.timezone) if at else ""
        said = " ".join(filter(None, (str(each.get("handler") or ""), str(each.get("state") or ""), moment)))
        rows.append(f"<li>{escape(shown_text(said))}</li>")
    return f"<h2>Who was told</h2><ul>{''.join(rows)}</ul>" if rows else ""


def _ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1e9)


def _chart(readings: Sequence[StoredReading]) -> str:
    """Return the level of the last hours as a picture that needs no script; nothing for fewer than two readings."""
    points = [(each.time_ns, each.level) for each in readings if each.level is not None]
    if len(points) < 2:  # noqa: PLR2004 - a line has two ends
        return ""
    first, last = points[0][0], points[-1][0]
    highest = max(level for _, level in points) or 1.0
    baseline = next((each.baseline for each in reversed(readings) if each.baseline is not None), None)
    top = max(highest, baseline or 0.0) * 1.1

    def place(at: int, level: float) -> str:
        return f"{(at - first) / max(last - first, 1) * _WIDTH:.1f},{_HEIGHT - level / top * _HEIGHT:.1f}"

    line = " ".join(place(at, level) for at, level in points)
    normal = ""
    if baseline is not None:
        height = f"{_HEIGHT - baseline / top * _HEIGHT:.1f}"
        normal = f'<line class="normal" x1="0" x2="{_WIDTH}" y1="{height}" y2="{height}"/>'
    words = f"The level of the last hours, up to {highest:.3g}" + (
        "" if baseline is None else f"; {baseline:.3g} is normal (the dashed line)"
    )
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(words)}">'
        f'{normal}<polyline points="{line}"/></svg><figcaption>{escape(words)}</figcaption></figure>'
    )
