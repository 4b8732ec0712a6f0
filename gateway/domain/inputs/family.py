"""All inputs: the topics that they want, and what becomes of each message. Nothing that a message may be raises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.domain.inputs.decoded import read_decoded
from gateway.domain.inputs.edge_nodes import EdgeNodes, Hear
from gateway.domain.inputs.elements import overlaid
from gateway.domain.inputs.explain import Step, steps
from gateway.domain.inputs.formats import LINEWISE, UnreadableError, read, unzipped
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.native_input import read_event
from gateway.domain.inputs.reader import MessageReader
from gateway.domain.inputs.recognise import looks_like
from gateway.domain.inputs.results import Outcome
from gateway.domain.inputs.route import Route
from gateway.domain.inputs.specs import InputSpec
from gateway.domain.inputs.topic_index import TopicIndex, filter_of
from gateway.domain.inputs.unused import unused_numbers
from gateway.domain.model.events import Message, Rejected

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
KEPT_BYTES: Final = 64 * 1024
"""Of a larger payload: enough to see who sent what."""
MAX_UNUSED: Final = 200
"""Unused numbers of an input that are remembered by their paths."""


class Family:
    """The inputs, in the order in which they are asked. `unused` has the numbers that no field of an input uses."""

    def __init__(self, specs: Iterable[InputSpec], hear: Hear | None = None) -> None:
        self.specs = list(specs)
        self.unused: dict[str, dict[str, None]] = {spec.name: {} for spec in self.specs}
        self._read: dict[str, int] = {spec.name: 0 for spec in self.specs}
        self._topics: TopicIndex[InputSpec, Route] = TopicIndex(Route)
        for spec in self.specs:
            for levels in spec.topics:
                self._topics.add(levels, spec)
        self._nodes = EdgeNodes(self.specs, hear)

    @property
    def filters(self) -> list[str]:
        """What to subscribe to."""
        wanted = [filter_of(levels) for spec in self.specs for levels in spec.topics]
        return list(dict.fromkeys([*wanted, *self._nodes.filters]))

    def routes(self, topic: str) -> list[Route]:
        """Return the inputs that want a topic."""
        return self._topics.match(topic)

    def read(self, message: Message, memory: Memory) -> Outcome:
        """Return what came of a message; what later ones need is kept in `memory`."""
        if len(message.payload) > MAX_MESSAGE_BYTES:
            detail = f"{len(message.payload)} bytes; at most {MAX_MESSAGE_BYTES} make a message"
            return Outcome(rejected=[Rejected("too_large", detail, message.payload[:KEPT_BYTES])])
        if self._nodes.wants(message.topic):
            return self._nodes.read(message, memory)
        routes = self._topics.match(message.topic)
        if not routes:
            return Outcome(rejected=[_not_understood(message, "no input's topic fits")])
        return _Attempt(self, message, memory).read(routes)

    def heard(self, route: Route, scope: Any, out: Outcome) -> None:
        """Look for unused numbers in an input's 1st, 2nd, 4th, 8th ... message: new ones turn up seldom."""
        name = route.spec.name
        self._read[name] += 1
        if self._read[name] & (self._read[name] - 1) == 0:
            known = self.unused[name]
            for path in out.unused or unused_numbers(route, scope):
                if len(known) < MAX_UNUSED:
                    known[path] = None

    def unused_in(self, message: Message, out: Outcome) -> list[str]:
        """Return what no field uses of a message that was read."""
        opened = self._opened(message, out)
        return out.unused or (unused_numbers(*opened) if opened else [])

    def steps(self, message: Message, out: Outcome) -> list[Step]:
        """Return how a message was read."""
        opened = self._opened(message, out)
        return list(steps(*opened)) if opened else []

    def _opened(self, message: Message, out: Outcome) -> tuple[Route, Any] | None:
        """Return the route and the content of a message that was read; None for what is no table's to explain."""
        for route in self._topics.match(message.topic):
            spec = route.spec
            if spec.name == out.input and not (spec.is_event or spec.decode or spec.format == "sparkplug"):
                try:
                    return route, scope_of(spec, unzipped(message.payload))
                except UnreadableError:
                    return None
        return None


def scope_of(spec: InputSpec, payload: bytes) -> Any:
    """Return what paths are looked up in. Raises UnreadableError."""
    found = read(spec.format, payload, spec.columns)
    return found if spec.each else overlaid(spec.binary, found)


def _not_understood(message: Message, why: str, reason: str = "not_understood") -> Rejected:
    advice = looks_like(message.topic, message.payload)
    return Rejected(reason, f"{why}; {advice}" if advice else why, message.payload)


class _Attempt:
    """A message on its way through the inputs that want its topic; it is decoded once for each format."""

    def __init__(self, family: Family, message: Message, memory: Memory) -> None:
        self._family = family
        self._message = message
        self._memory = memory
        self._scopes: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._payload: bytes | None = None

    def read(self, routes: Sequence[Route]) -> Outcome:
        """Let the first input that can read it do so."""
        out = Outcome()
        failed: UnreadableError | None = None
        for route in routes:
            try:
                found = self._try(route, out)
            except UnreadableError as error:
                failed = failed or error
                continue
            if found is not None:
                found.ignored = out.ignored + found.ignored
                return found
        if failed is not None and not out.ignored:
            out.rejected.append(_not_understood(self._message, str(failed), failed.reason))
        return out

    def _try(self, route: Route, out: Outcome) -> Outcome | None:
        """Return what an input makes of the message, or None where its `where` does not hold."""
        spec, message = route.spec, self._message
        if spec.is_event:
            return read_event(route, message)
        if spec.decode is not None:
            return read_decoded(route, spec.decode, message, self._memory)
        scope = self._scope(spec)
        if why := _why_not(route, scope):
            out.ignored_as(spec.name, why)
            return None
        found = MessageReader(route, scope, message, self._memory).read()
        self._family.heard(route, scope, found)
        return _advised(found, message)

    def _scope(self, spec: InputSpec) -> Any:
        if self._payload is None:
            self._payload = unzipped(self._message.payload)
        key = spec.format, spec.columns
        if key not in self._scopes:
            self._scopes[key] = read(spec.format, self._payload, spec.columns)
        return self._scopes[key] if spec.each else overlaid(spec.binary, self._scopes[key])


def _why_not(route: Route, scope: Any) -> str | None:
    """Return what speaks against an input's reading a message. Of several lines one has to be for it."""
    where = route.spec.where
    if where is None:
        return None
    lines = scope if type(scope) is list and scope and route.spec.format in LINEWISE else [scope]
    found = (where.failing(line, route.captured) for line in lines)
    first = next(found)
    return None if first is None or None in found else first


def _advised(found: Outcome, message: Message) -> Outcome:
    """Say what a message that nothing came of looks like."""
    if found.rejected and found.rejected[0].reason == "not_understood":
        found.rejected = [_not_understood(message, each.detail) for each in found.rejected]
    return found
