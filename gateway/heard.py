"""What was heard and not understood, in the words of the page and the command line, and what would read it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.config.learning import written
from gateway.config.to_inputs import compiled
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.heard import Group
from gateway.domain.inputs.native import REASONS
from gateway.domain.inputs.recognise import looks_like
from gateway.domain.inputs.trial import Trial
from gateway.domain.model.timefmt import rfc3339
from gateway.errors import NotFoundError, RefusedError
from gateway.journal import Reader
from gateway.plugins.decoders import load_decoder

SHOWN_BYTES: Final = 400
"""Of a payload: enough to see what it is."""
LOOKED_AT_BYTES: Final = 64 * 1024
"""Of a payload that is looked at for what it may be, learned from and tried."""

TRIED: Final = 5
"""Messages of a group that somebody's inputs are tried on."""


def not_understood(reader: Reader) -> dict[str, Any]:
    """Return what was heard and not understood, by the kind of topic and the reason, each with its newest message."""
    found = reader.heard()
    return {
        "summary": found.in_words(),
        "messages": found.messages,
        "topics": found.topics,
        "isWhole": found.is_whole,
        "groups": [_described(reader, group) for group in found.groups],
    }


def _described(reader: Reader, group: Group) -> dict[str, Any]:
    newest = group.newest
    payload, size = reader.dead_letter_begins(newest.seq, LOOKED_AT_BYTES)
    return {
        "pattern": group.pattern,
        "reason": newest.reason,
        "meaning": REASONS.get(newest.reason),
        "detail": newest.detail,
        "looksLike": looks_like(newest.topic, payload) or None,
        "messages": group.messages,
        "topics": group.topics,
        "newest": rfc3339(newest.received_ns),
        "seq": newest.seq,
        "topic": newest.topic,
        "payload": payload[:SHOWN_BYTES].decode(errors="backslashreplace"),
        "bytes": size,
    }


def proposal(reader: Reader, seq: int) -> dict[str, Any]:
    """Return the `[[inputs]]` that would read the messages of the group whose newest is `seq`. Raises NotFoundError."""
    group = next((group for group in reader.heard().groups if seq in group.samples), None)
    if group is None:
        raise NotFoundError(f"{seq} is not among the newest dead letters of a group; ask for the groups again")
    return {"inputs": "\n".join(written(reader.dead_messages(group.samples, LOOKED_AT_BYTES)))}


def tried(reader: Reader, text: str) -> dict[str, Any]:
    """Return what inputs, given as TOML, would make of what was heard: some newest messages of each group.

    Raises RefusedError with every reason for which they are no inputs.
    """
    trial = Trial(Family(compiled_from(text)))
    for group in reader.heard().groups:
        for message in reader.dead_messages(group.samples[:TRIED], LOOKED_AT_BYTES):
            trial.add(message)
    return trial.described()


def compiled_from(text: str) -> Sequence[Any]:
    """Return the inputs that a text has. Raises RefusedError."""
    problems: list[str] = []
    try:
        tables: Mapping[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RefusedError(f"this is not TOML: {error}") from None
    specs = compiled(tables.get("inputs", []), load_decoder, problems)
    if problems or not specs:
        raise RefusedError("; ".join(problems) or "there is no [[inputs]] in this")
    return specs
