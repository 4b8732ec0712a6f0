"""`inputs learn`: messages that were heard -> the tables that read them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from gateway.domain.inputs.learning.composing import proposed
from gateway.domain.inputs.learning.edges import of_edge_nodes
from gateway.domain.inputs.learning.families import families
from gateway.domain.inputs.learning.proposal import Proposal, toml
from gateway.domain.model.events import Message

MAX_FAMILIES: Final = 200
"""Kinds of messages that are looked at, the first ones heard."""


def learned(messages: Sequence[Message]) -> list[Proposal]:
    """Return an input for each kind of message in which there is vibration, or a temperature by itself."""
    found: list[Proposal] = []
    for family in islice(families(messages), MAX_FAMILIES):
        one = of_edge_nodes(family) if family.format == "sparkplug" else proposed(family)
        found += [one] if one is not None else []
    return found


def configuration(proposals: Sequence[Proposal]) -> str:
    """Return the tables as they belong into the configuration."""
    return "\n".join(dict.fromkeys(toml(one) for one in proposals))
