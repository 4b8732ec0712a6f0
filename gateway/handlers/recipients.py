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
    """Return what was said of every recipient; those refused for good are named as well.

    Raises DeliveryError if somebody may be reached later, and if everybody is refused for good.
    """
    failures = [outcome for outcome in outcomes if isinstance(outcome, DeliveryError)]
    if any(failure.retry for failure in failures) or len(failures) == len(outcomes):
        raise _together(failures)
    return "; ".join(map(str, outcomes))


def _together(failures: Sequence[DeliveryError]) -> DeliveryError:
    waits = [failure.retry_after for failure in failures if failure.retry_after is not None]
    return DeliveryError(
        "; ".join(map(str, failures)),
        retry=any(failure.retry for failure in failures),
        retry_after=max(waits, default=None),
        delivered_maybe=any(failure.delivered_maybe for failure in failures),
    )
