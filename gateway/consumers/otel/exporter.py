"""OpenTelemetry: the spans of alerts, over OTLP/HTTP. It needs the extra `otel`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

import httpx
import structlog
from msgspec import Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from gateway.api import DeliveryError
from gateway.config import OtelSection
from gateway.consumers.otel.spans import attributes_of, span_of_message, spans_of_change
from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.model import FAILED, SENT

log = structlog.get_logger(__name__)

_TIMEOUT = 10.0  # seconds for each of connecting, sending and the answer
_AT_ONCE = 500  # spans in one request
_NEVER_TAKEN = {400, 413, 422}
_TOO_LARGE = 413


class Lookups(Struct, frozen=True):
    """What is asked of the journal: the reading that a fact followed from, and the facts with an id."""

    reading_behind: Callable[[DomainEvent], Awaitable[StoredReading | None]]
    entries_with_id: Callable[[str], Awaitable[list[EventRecord]]]


class Exporter:
    """A consumer of facts. An async context manager."""

    def __init__(self, section: OtelSection, gateway_id: str, lookups: Lookups) -> None:
        self._endpoint = str(section.endpoint)
        headers = {name: value.get_secret_value() for name, value in section.headers.items()}
        headers["Content-Type"] = "application/x-protobuf"
        self._client = httpx.AsyncClient(headers=headers, timeout=_TIMEOUT)
        self._resource = Resource(
            attributes=attributes_of({"service.name": "vibration-gateway", "service.instance.id": gateway_id})
        )
        self._lookups = lookups

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:  # noqa: ARG002 - a consumer is handed both
        """Export the spans of every change of an alert and of every message. Raises DeliveryError."""
        spans: list[Span] = []
        for entry in entries:
            spans += await self._spans(entry)
            if len(spans) >= _AT_ONCE:
                await self._post(spans)
                spans = []
        if spans:
            await self._post(spans)

    async def _spans(self, entry: EventRecord) -> list[Span]:
        fact = entry.fact
        if fact.type in ALERT_FACTS:
            return spans_of_change(entry, await self._lookups.reading_behind(fact))
        if fact.type not in {SENT, FAILED}:
            return []
        causes = [each for each in await self._lookups.entries_with_id(fact.causation_id) if "id" in each.fact.data]
        return [span_of_message(entry, cause, await self._lookups.reading_behind(cause.fact)) for cause in causes]

    async def _post(self, spans: Sequence[Span]) -> None:
        """Send spans; halve what is too large, down to the one span that is to blame."""
        scope = ScopeSpans(scope=InstrumentationScope(name="vibration-gateway"), spans=spans)
        request = ExportTraceServiceRequest(
            resource_spans=[ResourceSpans(resource=self._resource, scope_spans=[scope])]
        )
        try:
            async with self._client.stream("POST", self._endpoint, content=request.SerializeToString()) as answer:
                status = answer.status_code  # what it says besides may be long, and is not needed
        except httpx.HTTPError as error:
            raise DeliveryError(f"no answer from the OpenTelemetry endpoint: {type(error).__name__}") from None
        if status == _TOO_LARGE and len(spans) > 1:
            middle = len(spans) // 2
            await self._post(spans[:middle])
            await self._post(spans[middle:])
        elif status in _NEVER_TAKEN:
            log.error("the OpenTelemetry endpoint does not take some spans; they are left out", status=status)
        elif not answer.is_success:
            raise DeliveryError(f"the OpenTelemetry endpoint answers {status}")
