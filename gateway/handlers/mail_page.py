"""A notification as a mail's text: plain, and as HTML that needs nothing from outside."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from gateway.api import Notification
from gateway.handlers import wording

_PAGE = Template(Path(__file__).with_name("mail_page.html").read_text(encoding="utf-8"))
_COLOURS = {"warning": "#b45309", "critical": "#b42318", "cleared": "#067647", "test": "#1d4ed8"}
_CELL = (
    "padding:9px 12px 9px 0;border-top:1px solid #e6e8ec;text-align:left;vertical-align:top;"
    "font-size:15px;line-height:21px;word-break:break-word;overflow-wrap:anywhere;"
)


def plain(notification: Notification) -> str:
    """Return the text for readers without HTML."""
    facts = wording.facts(notification)
    width = max(len(name) for name, _ in facts) + 2
    lines = [wording.summary(notification), wording.lead(notification), ""]
    lines += [f"{name + ':':<{width}}{value}" for name, value in facts]
    if link := wording.link(notification):
        lines += ["", f"Live page: {link}"]
    return "\n".join(lines) + "\n"


def html(notification: Notification) -> str:
    """Return the page. Every text in it is escaped, and none is searched for further placeholders."""
    colour = notification.severity if notification.kind in {"raised", "escalated"} else notification.kind
    figure = wording.ratio(notification) or wording.level(notification)
    texts = {
        "summary": wording.summary(notification),
        "label": wording.label(notification),
        "subject": wording.subject(notification),
        "place": wording.place(notification),
        "headline": figure or wording.one_line(notification.reason, 120),
        "lead": wording.lead(notification),
        "gateway": wording.one_line(notification.gateway_id),
    }
    return _PAGE.substitute(
        {name: escape(text) for name, text in texts.items()},
        colour=_COLOURS[colour],
        headline_size="30px" if figure else "20px",
        facts="\n".join(_row(name, value) for name, value in wording.facts(notification)),
        button=_button(wording.link(notification)),
    )


def _row(name: str, value: str) -> str:
    return (
        f'<tr><th class="quiet line" scope="row" style="{_CELL}width:76px;color:#5b6472;font-weight:normal">'
        f'{escape(name)}</th><td class="text line" style="{_CELL}color:#1c2430">{escape(value)}</td></tr>'
    )


def _button(link: str) -> str:
    if not link:
        return ""
    return (
        f'<p style="margin:18px 0 0"><a class="button" href="{escape(link)}" style="display:inline-block;'
        "padding:13px 22px;border-radius:6px;background:#1c2430;color:#ffffff;font-size:16px;line-height:20px;"
        'font-weight:600;text-decoration:none">Open the live page</a></p>'
    )
