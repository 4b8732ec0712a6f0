"""Every error that the gateway raises on purpose. Each says whether trying again helps."""

from collections.abc import Iterable


class GatewayError(Exception):
    """What happened, where, and what to do about it, in one sentence."""

    retry = False


class ConfigError(GatewayError):
    """The configuration cannot be used. `problems` holds one line for each thing to mend: file, key and reason."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class JournalError(GatewayError):
    """The journal cannot be opened: made by a newer program, in use by another one, or damaged."""


class JournalInUseError(JournalError):
    """Another process is the gateway of this state directory."""


class JournalUnavailableError(GatewayError):
    """The journal cannot be written or read right now, usually because the disk is full."""

    retry = True


class TooMuchError(GatewayError):
    """A question to the journal takes too long to answer."""


class NotFoundError(GatewayError):
    """There is no such alert, sensor or dead letter."""


class ConflictError(GatewayError):
    """What was asked for does not fit the state things are in; nothing was changed."""


class RefusedError(GatewayError):
    """What was asked for is never done: it is outside of what is allowed."""


class DeliveryError(GatewayError):
    """A handler or consumer could not deliver.

    `retry` says whether another attempt can succeed; `retry_after` is the least number of seconds the other side
    asked us to wait. `delivered_maybe` is for the gap in which the other side may already have taken the message.
    A consumer that can never take some `rows` names them by their `seq`. `needs_person` says that only a person can
    mend it, as a wrong password: people are told of it at once.
    """

    def __init__(
        self,
        message: str,
        *,
        retry: bool = True,
        retry_after: float | None = None,
        delivered_maybe: bool = False,
        rows: Iterable[int] = (),
        needs_person: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry = retry
        self.retry_after = retry_after
        self.delivered_maybe = delivered_maybe
        self.rows = frozenset(rows)
        self.needs_person = needs_person
