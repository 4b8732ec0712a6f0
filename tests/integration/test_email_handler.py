import asyncio
import gc
import time
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from gateway.api import Context, DeliveryError, Trend
from gateway.errors import TooMuchError
from gateway.handlers.mail import handler as email
from gateway.handlers.mail.handler import EmailHandler
from tests.notifications import notification
from tests.servers.certificates import issue
from tests.servers.smtp import SmtpServer


class Choosy(SmtpServer):
    """Knows the recipients at example.com and nobody else."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, _smtp: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if not address.endswith("@example.com"):
            return "451 4.7.1 greylisted" if "grey" in address else "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"


class Dying(SmtpServer):
    """Loses its connection when it has the message and has not said so."""

    async def handle_DATA(self, smtp: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802 - as above
        assert isinstance(smtp.transport, asyncio.Transport)
        smtp.transport.abort()
        return "250 2.0.0 nobody hears this"


def handler_for(server: SmtpServer, **changes: Any) -> EmailHandler:
    settings = {
        "host": "localhost",
        "port": server.port,
        "security": server.security,
        "from": "Gateway <gateway@example.com>",
        "to": ["maintenance@example.com"],
        **({"ca": str(server.ca)} if server.ca else {}),
        **changes,
    }
    return EmailHandler("mail", settings)


async def failure_of(handler: EmailHandler) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await handler.send(notification())
    return caught.value


async def test_one_message_goes_to_all_recipients(smtp: SmtpServer) -> None:
    receipt = await handler_for(smtp, to=["maintenance@example.com", "Anna <anna@example.com>"]).send(notification())
    (mail,) = smtp.messages
    assert mail.recipients == ["maintenance@example.com", "anna@example.com"]
    assert mail.sender == "gateway@example.com"
    assert mail.message["To"] == "maintenance@example.com, Anna <anna@example.com>"
    assert receipt == "250 2.0.0 queued"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_sends_over_tls_with_a_certificate_of_our_authority(tmp_path: Path, security: Any) -> None:
    server = SmtpServer(tmp_path, security=security, username="gateway", password="right")
    server.start()
    await handler_for(server, username="gateway", password="right").send(notification())
    assert len(server.messages) == 1
    server.stop()


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_refuses_a_certificate_of_somebody_else(tmp_path: Path, security: Any, host: str) -> None:
    server = SmtpServer(tmp_path, security=security)
    server.start()
    other = issue(tmp_path / "other")
    failure = await failure_of(handler_for(server, ca=str(other.ca), host=host))
    assert (failure.retry, failure.needs_person) == (True, True)
    assert "certificate" in str(failure).lower()
    assert server.attempts == []
    server.stop()


async def test_never_falls_back_to_plain_text(smtp: SmtpServer) -> None:
    failure = await failure_of(handler_for(smtp, security="starttls", username="gateway", password="right"))
    assert (failure.retry, failure.needs_person) == (True, True)
    assert "STARTTLS" in str(failure)
    assert smtp.attempts == []


async def test_a_refused_login_is_final_and_does_not_show_the_password(tmp_path: Path) -> None:
    server = SmtpServer(tmp_path, security="starttls", username="gateway", password="right")
    server.start()
    failure = await failure_of(handler_for(server, username="gateway", password="wrong-password"))
    assert not failure.retry
    assert str(failure).startswith("535 ")
    assert "wrong-password" not in str(failure)
    server.stop()


@pytest.mark.parametrize(
    ("reply", "retry"), [("451 4.3.0 try again later", True), ("554 5.7.1 \x1b[31mnot wanted", False)]
)
async def test_the_code_says_whether_a_retry_helps(smtp: SmtpServer, reply: str, *, retry: bool) -> None:
    smtp.fail_next(reply)
    failure = await failure_of(handler_for(smtp))
    assert failure.retry is retry
    assert not failure.delivered_maybe
    assert str(failure) == reply.replace("\x1b", "")


@pytest.mark.parametrize("address", ["bert@elsewhere.com", "grey@elsewhere.com"])
async def test_one_who_is_refused_keeps_nobody_waiting_and_is_not_taken_for_told(tmp_path: Path, address: str) -> None:
    """Whether it may pass says whether that one alone is tried again, or the fallback is told."""
    server = Choosy(tmp_path)
    server.start()
    handler = handler_for(server, to=["anna@example.com", address])
    for _ in range(2):
        failure = await failure_of(handler)
        assert failure.retry is (address == "grey@elsewhere.com")
        assert str(failure).startswith(f"250 2.0.0 queued; refused {address}: ")
    assert [each.recipients for each in server.messages] == [["anna@example.com"]]
    server.stop()


async def test_the_server_is_greeted_with_the_name_that_is_set(smtp: SmtpServer) -> None:
    await handler_for(smtp, ehlo="gateway.plant.example").send(notification())
    assert smtp.greeted == ["gateway.plant.example"]


@pytest.mark.parametrize(("second", "retry"), [("grey@elsewhere.com", True), ("nobody@elsewhere.com", False)])
async def test_all_recipients_refused_is_final_if_no_refusal_can_pass(
    tmp_path: Path, second: str, *, retry: bool
) -> None:
    server = Choosy(tmp_path)
    server.start()
    failure = await failure_of(handler_for(server, to=["bert@elsewhere.com", second]))
    assert failure.retry is retry
    assert second in str(failure)
    server.stop()


async def test_a_connection_lost_before_the_reply_may_have_delivered(tmp_path: Path) -> None:
    server = Dying(tmp_path)
    server.start()
    failure = await failure_of(handler_for(server))
    assert failure.retry
    assert failure.delivered_maybe
    server.stop()


@pytest.mark.parametrize(("hang", "maybe"), [("greeting", False), ("data", True)])
async def test_a_mute_server_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hang: Any, *, maybe: bool
) -> None:
    monkeypatch.setattr(email, "PATIENCE", 0.2)
    server = SmtpServer(tmp_path, hang=hang)
    server.start()
    failure = await failure_of(handler_for(server))
    assert failure.retry
    assert failure.delivered_maybe is maybe
    server.stop()


@pytest.mark.parametrize("hang", ["greeting", "data"])
async def test_stops_at_once_when_its_time_is_over(tmp_path: Path, hang: Any) -> None:
    server = SmtpServer(tmp_path, hang=hang)
    server.start()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handler_for(server).send(notification()), 0.3)
    assert time.monotonic() - began < email.QUIT_TIMEOUT
    server.stop()


@pytest.mark.parametrize("reply", ["250 2.0.0 queued", "554 5.7.1 not wanted"])
def test_leaves_no_connection_open(tmp_path: Path, reply: str) -> None:
    server = SmtpServer(tmp_path, security="starttls")
    server.start()
    server.fail_next(*[reply] * 5)
    for _ in range(5):  # the transport of an encrypted connection may also be closed in time by chance
        with suppress(DeliveryError):
            asyncio.run(handler_for(server).send(notification()))
    gc.collect()  # pytest turns what it finds unclosed into a failure
    assert len(server.attempts) == 5
    server.stop()


def linked(handler: EmailHandler) -> EmailHandler:
    handler.attach(Context(acknowledge_url=lambda alert, person: f"https://gateway.example.com/ack/{alert}/{person}"))
    return handler


async def test_with_a_link_each_recipient_gets_a_message_of_their_own(smtp: SmtpServer) -> None:
    handler = linked(handler_for(smtp, to=["maintenance@example.com", "Anna <anna@example.com>"]))
    assert await handler.send(notification()) == "250 2.0.0 queued; 250 2.0.0 queued"
    assert [mail.recipients for mail in smtp.messages] == [["maintenance@example.com"], ["anna@example.com"]]
    for mail, person in zip(smtp.messages, ["maintenance@example.com", "Anna"], strict=True):
        plain = mail.message.get_body(["plain"])
        assert plain is not None
        assert (
            f"Acknowledge: https://gateway.example.com/ack/{notification().alert_id}/{person}\n" in plain.get_content()
        )
    assert len({str(mail.message["Message-ID"]) for mail in smtp.messages}) == 1


@pytest.mark.parametrize("kind", ["cleared", "test", "notice"])
async def test_what_needs_no_acknowledgement_has_no_link(smtp: SmtpServer, kind: Any) -> None:
    await linked(handler_for(smtp)).send(notification(kind=kind))
    assert "/ack/" not in smtp.messages[0].message.as_string()


async def test_a_retry_for_one_recipient_does_not_tell_the_other_twice(smtp: SmtpServer) -> None:
    handler = linked(handler_for(smtp, to=["maintenance@example.com", "anna@example.com"]))
    smtp.fail_next("250 2.0.0 queued", "451 4.3.0 try again later")
    failure = await failure_of(handler)
    assert failure.retry
    await handler.send(notification())
    assert [mail.recipients for mail in smtp.messages] == [["maintenance@example.com"], ["anna@example.com"]]


async def test_a_recipient_refused_for_good_does_not_keep_the_next_one_waiting(tmp_path: Path) -> None:
    server = Choosy(tmp_path)
    server.start()
    handler = linked(handler_for(server, to=["nobody@elsewhere.org", "anna@example.com"]))
    failure = await failure_of(handler)
    assert not failure.retry, "the fallback is told"
    assert str(failure) == "refused nobody@elsewhere.org: 550 5.1.1 no such user; 250 2.0.0 queued"
    assert [mail.recipients for mail in server.messages] == [["anna@example.com"]]
    server.stop()


async def test_the_trend_travels_in_the_mail(smtp: SmtpServer) -> None:
    async def trend(sensor_id: str, since_ns: int, until_ns: int) -> Trend:
        assert sensor_id == "VB-42345"
        assert until_ns - since_ns == 2 * 3600 * 10**9
        return Trend(range(since_ns, until_ns, 10**11), [4.0] * 72, [4.0] * 72, 6.4, 10.0)

    handler = handler_for(smtp, chart="2h")
    handler.attach(Context(UTC, trend))
    await handler.send(notification())
    message = smtp.messages[0].message
    (picture,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content().startswith(b"\x89PNG")
    page = message.get_body(["html"])
    assert page is not None
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in page.get_content()
    assert "baseline 4.0, warning 6.4, critical 10.0" in page.get_content()


@pytest.mark.parametrize("error", [TooMuchError("too much"), TimeoutError(), ValueError("math domain error")])
async def test_a_mail_goes_without_a_chart_that_cannot_be_had(smtp: SmtpServer, error: Exception) -> None:
    async def trend(_sensor_id: str, _since_ns: int, _until_ns: int) -> Trend:
        raise error

    handler = handler_for(smtp)
    handler.attach(Context(UTC, trend))
    await handler.send(notification())
    assert smtp.messages[0].message.get_body(["html"]) is not None
