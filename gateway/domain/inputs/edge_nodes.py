"""Sparkplug: the metrics of edge nodes as rows, and their births and deaths as the presence of sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.domain.inputs import results, sparkplug
from gateway.domain.inputs.emitter import key_of
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.reader import MessageReader
from gateway.domain.inputs.results import Outcome, Publication, Status, is_id
from gateway.domain.inputs.route import Plan, Route
from gateway.domain.inputs.topic_index import TopicIndex
from gateway.domain.model.events import Message, Rejected

PREFIX: Final = "spBv1.0/"
NODE_FILTERS: Final = tuple(f"{PREFIX}+/{kind}/+" for kind in ("NBIRTH", "NDATA", "NDEATH"))
"""Messages of the nodes themselves: they number all that follows, and their deaths are those of their devices."""
_BIRTHS: Final = ("DBIRTH", "NBIRTH")


class EdgeNodes:
    """The inputs of the format sparkplug."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.filters = list(NODE_FILTERS) if plans else []
        self._topics: TopicIndex[Plan, Route] = TopicIndex(Route)
        for plan in plans:
            for levels in plan.spec.topics:
                self._topics.add(levels, plan)

    def read(self, message: Message, memory: Memory) -> Outcome:
        """Return what came of a message."""
        heard = sparkplug.hear(memory.nodes, message.topic, message.payload, message.received_ns)
        out = self._metrics(message, heard, memory)
        for presence in heard.presences:
            self._presence(presence, memory, out)
        out.publications += [Publication(*each) for each in heard.publications]
        if heard.problem is not None:
            out.rejected = [Rejected("not_understood", heard.problem, message.payload)]
        return out

    def _metrics(self, message: Message, heard: sparkplug.Heard, memory: Memory) -> Outcome:
        """Let the first input whose `where` holds read the metrics."""
        out = Outcome()
        if not heard.metrics:
            out.ignored_as("sparkplug", "it has no metrics")
            return out
        scope = sparkplug.rows(heard)
        for route in self._topics.match(message.topic):
            if route.spec.where and (why := route.spec.where.failing(scope, route.captured)):
                out.ignored_as(route.spec.name, why)
                continue
            found = MessageReader(route, scope, message, memory).read()
            found.ignored = out.ignored + found.ignored
            return found
        if not out.ignored:
            out.ignored_as("sparkplug", "no input's topic fits")
        return out

    def _presence(self, presence: sparkplug.Presence, memory: Memory, out: Outcome) -> None:
        """Say of each sensor whose metrics went that it did, and that it is back when they are born again."""
        for route in self._topics.match(topic_of(presence.source, online=presence.online)):
            name = route.spec.name
            for source, captured in sensors_of(route, presence.names).items():
                place = route.place(captured, ())
                if _has_changed(memory, f"gone\x1f{name}\x1f{key_of(source, place)}", online=presence.online):
                    said: results.Presence = "online" if presence.online else "offline"
                    out.statuses.append(Status(name, source, place, said))
                    out.input = out.input or name
            return


def _has_changed(memory: Memory, key: str, *, online: bool) -> bool:
    """Remember who is gone; tell whether that is something new."""
    was_gone = memory.get(key) is not None
    if online:
        memory.drop(key)
    else:
        memory.keep(key, b"")
    return was_gone == online


def topic_of(source: str, *, online: bool) -> str:
    """Return the topic on which a node or device says that it came or went."""
    group, node, *device = source.split("/")
    kind = f"{'D' if device else 'N'}{'BIRTH' if online else 'DEATH'}"
    return PREFIX + "/".join([group, kind, node, *device])


def sensors_of(route: Route, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Return the sensors that metrics belong to, with what the names capture."""
    found: dict[str, Mapping[str, str]] = {}
    for name in names:
        tag = route.rows.tag(name) if route.rows else None
        captured = {**route.captured, **tag.captured} if tag else {}
        source = route.source(captured, ()) if tag else None
        if source is not None and is_id(source):
            found.setdefault(source, captured)
    return found
