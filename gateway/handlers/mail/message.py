"""A mail with its headers: those that thread it, and those that keep texts from sensors where they belong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from hashlib import sha256

from gateway.domain.notification.model import Notification
from gateway.handlers.mail import page as mail_page
from gateway.handlers.text.wording import one_line

LONGEST_SUBJECT = 180

_ID = re.compile(r"[A-Za-z0-9-]{1,36}")


def compose(page: mail_page.Page, subject: str, sender: Address, to: Sequence[Address]) -> EmailMessage:
    """Return the message: plain text and HTML, pure ASCII on the wire, with ids that are the same at every attempt."""
    notification = page.notification
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = header(subject)
    message["Date"] = localtime()
    message["Message-ID"] = _message_id(notification.id, notification)
    message["Auto-Submitted"] = "auto-generated"
    if notification.alert_id and notification.kind != "test" and not notification.grouped:
        message["References"] = _message_id(notification.alert_id, notification)
        if notification.kind != "raised":
            message["In-Reply-To"] = message["References"]
    message.set_content(mail_page.plain(page), cte="quoted-printable")
    message.add_alternative(mail_page.html(page), subtype="html", cte="quoted-printable")
    html = message.get_body(["html"])
    if page.picture is not None and isinstance(html, EmailMessage):
        cid = f"<{page.picture.cid}>"
        html.add_related(page.picture.png, "image", "png", cid=cid, disposition="inline", filename="trend.png")
    return message


def header(text: str) -> str:
    """Return `text` for a header. `=?` would be read as an encoded word, which can hide line breaks."""
    return one_line(text, LONGEST_SUBJECT).replace("=?", "= ?")


def _message_id(id_: str, notification: Notification) -> str:
    """Return a Message-ID of at most 77 characters: longer ones are broken where headers are folded."""
    local = id_ if _ID.fullmatch(id_) else sha256(id_.encode(errors="replace")).hexdigest()[:32]
    gateway = re.sub(r"[^A-Za-z0-9]+", "-", notification.gateway_id)[:20].strip("-") or "unnamed"
    return f"<{local}@{gateway}.vibration-gateway>"
