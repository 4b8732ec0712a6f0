"""A notification as a mail's text: plain, and as HTML that needs nothing from outside."""

from __future__ import annotations

from datetime import tzinfo
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

from gateway.domain.notification.model import Notification
from gateway.handlers.text import wording

_PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
_COLOURS = {"warning": "#b45309", "critical": "#b42318", "cleared": "#067647", "test": "#1d4ed8"}
_QUIET = "#475467"
_CELL = (
    "padding:9px 12px 9px 0;border-top:1px solid #e6e8ec;text-align:left;vertical-align:top;"
    "font-size:15px;line-height:21px;word-break:break-word;overflow-wrap:anywhere;"
)
_BUTTON = (
    "display:inline-block;margin:0 8px 8px 0;padding:13px 22px;border:1px solid #1c2430;border-radius:6px;"
    "font-size:16px;line-height:20px;font-weight:600;text-decoration:none;"
)
_SPACED = "margin:16px 0 0;border-collapse:collapse"
_FILLED, _HOLLOW = "background:#1c2430;color:#ffffff", "color:#1c2430"


class Picture(NamedTuple):
    """A PNG that travels in the mail, and what it shows in words."""

    png: bytes
    words: str
    cid: str = "trend@vibration-gateway"


class Page(NamedTuple):
    """What a mail shows. `body` is the text below its heading; `acknowledge_url` is empty where there is none."""

    notification: Notification
    zone: tzinfo
    body: str
    acknowledge_url: str = ""
    picture: Picture | None = None


def plain(page: Page) -> str:
    """Return the text for readers without HTML."""
    facts = wording.facts(page.notification, page.zone)
    width = max((len(name) for name, _ in facts), default=0) + 2
    lines = [wording.summary(page.notification, page.zone), *_body(page), ""]
    lines += [f"{name + ':':<{width}}{value}" for name, value in facts]
    items = wording.items(page.notification, page.zone)
    lines += ["", *items] if items else []
    links = [f"{name}: {url}" for name, url, _ in _links(page)]
    return "\n".join([*lines, *([""] if links else []), *links]) + "\n"


def html(page: Page) -> str:
    """Return the page. Every text in it is escaped, and none is searched for further placeholders."""
    notification = page.notification
    colour = notification.kind if notification.kind in _COLOURS else notification.severity
    figure = wording.ratio(notification) or wording.level(notification)
    figure = "" if wording.figure(notification) else figure  # a sentence, as a reason is
    texts = {
        "summary": wording.summary(notification, page.zone),
        "label": wording.label(notification),
        "subject": wording.subject(notification),
        "place": wording.place(notification),
        "headline": figure or wording.figure(notification) or wording.one_line(notification.reason, 120),
        "gateway": wording.one_line(notification.gateway_id),
    }
    return _PAGE.substitute(
        {name: escape(text) for name, text in texts.items()},
        colour=_COLOURS.get(colour, _QUIET),
        headline_size="30px" if figure else "20px",
        body="<br>".join(map(escape, _body(page))),
        buttons="".join(_button(name, url, look) for name, url, look in _links(page)),
        picture=_picture(page.picture) if page.picture else "",
        items=_table(wording.items(page.notification, page.zone)),
        facts="\n".join(_row(name, value) for name, value in wording.facts(notification, page.zone)),
    )


def _body(page: Page) -> list[str]:
    return [wording.one_line(line) for line in page.body.splitlines()]


def _links(page: Page) -> list[tuple[str, str, str]]:
    """Return (what it does, address, how its button looks) of the links that may be offered for clicking."""
    acknowledge, live = wording.safe_url(page.acknowledge_url), wording.link(page.notification)
    links = [("Acknowledge", acknowledge, _FILLED), ("Live page", live, _HOLLOW if acknowledge else _FILLED)]
    return [link for link in links if link[1]]


def _row(name: str, value: str) -> str:
    return (
        f'<tr><th class="quiet line" scope="row" style="{_CELL}width:76px;color:#5b6472;font-weight:normal">'
        f'{escape(name)}</th><td class="text line" style="{_CELL}color:#1c2430">{escape(value)}</td></tr>'
    )


def _table(lines: list[str]) -> str:
    if not lines:
        return ""
    rows = "".join(f'<tr><td class="text line" style="{_CELL}color:#1c2430">{escape(line)}</td></tr>' for line in lines)
    return f'<table width="100%" cellpadding="0" cellspacing="0" style="{_SPACED}">{rows}</table>'


def _button(name: str, url: str, look: str) -> str:
    kind = "button" if look == _FILLED else "button-hollow"
    return f'<a class="{kind}" href="{escape(url)}" style="{_BUTTON}{look}">{name}</a>'


def _picture(picture: Picture) -> str:
    return (
        f'<img class="chart" src="cid:{picture.cid}" width="544" alt="{escape(picture.words)}"'
        ' style="display:block;width:100%;max-width:544px;height:auto;margin:22px 0 0;border:0">'
    )
