"""Row 43: every answer to everything that goes out: told, bounded, and what was not taken is taken afterwards."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.api import ConsumerContext, DeliveryError
from gateway.config import HeartbeatSection
from gateway.consumers.influx import client as influx_client
from gateway.consumers.influx.writer import InfluxWriter
from gateway.consumers.otel import exporter
from gateway.handlers import sms, webhook
from gateway.outgoing.client import SECONDS, Client, trusted
from gateway.telemetry import heartbeat as heartbeats
from tests.faults.answers import ANSWERS, BROKEN, Told
from tests.faults.results import Recorder
from tests.notifications import notification
from tests.plant import alert_entry, alert_of, stored
from tests.servers.scripted_http import Asked, Part, ScriptedHttp, answer

MOST_MEMORY = 10_000_000
IMPATIENT = 0.4  # seconds, for those answers that nobody waits for
TRUST = trusted()
SECRET = "hunter2-and-more"

Attempt = Callable[[], Awaitable[object]]
"""Ask once; what it returns is taken, what it raises is not."""


@pytest.fixture(autouse=True)
def trusted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the authorities once: it takes longer than an answer."""

    def known(_ca: Path | None = None) -> ssl.SSLContext:
        return TRUST

    for module in (influx_client, exporter, sms, webhook):
        monkeypatch.setattr(module, "trusted", known)


@asynccontextmanager
async def heartbeat(url: str) -> AsyncIterator[Attempt]:
    section = HeartbeatSection.model_validate({"url": f"{url}/ping/{SECRET}"})

    async def attempt() -> None:
        async with Client("heartbeat", TRUST) as client:
            if problem := await heartbeats.call(client, section):
                raise DeliveryError(problem)

    yield attempt


@asynccontextmanager
async def a_webhook(url: str) -> AsyncIterator[Attempt]:
    secret = "whsec_" + "QUJD" * 10
    headers = {"Authorization": SECRET}
    made = webhook.WebhookHandler(
        "hook", {"url": f"{url}/hook", "secret": secret, "allow_private": True, "headers": headers}
    )
    yield lambda: made.send(notification())


@asynccontextmanager
async def an_sms(url: str) -> AsyncIterator[Attempt]:
    settings = {"base_url": url, "account_sid": "AC1", "auth_token": SECRET, "from": "+15005550006"}
    made = sms.SmsHandler("sms", {**settings, "to": ["+46700000001"]})
    yield lambda: made.send(notification())


@asynccontextmanager
async def otel(url: str) -> AsyncIterator[Attempt]:
    made = exporter.Exporter("otel", {"endpoint": f"{url}/v1/traces", "headers": {"Authorization": SECRET}})
    await made.start(ConsumerContext("edge-1"))
    yield lambda: made.consume([], [alert_entry(alert_of())])
    await made.close()


@asynccontextmanager
async def influxdb(url: str) -> AsyncIterator[Attempt]:
    made = InfluxWriter("influx", {"url": url, "org": "plant", "bucket": "vibration", "token": SECRET})

    async def attempt() -> None:
        taken = await made.consume([stored()], [])
        assert not taken.refused
        assert not taken.skipped

    yield attempt
    await made.close()


CLIENTS: dict[str, Callable[[str], AbstractAsyncContextManager[Attempt]]] = {
    "heartbeat": heartbeat,
    "influxdb": influxdb,
    "otel": otel,
    "sms": an_sms,
    "webhook": a_webhook,
}


def well(asked: Asked) -> list[Part]:
    """Answer as it should be."""
    if asked.path.startswith("/api/v2/write"):
        return [answer(204)]
    return [answer(201, b'{"sid": "SM1", "status": "queued"}') if "Messages" in asked.path else answer(200)]


def is_taken(client: str, name: str, told: Told) -> bool:
    """Return whether an answer says that everything is as it should be."""
    if told.status is None or name in BROKEN:
        return False
    if client == "influxdb":
        return told.status == 204
    return 200 <= told.status < 300 and not (told.is_page and client in {"otel", "sms"})


@asynccontextmanager
async def peer_with(told: Told) -> AsyncIterator[ScriptedHttp]:
    peer = ScriptedHttp(lambda _: told.parts)
    peer.start()
    yield peer
    await asyncio.to_thread(peer.stop)


async def first(attempt: Attempt, client: str, name: str) -> str:
    """Let a client have an answer; return what it made of it."""
    outcome = await outcome_of(attempt)
    assert (outcome == "taken") == is_taken(client, name, ANSWERS[name]), f"{name}: {outcome}"
    return outcome


async def again(attempt: Attempt, peer: ScriptedHttp, name: str) -> None:
    """Let it have a good answer to the same; the connection that it has kept may be gone, so that it tries twice."""
    peer.script = well
    assert "taken" in {await outcome_of(attempt), await outcome_of(attempt)}, f"after {name}"
    before, *_, last = peer.asked
    assert (before.method, before.path, before.body) == (last.method, last.path, last.body)


async def at_once(client: str, name: str) -> str:
    async with peer_with(ANSWERS[name]) as peer, CLIENTS[client](peer.url) as attempt:
        outcome = await first(attempt, client, name)
        if outcome != "taken":
            await again(attempt, peer, name)
    return outcome


async def slowly(client: str, names: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a client have slow answers, all at the same time and in no time; then good ones, in time enough."""
    patience = SECONDS[client]
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(peer_with(ANSWERS[name])) for name in names]

        async def one(peer: ScriptedHttp, name: str) -> str:
            async with CLIENTS[client](peer.url) as attempt:
                return await first(attempt, client, name)

        async def well_again(peer: ScriptedHttp, name: str) -> None:
            async with CLIENTS[client](peer.url) as attempt:
                await again(attempt, peer, name)

        monkeypatch.setitem(SECONDS, client, IMPATIENT)
        outcomes = await asyncio.gather(*map(one, peers, names))
        monkeypatch.setitem(SECONDS, client, patience)
        await asyncio.gather(*map(well_again, peers, names))
    return outcomes


async def outcome_of(attempt: Attempt) -> str:
    try:
        await attempt()
    except DeliveryError as error:
        said = str(error)
        assert said.isprintable(), ascii(said)
        assert 0 < len(said) < 600
        assert SECRET not in said
        return "told and tried again" if error.retry else "told and given up"
    return "taken"


def test_row_43_every_client_of_the_table() -> None:
    assert CLIENTS.keys() == SECONDS.keys()
    assert len(ANSWERS) >= 60


def peak_memory() -> int:
    """Return the most memory that this process has occupied since it was reset, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024


def reset_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return peak_memory()


@pytest.mark.parametrize("client", CLIENTS)
async def test_row_43_every_answer(client: str, monkeypatch: pytest.MonkeyPatch, record: Recorder) -> None:
    """Row 43: whatever is answered, it is told in words, costs little, and the same is taken once the peer is well."""
    await at_once(client, "200")  # what is imported and kept once is no answer's
    before = reset_peak()
    outcomes = [await at_once(client, name) for name, told in ANSWERS.items() if not told.slow]
    outcomes += await slowly(client, [name for name, told in ANSWERS.items() if told.slow], monkeypatch)
    memory = peak_memory() - before
    assert memory < MOST_MEMORY
    assert len(outcomes) == len(ANSWERS)
    summary = ", ".join(f"{count} {what}" for what, count in sorted(Counter(outcomes).items()))
    record(note=f"{len(outcomes)} answers: {summary}; at most {max(memory, 0) / 1e6:.1f} MB more memory")
