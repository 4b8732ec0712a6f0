"""An HTTP server before InfluxDB that answers by a script, or late, and passes everything else on."""

import time
from collections import deque
from collections.abc import Iterator

import httpx

from tests.servers.influxdb import Influx
from tests.servers.scripted_http import Asked, Part, ScriptedHttp, answer


class InfluxFront(ScriptedHttp):
    """What the gateway takes for its InfluxDB; `url`, `org`, `bucket` and `token` are as there.

    `delay` is how many seconds each answer is late. `answers` holds (status, headers) for the next requests;
    `requests` the time (monotonic) and the number of lines of each one so far.
    """

    def __init__(self, influx: Influx) -> None:
        super().__init__(self._answer, keeps=True)
        self.org, self.bucket, self.token = influx.org, influx.bucket, influx.token
        self.delay = 0.0
        self.answers: deque[tuple[int, dict[str, str]]] = deque()
        self.requests: list[tuple[float, int]] = []
        self._influx = influx

    def _answer(self, asked: Asked) -> Iterator[Part]:
        is_history = not asked.body.startswith(b"gateway,")  # its own metrics are nobody's history, and in no script
        if is_history:
            self.requests.append((time.monotonic(), asked.body.count(b"\n") + 1))
        if is_history and self.answers:
            status, headers = self.answers.popleft()
            yield answer(status, b'{"code": "unavailable", "message": "as the script says"}', headers)
        else:
            yield self.delay
            yield self.pass_on(asked.path, asked.headers.get("authorization", ""), asked.body)

    def pass_on(self, path: str, authorization: str, body: bytes) -> bytes:
        """Return what InfluxDB answers."""
        headers = {"Authorization": authorization}
        found = httpx.post(f"{self._influx.url}{path}", content=body, headers=headers, timeout=60)
        return answer(found.status_code, found.content)
