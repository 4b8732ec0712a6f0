"""What machines and sensors say of themselves beside readings: `.../state` and `.../status`, both retained.

A retained message there is the current state by its nature, so it counts, unlike a retained reading. An empty one
deletes a machine's from the broker, and takes it back here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from gateway.domain.inputs.native import MAX_ID, too_large
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.model.assets import MachineState, SensorStatus, asset_of
from gateway.domain.model.events import Message, Rejected


class _State(Struct):
    state: str
    timestamp: datetime | None = None


_DECODER = msgspec.json.Decoder(_State)


def status_topics(readings: Sequence[str]) -> list[str]:
    """Return where the sensors of these templates say that they are online: `.../{sensor}/status`."""
    heads = [template.rpartition("/")[0] for template in readings]
    return _apart_from(readings, [f"{head}/status" for head in heads if head.rpartition("/")[2] == "{sensor}"])


def state_topics(readings: Sequence[str]) -> list[str]:
    """Return where the machines of these templates say how they run: `.../{machine}/state`."""
    heads = [template.partition("{machine}")[0] for template in readings if "{machine}" in template]
    return _apart_from(readings, [f"{head}{{machine}}/state" for head in heads if "{sensor}" not in head])


def _apart_from(readings: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Return each template once, without those whose topics are ones for readings."""
    taken = TopicTemplates(list(readings))
    topics = {template: template.replace("{", "").replace("}", "") for template in templates}
    return [template for template, topic in topics.items() if taken.match(topic) is None]


class Signals:
    """The topics of states and statuses, and what comes on them."""

    def __init__(self, states: Sequence[str] = (), statuses: Sequence[str] = ()) -> None:
        self._states = TopicTemplates(list(states))
        self._statuses = TopicTemplates(list(statuses))
        self.filters = [*self._states.filters, *self._statuses.filters]

    def read(self, message: Message) -> MachineState | SensorStatus | Rejected | None:
        """Return what a message says, why it cannot be used, or None if its topic is none of these."""
        tags = self._states.match(message.topic)
        if tags is not None:
            return too_large(message.payload) or _machine_state(message.payload, tags)
        tags = self._statuses.match(message.topic)
        return None if tags is None else too_large(message.payload) or _sensor_status(message.payload, tags)


def _machine_state(payload: bytes, tags: Mapping[str, str]) -> MachineState | Rejected:
    if not payload:
        return MachineState(asset_of(tags), "")
    try:
        state = _DECODER.decode(payload).state
    except msgspec.ValidationError as error:
        return Rejected("invalid", f"a machine's state: {error}", payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejected("not_json", str(error), payload)
    except RecursionError:
        return Rejected("too_deep", "a machine's state is nested too deeply", payload)
    if not 0 < len(state) <= MAX_ID or not state.isprintable():
        return Rejected("invalid", f"a machine's state is 1 to {MAX_ID} printable characters", payload)
    return MachineState(asset_of(tags), state)


def _sensor_status(payload: bytes, tags: Mapping[str, str]) -> SensorStatus | Rejected:
    if payload == b"online":
        return SensorStatus(tags["sensor"], "online", asset_of(tags))
    if payload == b"offline":
        return SensorStatus(tags["sensor"], "offline", asset_of(tags))
    reason = "invalid" if payload else "empty"
    return Rejected(reason, "a sensor's status is the word online or offline, and nothing else", payload)
