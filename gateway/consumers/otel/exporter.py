"""OpenTelemetry: the spans of alerts, over OTLP/HTTP. It needs the extra `otel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from gateway.api import ConsumerContext, DeliveryError, Wants
from gateway.config import OtelSection
from gateway.consumers.handover import storable
from gateway.consumers.otel.spans import Value, attributes_of, span_of_message, spans_of_change
from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.notification.model import FAILED, SENT
from gateway.outgoing.client import Answer, Client, NoAnswerError, trusted

log = structlog.get_logger(__name__)

_CONTENT = {"Content-Type": "application/x-protobuf"}
_AT_ONCE = 500  # spans in one request
_NEVER_TAKEN = {400, 413, 422}
_TOO_LARGE = 413


class Exporter:
    """A consumer that exports what happens from the first start with it on. Retention does not wait for it."""

    wants = Wants(readings=False, types=frozenset({*ALERT_FACTS, SENT, FAILED}), start="now", waits=False)

    def __init__(self, _name: str, settings: Mapping[str, Any] | OtelSection) -> None:
        section = OtelSection.model_validate(settings)
        self._endpoint = str(section.endpoint)
        self._headers = section.headers
        self._trust = trusted()
        self._client = self._new_client()
        self._context = ConsumerContext()
        self._resource = Resource()

    async def start(self, context: ConsumerContext) -> None:
        """Take over who we are, and how the journal is asked."""
        self._client = self._new_client()
        self._context = context
        names: dict[str, Value] = {"service.name": "vibration-gateway", "service.instance.id": context.gateway_id}
        self._resource = Resource(attributes=attributes_of(names))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _new_client(self) -> Client:
        headers = {name: value.get_secret_value() for name, value in self._headers.items()}
        return Client("otel", self._trust, headers=headers | _CONTENT)

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
            return spans_of_change(entry, await self._context.reading_behind(fact))
        if fact.type not in {SENT, FAILED}:
            return []
        causes = [each for each in await self._context.facts_with_id(fact.causation_id) if "id" in each.fact.data]
        return [span_of_message(entry, cause, await self._context.reading_behind(cause.fact)) for cause in causes]

    async def _post(self, spans: Sequence[Span]) -> None:
        """Send spans, halving what is too large. Raises DeliveryError, also for what is never taken."""
        scope = ScopeSpans(scope=InstrumentationScope(name="vibration-gateway"), spans=spans)
        request = ExportTraceServiceRequest(
            resource_spans=[ResourceSpans(resource=self._resource, scope_spans=[scope])]
        )
        answer = await self._ask(request.SerializeToString())
        if answer.status == _TOO_LARGE and len(spans) > 1:
            middle = len(spans) // 2
            await self._post(spans[:middle])
            await self._post(spans[middle:])
        elif not answer.is_success:
            said = f"the OpenTelemetry endpoint answers {answer.status}"
            raise DeliveryError(said, retry=answer.status not in _NEVER_TAKEN, retry_after=answer.retry_after)
        elif answer.is_page:
            raise DeliveryError("a web page answers instead of the OpenTelemetry endpoint", needs_person=True)
        else:
            _tell_of_rejected(answer.body)

    async def _ask(self, content: bytes) -> Answer:
        try:
            return await self._client.ask("POST", self._endpoint, content)
        except NoAnswerError as error:
            said = f"no answer from the OpenTelemetry endpoint: {error}"
            raise DeliveryError(said, needs_person=error.is_untrusted) from None


def _tell_of_rejected(body: bytes) -> None:
    """Have the log say what an endpoint that took a request did not take of it: that is not to be sent again."""
    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:  # it need not say anything
        return
    if partial.rejected_spans > 0:
        said = storable(partial.error_message)
        log.warning("an OpenTelemetry endpoint has not taken some spans", spans=partial.rejected_spans, said=said)
