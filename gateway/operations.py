"""Changes that people ask for: over HTTP, or on the command line while no gateway runs."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from gateway.api import Context, Trend
from gateway.config import Config, zone_of
from gateway.domain.alerts import describe
from gateway.domain.baseline_history import described
from gateway.domain.events import Fact, rfc3339
from gateway.domain.limits import Limits
from gateway.domain.links import SHORTEST_KEY, VALID_NS, AckLink, sign
from gateway.domain.open_alerts import Change, OpenAlerts
from gateway.domain.silences import describe_now, wanted
from gateway.errors import ConfigError, GatewayError
from gateway.journal import Journal, Questions, Reader, Stream
from gateway.journal.messages import Messages
from gateway.journal.silences import add, expire
from gateway.pipeline import Pipeline

log = structlog.get_logger(__name__)

TOKEN_FILE = "http-token"  # noqa: S105 - the name of a file
LINK_KEY_FILE = "link-key"


class Operations:
    """Each is one call in the journal's thread; whoever follows the journal is woken afterwards."""

    def __init__(self, journal: Journal, pipeline: Pipeline, stream: Stream | None = None) -> None:
        self._journal = journal
        self._pipeline = pipeline
        self._stream = stream

    async def acknowledge(self, alert_id: str, by: str, reason: str) -> Mapping[str, Any]:
        """Acknowledge an alert and return it. Raises NotFoundError or ConflictError."""
        alert = await self._attend(lambda alerts, now_ns: alerts.acknowledge(alert_id, by, reason, now_ns))
        self._announce("acknowledged", alert=alert["id"], sensor=alert["sensorId"], by=by, reason=reason)
        return alert

    async def set_baseline(self, sensor_id: str, level: float, state: str, by: str, reason: str) -> Mapping[str, Any]:
        """Set what is normal for a sensor, and return that. Raises NotFoundError or ConflictError."""
        fact = await self._change(
            partial(self._pipeline.set_baseline, sensor_id, level, state=state, by=by, reason=reason)
        )
        self._announce("baseline set", sensor=sensor_id, level=level, state=state, by=by, reason=reason)
        return described(fact)

    async def relearn(self, sensor_id: str, state: str | None, by: str, reason: str) -> Mapping[str, Any]:
        """Have it learned anew, in an operating state or in all; return who wanted it. Raises as `set_baseline`."""
        fact = await self._change(partial(self._pipeline.relearn, sensor_id, state=state, by=by, reason=reason))
        self._announce("baseline to be learned anew", sensor=sensor_id, state=state, by=by, reason=reason)
        return described(fact)

    async def forget(self, sensor_id: str, by: str, reason: str) -> Mapping[str, Any]:
        """Let nobody wait for a sensor any more, and return who wanted that and when. Raises NotFoundError."""
        fact = await self._change(partial(self._pipeline.forget, sensor_id, by=by, reason=reason))
        self._announce("sensor forgotten", sensor=sensor_id, by=by, reason=reason)
        return {"at": rfc3339(fact.time_ns), **fact.data}

    async def _change(self, change: Callable[..., Fact]) -> Fact:
        return await self._journal.call(partial(change, time_ns=time.time_ns()))

    async def shelve(self, alert_id: str, duration_ns: int, by: str, reason: str) -> Mapping[str, Any]:
        """Shelve an alert for a while and return it. Raises NotFoundError or RefusedError."""
        alert = await self._attend(lambda alerts, now_ns: alerts.shelve(alert_id, duration_ns, by, reason, now_ns))
        until = alert["shelvedUntil"]
        self._announce("shelved", alert=alert["id"], sensor=alert["sensorId"], until=until, by=by, reason=reason)
        return alert

    async def unshelve(self, alert_id: str, by: str, reason: str) -> Mapping[str, Any]:
        """Take an alert off the shelf and return it. Raises NotFoundError or ConflictError."""
        alert = await self._attend(lambda alerts, now_ns: alerts.unshelve(alert_id, by, reason, now_ns))
        self._announce("unshelved", alert=alert["id"], sensor=alert["sensorId"], by=by, reason=reason)
        return alert

    async def _attend(self, ask: Callable[[OpenAlerts, int], Sequence[Change]]) -> Mapping[str, Any]:
        now_ns = time.time_ns()
        return describe(await self._journal.call(self._pipeline.attend, lambda alerts: ask(alerts, now_ns), now_ns))

    async def limits(self, sensor_id: str) -> Mapping[str, Any] | None:
        """Return what a sensor's next reading will be compared with, or None without a baseline."""
        found = await self._journal.call(self._pipeline.limits, sensor_id)
        if found is None or found.baseline is None:
            return None
        baseline, level = found.baseline, found.level
        known = {"baseline": baseline.level, "source": baseline.source, "version": baseline.version}
        return {**known, "warning": level.warning, "critical": level.critical, "clear": level.clear}

    async def add_silence(self, parts: Mapping[str, Any], by: str, reason: str) -> Mapping[str, Any]:
        """Add a silence and return it. Raises ValueError for one that cannot be."""
        now_ns = time.time_ns()
        silence = wanted(parts, by, reason, now_ns)
        await self._journal.call(add, Messages(self._journal), silence, now_ns)
        described_now = describe_now(silence, now_ns)
        self._announce("silence added", silence=silence.id, until=described_now["endsAt"], by=by, reason=reason)
        return described_now

    async def expire_silence(self, silence_id: str, by: str) -> Mapping[str, Any]:
        """End a silence now and return it. Raises NotFoundError or ConflictError."""
        now_ns = time.time_ns()
        ended = await self._journal.call(expire, Messages(self._journal), silence_id, by, now_ns)
        self._announce("silence ended", silence=ended.id, by=by)
        return describe_now(ended, now_ns)

    async def replay(self, numbers: Sequence[int]) -> Mapping[str, Any]:
        """Take dead letters (all, if no numbers are given) through the pipeline again.

        In slices, between which batches are written; those that come in meanwhile are not asked for.
        """
        journal, end = self._journal, self._journal.next_seq
        asked, replayed, after = 0, list[int](), 0
        while letters := await journal.call(journal.dead_letters, numbers, after, end):
            replayed += await journal.call(self._pipeline.replay, letters, time.time_ns())
            asked, after = asked + len(letters), letters[-1][0]
            self._announce()
        self._announce("dead letters replayed", asked=asked, replayed=len(replayed))
        return {"asked": asked, "replayed": replayed}

    def _announce(self, done: str = "", **what: object) -> None:
        """Wake who follows the journal, and have the log say what somebody has done; a command has neither."""
        if self._stream is not None:
            self._stream.announce()
            if done:
                log.info(done, **{name: value for name, value in what.items() if value not in {None, ""}})


def trend_of(rows: Sequence[tuple[int, float, float | None]], limits: Limits | None) -> Trend:
    """Return rows of (time in ns, level, baseline) with the limits that hold now, if any are known."""
    times, levels, baselines = zip(*rows, strict=True) if rows else ((), (), ())
    known = limits is not None and limits.baseline is not None
    warning, critical = (limits.level.warning, limits.level.critical) if limits and known else (None, None)
    return Trend(times, levels, baselines, warning, critical)


def http_token(config: Config) -> str:
    """Return the token that changes need: the configured one, else one that is made once and kept in the state_dir.

    Raises ConfigError for a file that cannot be read, and GatewayError if none can be made.
    """
    if config.http is not None and config.http.token is not None:
        return config.http.token.get_secret_value()
    return _kept_secret(config.gateway.state_dir / TOKEN_FILE)


def link_key(config: Config) -> bytes:
    """Return the key that acknowledge links are signed with; it is made once and kept in the state_dir.

    Raises as `http_token`, and ConfigError for a key that is too short.
    """
    path = config.gateway.state_dir / LINK_KEY_FILE
    key = _kept_secret(path).encode()
    if len(key) < SHORTEST_KEY:
        short = f"the key is shorter than {SHORTEST_KEY} bytes; remove the file, and the next start makes a new one"
        raise ConfigError([f"{path}: {short}"])
    return key


def _kept_secret(path: Path) -> str:
    """Return the secret in a file that only its owner can read; a new one if there is none."""
    try:
        if secret := path.read_text(encoding="ascii").strip():
            return secret
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not plain ASCII"
        mend = "run this as the gateway's user, or remove it, and the next start makes a new one"
        raise ConfigError([f"{path}: the secret in it cannot be read: {reason}; {mend}"]) from error
    try:
        return _new_secret(path)
    except OSError as error:
        raise GatewayError(f"{path}: a secret cannot be kept in it: {error.strerror}") from error


def _new_secret(path: Path) -> str:
    secret = secrets.token_urlsafe(32)
    new = path.with_name(f"{path.name}.{os.getpid()}")  # whole or not at all: a crash must not leave an empty one
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="ascii") as stream:
        stream.write(f"{secret}\n")
    new.replace(path)
    return secret


def handler_context(config: Config, journal: Journal, pipeline: Pipeline, questions: Questions) -> Context:
    """Return what the gateway offers to its handlers."""
    public, key = config.http.public_url if config.http else None, link_key(config)

    async def trend(sensor_id: str, since_ns: int, until_ns: int) -> Trend:
        rows = await questions.ask(Reader.trend, sensor_id, since_ns, until_ns)
        return trend_of(rows, await journal.call(pipeline.limits, sensor_id))

    def acknowledge_url(alert_id: str, person: str) -> str:
        if public is None:  # nobody but this device would find the page
            return ""
        signed = sign(AckLink(alert_id, person, time.time_ns() + VALID_NS), key)
        return f"{str(public).rstrip('/')}/ack/{signed}"

    return Context(zone_of(config), trend, acknowledge_url)
