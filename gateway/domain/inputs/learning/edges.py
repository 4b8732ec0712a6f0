"""Sparkplug's edge nodes: their births say names and units, so that little has to be guessed."""

from __future__ import annotations

from gateway.domain.inputs.learning.families import MessageFamily
from gateway.domain.inputs.learning.leaves import Elements
from gateway.domain.inputs.learning.proposal import Proposal
from gateway.domain.inputs.learning.tags import guessed_rows
from gateway.domain.inputs.sparkplug import hear, rows
from gateway.domain.inputs.sparkplug_memory import Memory

DEVICE_LEVELS = 5
DEVICES, NODES = "spBv1.0/{group}/{kind}/{node}/{device}", "spBv1.0/{group}/{kind}/{node}"


def of_edge_nodes(family: MessageFamily) -> Proposal | None:
    """Return the input that reads what edge nodes and their devices measure, or None where that is no vibration."""
    memory = Memory()
    parts: list[dict[str, object]] = []
    of_devices = False
    for known in family.messages:
        message = known.message
        found = rows(hear(memory, message.topic, message.payload, message.received_ns))["rows"]
        parts += found
        of_devices = of_devices or (bool(found) and message.topic.count("/") == DEVICE_LEVELS - 1)
    guessed = guessed_rows(Elements("rows", parts, []), family.received_us) if parts else None
    if guessed is None:
        return None
    one = Proposal([DEVICES if of_devices else NODES], "sparkplug", rows=guessed[0])
    guessed[0].settings |= {"time": ("time",), "unit": ("unit",), "keep_last": True}
    guessed[0].settings.pop("where", None)
    one.sensor = "" if guessed[1] else "{node}/{device}" if of_devices else "{node}"
    return one
