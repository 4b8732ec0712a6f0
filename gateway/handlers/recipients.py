"""What the handlers that tell each recipient singly share: who has been told already, and what to say of them all."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.api import DeliveryError

REMEMBERED = 1000  # receipts

Outcome = str | DeliveryError
"""The receipt of one recipient, or what went wrong with that one."""


class Receipts:
    """What was accepted for whom, so that a retry for one recipient does not tell another one twice."""

    def __init__(self) -> None:
        self._accepted: dict[tuple[str, str], str] = {}  # the oldest first

    def find(self, notification_id: str, recipient: str) -> str | None:
        """Return the receipt, if this recipient has been told."""
        return self._accepted.get((notification_id, recipient))

    def keep(self, notification_id: str, recipient: str, receipt: str) -> None:
        """Remember a receipt; of very many the oldest are forgotten."""
        self._accepted[notification_id, recipient] = receipt
        if len(self._accepted) > REMEMBERED:
            del self._accepted[next(iter(self._accepted))]


def conclude(outcomes: Sequence[Outcome]) -> str:
    """Return what was said of every recipient.

    Raises DeliveryError if there is one that was not told, though others were: with a retry, which is for that one
    alone, if it may be reached later. One that is refused for good may be the person on call, so the fallback is told.
    """
    failures = [outcome for outcome in outcomes if isinstance(outcome, DeliveryError)]
    said = "; ".join(map(str, outcomes))
    if failures:
        raise _together(failures, said)
    return said


def _together(failures: Sequence[DeliveryError], said: str) -> DeliveryError:
    waits = [failure.retry_after for failure in failures if failure.retry_after is not None]
    return DeliveryError(
        said,
        retry=any(failure.retry for failure in failures),
        retry_after=max(waits, default=None),
        delivered_maybe=any(failure.delivered_maybe for failure in failures),
        needs_person=any(failure.needs_person for failure in failures),
    )
