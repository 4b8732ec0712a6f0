from datetime import UTC
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Context
from gateway.domain.notification.model import Notification
from gateway.handlers.mail.handler import EmailHandler
from tests.examples import examples
from tests.notifications import CRITICAL, notification, saying

SETTINGS = {"host": "smtp.example.com", "from": "gateway@example.com", "to": ["anna@example.com", "Bert <b@x.org>"]}
KINDS = ["raised", "escalated", "cleared", "test"]


def mail_of(told: Notification, **more: Any) -> EmailMessage:
    handler = EmailHandler("mail", {**SETTINGS, **more})
    handler.attach(Context(UTC))
    (letter,) = handler._letters(told, None)  # noqa: SLF001 - what it would send
    return letter.message


def mail(**changes: Any) -> EmailMessage:
    return mail_of(notification(**changes))


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body([kind])
    assert body is not None
    text = body.get_content()
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"location": ""}, "CRITICAL: P-101 VB-42345 at 3.1 × baseline, since 16:30 UTC (halmstad, line-b)"),
        (
            {"severity": "warning", "ratio": None},
            "WARNING: P-101 VB-42345 at 12.5 m/s², since 16:30 UTC (Motor Assembly Line B, Conveyor Unit 4)",
        ),
        (
            {"kind": "escalated", "location": "", "site": "", "area": ""},
            "CRITICAL (escalated): P-101 VB-42345 at 3.1 × baseline, since 16:30 UTC",
        ),
        (
            {"sensor_id": "DE (P-101)", "location": "", "site": "", "area": ""},
            "CRITICAL: DE (P-101) at 3.1 × baseline, since 16:30 UTC",
        ),
        ({"kind": "cleared", "machine": "", "location": "B"}, "CLEARED: VB-42345 at 3.1 × baseline (B)"),
        ({"kind": "test", "location": "", "site": "", "area": ""}, "TEST: Gateway edge-1, nothing is wrong"),
        (
            {"alert_kind": "gateway", "location": "B", "reason": "Disk full"},
            "CRITICAL: Gateway edge-1: Disk full, since 16:30 UTC (B)",
        ),
    ],
)
def test_the_subject_says_what_matters_first(changes: dict[str, Any], subject: str) -> None:
    assert mail(**changes)["Subject"] == subject


def test_a_prefix_stands_before_the_subject() -> None:
    assert mail_of(CRITICAL, subject_prefix="[plant 7]\r\n")["Subject"].startswith("[plant 7] CRITICAL: ")


def test_a_repetition_has_the_same_message_id_and_another_notification_another() -> None:
    assert mail()["Message-ID"] == f"<{CRITICAL.id}@edge-1.vibration-gateway>"
    assert mail()["Message-ID"] == mail()["Message-ID"]
    assert mail(id="other")["Message-ID"] != mail()["Message-ID"]
    assert mail(id="not / an / atom")["Message-ID"] != mail(id="not \\ an \\ atom")["Message-ID"]


def test_the_messages_of_one_alert_make_one_thread() -> None:
    thread = f"<{CRITICAL.alert_id}@edge-1.vibration-gateway>"
    assert [mail(kind=kind)["References"] for kind in KINDS] == [thread, thread, thread, None]
    assert [mail(kind=kind)["In-Reply-To"] for kind in KINDS] == [None, thread, thread, None]


def test_says_that_no_human_wrote_it() -> None:
    assert mail()["Auto-Submitted"] == "auto-generated"
    assert mail()["Date"].datetime.tzinfo is not None


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_what_it_is(kind: str) -> None:
    words = {"raised": "New alert", "escalated": "become worse", "cleared": "is over", "test": "This is a TEST"}
    for text in (part(mail(kind=kind), "plain"), part(mail(kind=kind), "html")):
        assert words[kind] in text
        assert all(other not in text for name, other in words.items() if name != kind)


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_tells_what_is_known(kind: str) -> None:
    text = part(mail(), kind)
    known = ["P-101", "VB-42345", "12.5 m/s²", "4.0 m/s²", "3.1 × baseline", "2023-09-29 16:30 UTC", CRITICAL.reason]
    assert [fact for fact in [*known, CRITICAL.page_url, CRITICAL.alert_id] if fact not in text] == []


def test_a_test_shows_no_measurement() -> None:
    assert "12.5" not in part(mail(kind="test", reason=""), "plain")


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "data:text/html,x", "//evil.example", "http://h/\r\nx", "http://["]
)
def test_offers_no_link_but_http(url: str) -> None:
    assert "href" not in part(mail(page_url=url), "html")
    assert "Live page" not in part(mail(page_url=url), "plain")


def test_a_link_cannot_leave_its_attribute() -> None:
    page = part(mail(page_url='https://h/"onclick="alert(1)'), "html")
    assert 'href="https://h/&quot;onclick=&quot;alert(1)"' in page


@examples(50)
@given(st.text(st.characters(), min_size=1, max_size=300))
def test_any_text_makes_a_message_of_ascii_lines_with_our_headers_only(text: str) -> None:
    message = mail_of(saying(text))
    wire = message.as_bytes()
    assert wire.isascii()
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    head = wire.partition(b"\r\n\r\n")[0]
    assert b"\n" not in head.replace(b"\r\n", b"")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert names == [
        *[b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"References", b"MIME-Version"],
        b"Content-Type",
    ]


@pytest.mark.parametrize("length", [1, 20, 21, 64])
def test_ids_stay_readable_when_headers_are_folded(length: int) -> None:
    wire = mail(gateway_id="g" * length, kind="cleared").as_bytes()
    thread = f"<{CRITICAL.alert_id}@{'g' * min(length, 20)}.vibration-gateway>".encode()
    assert wire.count(thread) == 2
