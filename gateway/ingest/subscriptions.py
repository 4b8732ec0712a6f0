"""What the broker's session has subscribed to, so that what leaves the configuration can be removed from it."""

from __future__ import annotations

import asyncio
import json

import structlog

from gateway.domain.engine.commands import WriteNote, Writer
from gateway.errors import JournalUnavailableError
from gateway.mqtt.subscriber import Subscriber

log = structlog.get_logger(__name__)

SUBSCRIPTIONS = "subscriptions"
_TRY_AGAIN = 1.0


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
