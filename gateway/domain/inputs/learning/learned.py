"""`inputs learn`: messages that were heard -> the tables that read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from gateway.domain.inputs.learning.composing import proposed
from gateway.domain.inputs.learning.edges import of_edge_nodes
from gateway.domain.inputs.learning.families import MAX_MESSAGES, families
from gateway.domain.inputs.learning.proposal import Proposal, toml
from gateway.domain.inputs.learning.quantities import UNKNOWN_UNIT
from gateway.domain.inputs.learning.recognising import LARGEST, recognised
from gateway.domain.inputs.learning.topic_levels import grouped
from gateway.domain.inputs.learning.unexplained import of_payload
from gateway.domain.model.events import Message

MAX_FAMILIES: Final = 200
"""Kinds of messages that are looked at, the first ones heard."""


def learned(messages: Sequence[Message]) -> list[Proposal]:
    """Return an input for each kind of message in which there is vibration, or a temperature by itself."""
    found: list[Proposal] = []
    for family in islice(families(messages), MAX_FAMILIES):
        one = of_edge_nodes(family) if family.format == "sparkplug" else proposed(family)
        found += [one] if one is not None else []
    _share_units(found)
    return found + list(_unexplained(messages))


def _share_units(proposals: Sequence[Proposal]) -> None:
    """Give accelerations whose unit nothing says that of a level of the same name, of which something does."""
    levels = [one.fields["level"] for one in proposals if "level" in one.fields]
    known = {level.path[-1]: level.unit for level in levels if not level.why.endswith(UNKNOWN_UNIT)}
    for fields in (one.fields for one in proposals):
        level, peak = fields.get("level"), fields.get("peak")
        if level is not None and level.why.endswith(UNKNOWN_UNIT) and (unit := known.get(level.path[-1])):
            if peak is not None and peak.unit == level.unit:
                peak.unit = unit
            level.unit, level.why = unit, "guessed: as of the same name elsewhere"


def _unexplained(messages: Sequence[Message]) -> Iterator[Proposal]:
    """Iterate over frames for payloads in no format, one for each kind of topic."""
    unknown = {
        each.topic: each.payload for each in messages[:MAX_MESSAGES] if recognised(each.topic, each.payload) is None
    }
    for topics in islice(grouped(unknown).values(), MAX_FAMILIES):
        payload = unknown[next(iter(topics))]
        one = of_payload(list(topics), payload) if len(payload) <= LARGEST else None
        if one is not None:
            yield one


def configuration(proposals: Sequence[Proposal]) -> str:
    """Return the tables as they belong into the configuration."""
    return "\n".join(dict.fromkeys(toml(one) for one in proposals))
