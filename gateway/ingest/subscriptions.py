"""What is remembered of the broker from start to start: its session, what that has subscribed to, what was dropped."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import msgspec
import structlog

from gateway.domain.engine.commands import WriteNote, Writer
from gateway.errors import JournalUnavailableError
from gateway.journal import Journal
from gateway.mqtt.losses import Dropped, Known, Session
from gateway.mqtt.subscriber import Subscriber

log = structlog.get_logger(__name__)

SUBSCRIPTIONS, BROKER = "subscriptions", "broker"
_TRY_AGAIN = 1.0


def obsolete_filters(journal: Journal, filters: list[str]) -> list[str]:
    """Return what the broker's session may still have and the configuration has no more."""
    return sorted({*json.loads(journal.note(SUBSCRIPTIONS) or "[]")} - {*filters})


def is_first_start(journal: Journal) -> bool:
    """Tell whether no gateway has ever connected with this journal, and nobody has begun it on purpose."""
    return journal.next_seq == 1 and journal.salvaged is None and journal.note(SUBSCRIPTIONS) is None


def begin_on_purpose(journal: Journal) -> None:
    """Let a new journal take over what the broker has for the gateway."""
    journal.write_note(SUBSCRIPTIONS, "[]")


async def remember_subscriptions(
    subscriber: Subscriber, writer: Writer, filters: list[str], obsolete: list[str]
) -> None:
    """Note what the broker's session has, so that what leaves the configuration can be removed from it."""
    await _note_subscriptions(writer, [*filters, *obsolete])
    await subscriber.subscribed.wait()
    await _note_subscriptions(writer, filters)
    await asyncio.Event().wait()


async def _note_subscriptions(writer: Writer, filters: list[str]) -> None:
    """Write them down; while the journal cannot be written, which is said where batches are, try again."""
    while True:
        try:
            return await writer.ask(WriteNote(SUBSCRIPTIONS, json.dumps(filters)))
        except JournalUnavailableError as error:
            log.debug("the subscriptions cannot be noted; trying again", error=str(error))
            await asyncio.sleep(_TRY_AGAIN)


async def remember_broker(writer: Writer, name: str, session: Session, dropped: Dropped) -> None:
    """Note what an outage of our own must not make us forget: that there is a session, and what the broker dropped."""
    noted = Known()
    while True:
        known = Known(name if session.is_known else "", dropped.count)
        if known != noted:
            with suppress(JournalUnavailableError):  # said where batches are written; it is tried again
                await writer.ask(WriteNote(BROKER, msgspec.json.encode(known).decode()))
                noted = known
        await asyncio.sleep(_TRY_AGAIN)
