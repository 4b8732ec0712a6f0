import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from gateway.api import DeliveryError
from gateway.handlers import recipients
from gateway.handlers.sms import SmsHandler
from gateway.outgoing.client import LARGEST_ANSWER, SECONDS
from tests.notifications import notification
from tests.servers.ports import free_port
from tests.servers.twilio import TwilioServer
from tests.servers.waiting import until_async

ANNA, BERT = "+46700000001", "+46700000002"


def handler_for(server: TwilioServer, **changes: Any) -> SmsHandler:
    settings = {
        "base_url": server.base_url,
        "account_sid": server.account_sid,
        "auth_token": server.auth_token,
        "from": "+15005550006",
        "to": [ANNA],
        **changes,
    }
    return SmsHandler("sms", settings)


async def failure_of(handler: SmsHandler) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await handler.send(notification())
    return caught.value


@pytest.fixture
def mute() -> Iterator[TwilioServer]:
    server = TwilioServer(hang=True)
    server.start()
    yield server
    server.stop()


async def test_each_recipient_gets_one_message(twilio: TwilioServer) -> None:
    receipt = await handler_for(twilio, to=[ANNA, BERT]).send(notification())
    assert sorted(sent.form["To"] for sent in twilio.messages) == [ANNA, BERT]
    assert all(sent.form["Body"].startswith("CRITICAL: P-101 VB-42345 at 3.1 x baseline") for sent in twilio.messages)
    assert f"{ANNA}: SM" in receipt
    assert f"{BERT}: SM" in receipt
    assert "queued" in receipt


async def test_a_recipient_named_twice_gets_one_message(twilio: TwilioServer) -> None:
    await handler_for(twilio, to=[ANNA, ANNA]).send(notification())
    assert len(twilio.messages) == 1


async def test_a_retry_tells_nobody_twice(twilio: TwilioServer) -> None:
    handler = handler_for(twilio, to=[ANNA, BERT])
    twilio.fail_next(503)
    assert (await failure_of(handler)).retry
    assert len(twilio.messages) == 1
    await handler.send(notification())
    assert sorted(sent.form["To"] for sent in twilio.messages) == [ANNA, BERT]


async def test_another_notification_is_told_to_the_same_people(twilio: TwilioServer) -> None:
    handler = handler_for(twilio)
    await handler.send(notification(id="one"))
    await handler.send(notification(id="two"))
    assert len(twilio.messages) == 2


async def test_remembers_a_bounded_number_of_messages(twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipients, "REMEMBERED", 2)
    handler = handler_for(twilio)
    for id_ in ("one", "two", "three", "three", "one"):
        await handler.send(notification(id=id_))
    assert len(twilio.messages) == 4  # "three" is remembered, "one" is not any more


async def test_a_recipient_refused_for_good_does_not_keep_the_other_waiting(twilio: TwilioServer) -> None:
    twilio.fail_next(400, {"code": 21610, "message": "unsubscribed"})
    failure = await failure_of(handler_for(twilio, to=[ANNA, BERT]))
    assert not failure.retry, "the fallback is told"
    receipt = str(failure)
    (told,) = (sent.form["To"] for sent in twilio.messages)
    refused = ANNA if told == BERT else BERT
    assert f"{told}: SM" in receipt
    assert f"{refused}: HTTP 400 21610 unsubscribed" in receipt


@pytest.mark.parametrize(("status", "retry"), [(400, False), (401, False), (301, False), (429, True), (500, True)])
async def test_the_status_says_whether_a_retry_helps(twilio: TwilioServer, status: int, *, retry: bool) -> None:
    twilio.fail_next(status, {"code": 20001, "message": "no \x1b[31msuch\r\nthing"}, {"Location": twilio.base_url})
    failure = await failure_of(handler_for(twilio))
    assert failure.retry is retry
    assert str(failure) == f"{ANNA}: HTTP {status} 20001 no [31msuch thing"
    assert len(twilio.attempts) == 1
    assert not failure.delivered_maybe


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("99999999", 3600.0),
        (format_datetime(datetime(1994, 11, 6, tzinfo=UTC), usegmt=True), 0.0),
        ("soon", None),
        ("²", None),
    ],
)
async def test_honours_retry_after(twilio: TwilioServer, header: str, seconds: float | None) -> None:
    twilio.fail_next(429, headers={"Retry-After": header})
    assert (await failure_of(handler_for(twilio))).retry_after == seconds


async def test_honours_a_date_in_retry_after(twilio: TwilioServer) -> None:
    twilio.fail_next(
        503, headers={"Retry-After": format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)}
    )
    seconds = (await failure_of(handler_for(twilio))).retry_after
    assert seconds is not None
    assert 290 < seconds <= 300


async def test_waits_as_long_as_the_most_patient_recipient_needs(twilio: TwilioServer) -> None:
    twilio.fail_next(429, headers={"Retry-After": "7"})
    twilio.fail_next(429, headers={"Retry-After": "9"})
    assert (await failure_of(handler_for(twilio, to=[ANNA, BERT]))).retry_after == 9.0


async def test_a_request_without_an_answer_may_have_delivered(
    mute: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECONDS, "sms", 0.2)
    failure = await failure_of(handler_for(mute))
    assert failure.retry
    assert failure.delivered_maybe


async def test_a_connection_lost_before_the_answer_may_have_delivered(mute: TwilioServer) -> None:
    sending = asyncio.create_task(failure_of(handler_for(mute)))
    await until_async(lambda: mute.attempts, 5, "the request to arrive")
    await asyncio.to_thread(mute.stop)
    failure = await sending
    assert failure.retry
    assert failure.delivered_maybe


async def test_a_large_answer_is_not_read_to_its_end(twilio: TwilioServer) -> None:
    twilio.fail_next(201, {"sid": "SM1", "padding": "x" * 2 * LARGEST_ANSWER})
    assert await handler_for(twilio).send(notification()) == f"{ANNA}: 201"


async def test_plain_http_does_not_leave_the_machine_through_a_proxy(
    twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    await handler_for(twilio).send(notification())
    assert len(twilio.messages) == 1


async def test_logs_no_credentials(twilio: TwilioServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await handler_for(twilio).send(notification())
    assert twilio.account_sid in caplog.text
    assert twilio.auth_token not in caplog.text
