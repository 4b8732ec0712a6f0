from collections.abc import Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.servers.scripted_http import Asked, ScriptedHttp, answer


class OtlpReceiver(ScriptedHttp):
    """A collector for traces over OTLP/HTTP. It answers with `status`, and takes the spans if that is 200.

    More than `largest` bytes are too much for it, and it refuses what has a span that begins at a time in `poison`.
    """

    def __init__(self, status: int = 200) -> None:
        super().__init__(self._answer, keeps=True)
        self.status = status
        self.largest = 1_000_000
        self.poison: set[int] = set()
        self.spans: list[Span] = []
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.resources: list[dict[str, str]] = []
        self.url += "/v1/traces"

    def _answer(self, asked: Asked) -> list[bytes]:
        return [answer(self.take(asked.path, asked.headers, asked.body))]

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Take what was sent; return the status to answer with."""
        self.requests.append((path, headers))
        status = 413 if len(body) > self.largest else self.status
        if status != 200:
            return status
        assert headers["content-type"] == "application/x-protobuf"
        resources = ExportTraceServiceRequest.FromString(body).resource_spans
        spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
        if any(span.start_time_unix_nano in self.poison for span in spans):
            return 400
        for resource in resources:
            self.resources.append({each.key: each.value.string_value for each in resource.resource.attributes})
        self.spans += spans
        return status
