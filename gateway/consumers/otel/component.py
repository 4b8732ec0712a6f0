"""The export of traces as a part of the gateway."""

from __future__ import annotations

from functools import partial

from gateway.config import OtelSection
from gateway.consumers.runner import follow, patiently
from gateway.journal import Reader, Stream

OTEL = "otel"


async def export_traces(section: OtelSection, gateway_id: str, stream: Stream) -> None:
    """Export what happens from the first start with it on. Retention does not wait for it."""
    from gateway.consumers.otel.exporter import Exporter, Lookups  # noqa: PLC0415 - an extra

    if OTEL not in await patiently(partial(stream.read, Reader.cursors)):  # at 0 every start would be the first
        await patiently(partial(stream.move_cursor, OTEL, stream.last_seq))
    lookups = Lookups(
        lambda fact: stream.read(Reader.reading_behind, fact), lambda id_: stream.read(Reader.entries_with_id, id_)
    )
    async with Exporter(section, gateway_id, lookups) as exporter:
        await follow(OTEL, exporter, stream, readings=False)
