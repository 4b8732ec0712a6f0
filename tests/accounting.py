"""Whether everybody was told exactly what the routes say: the journal's facts against what the servers received."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.programs import MAIL, SMS, Gateway
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer
from tests.servers.waiting import until

HANDLERS = {"warning": (MAIL,), "critical": (MAIL, SMS)}  # what the routes of `programs.Gateway` lead to
EVERYTHING = ("--limit", "1000000")

Fact = dict[str, Any]


def facts(gateway: Gateway, type_: str) -> list[Fact]:
    """Return every fact of a type, the oldest first."""
    found: list[Fact] = gateway.ask("events", "list", "--type", type_, *EVERYTHING)
    return found


def alert_changes(gateway: Gateway) -> list[Fact]:
    """Return every fact that somebody is to be told of, in the order of the journal."""
    found = [*facts(gateway, "AlertRaised"), *facts(gateway, "AlertEscalated")]
    return sorted(found, key=lambda fact: int(fact["seq"]))


def wait_until_told(gateway: Gateway, messages: int, timeout: float = 30) -> None:
    """Wait until the journal says of so many notifications that they were sent."""
    sent = "SELECT count(*) FROM events WHERE type = 'NotificationSent'"
    until(lambda: gateway.rows(sent)[0][0] >= messages, timeout, f"{messages} notifications")


def due_messages(changes: Iterable[Fact]) -> Counter[tuple[str, str]]:
    """Count what the routes ask for: (handler, id of the fact)."""
    return Counter(
        (handler, change["eventId"]) for change in changes for handler in HANDLERS[change["data"]["severity"]]
    )


def telling_problems(gateway: Gateway, smtp: SmtpServer, twilio: TwilioServer) -> list[str]:
    """Return what differs from: each raised or escalated alert was told through each routed handler, once.

    What was still waiting when its alert had cleared is withdrawn, and on record as such.
    """
    sent = facts(gateway, "NotificationSent")
    over = [fact for fact in facts(gateway, "NotificationSuppressed") if fact["data"]["by"] == "over"]
    withdrawn = Counter((fact["data"]["handler"], fact["causationId"]) for fact in over)
    due = due_messages(alert_changes(gateway)) - withdrawn
    noted = Counter((fact["data"]["handler"], fact["causationId"]) for fact in sent)
    mail_ids = Counter(fact["data"]["notificationId"] for fact in sent if fact["data"]["handler"] == MAIL)
    sms_ids = Counter(re.findall(r"SM[0-9a-f]{32}", " ".join(_said(sent, SMS))))
    expected = {
        "notifications noted as sent": (due, noted),
        "mails received": (mail_ids, Counter(map(_local_part, (each.message["Message-ID"] for each in smtp.messages)))),
        "SMS received": (sum(1 for handler, _ in due.elements() if handler == SMS), len(twilio.messages)),
        "receipts of SMS": (sms_ids.total(), len(sms_ids)),
        "failed notifications": (0, len(facts(gateway, "NotificationFailed"))),
    }
    return [f"{what}: {found}, expected {wanted}" for what, (wanted, found) in expected.items() if wanted != found]


def _said(sent: Iterable[Fact], handler: str) -> list[str]:
    return [fact["data"]["said"] for fact in sent if fact["data"]["handler"] == handler]


def _local_part(message_id: str) -> str:
    return message_id.strip("<>").partition("@")[0]
