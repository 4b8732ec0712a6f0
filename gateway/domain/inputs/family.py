"""All inputs: the topics that they want, and what becomes of each message. Nothing that a message may be raises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.domain.inputs.conditions import Conditions
from gateway.domain.inputs.decoded import read_decoded
from gateway.domain.inputs.edge_nodes import PREFIX, EdgeNodes
from gateway.domain.inputs.elements import is_of_elements, overlaid
from gateway.domain.inputs.explain import Step, steps
from gateway.domain.inputs.formats import LINEWISE, UnreadableError, read, unzipped
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.native_input import read_event
from gateway.domain.inputs.reader import MessageReader
from gateway.domain.inputs.recognise import looks_like
from gateway.domain.inputs.results import Ignored, Outcome
from gateway.domain.inputs.route import Plan, Route
from gateway.domain.inputs.specs import InputSpec
from gateway.domain.inputs.topic_index import TopicIndex, filter_of
from gateway.domain.inputs.unused import unused_numbers
from gateway.domain.model.events import Message, Rejected

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
KEPT_BYTES: Final = 64 * 1024
"""Of a larger payload: enough to see who sent what."""
MAX_UNUSED: Final = 200
"""Unused numbers of an input that are remembered by their paths."""

Opened = dict[tuple[str, tuple[str, ...]], Any]
"""What a message holds, by the format it was read in."""


class Family:
    """The inputs, in the order in which they are asked. `unused` has the numbers that no field of an input uses."""

    def __init__(self, specs: Iterable[InputSpec]) -> None:
        self.specs = list(specs)
        self.unused: dict[str, dict[str, None]] = {spec.name: {} for spec in self.specs}
        self._read: dict[str, int] = {spec.name: 0 for spec in self.specs}
        self._topics: TopicIndex[Plan, Route] = TopicIndex(Route)
        plans = [Plan(spec) for spec in self.specs]
        for plan in plans:
            for levels in plan.spec.topics:
                self._topics.add(levels, plan)
        self._nodes = EdgeNodes([plan for plan in plans if plan.spec.format == "sparkplug"])

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
        if self._nodes.filters and message.topic.startswith(PREFIX):
            return self._nodes.read(message, memory)
        routes = self._topics.match(message.topic)
        if not routes:
            return Outcome(rejected=[_not_understood(message, "no input's topic fits")])
        return self._first(routes, message, memory)

    def _first(self, routes: Sequence[Route], message: Message, memory: Memory) -> Outcome:
        """Let the first input that can read a message do so."""
        ignored: list[Ignored] = []
        failed: UnreadableError | None = None
        opened: Opened = {}
        for route in routes:
            try:
                found = self._try(route, message, memory, opened)
            except UnreadableError as error:
                failed = failed or error
                continue
            if not isinstance(found, str):
                if ignored:
                    found.ignored = ignored + found.ignored
                return found
            ignored.append(Ignored(route.spec.name, found))
        if failed is None or ignored:
            return Outcome(ignored=ignored)
        return Outcome(rejected=[_not_understood(message, str(failed), failed.reason)])

    def _try(self, route: Route, message: Message, memory: Memory, opened: Opened) -> Outcome | str:
        """Return what an input makes of a message, or why it leaves it to others. Raises UnreadableError."""
        spec = route.spec
        if spec.is_event:
            return read_event(route, message)
        if spec.decode is not None:
            return read_decoded(route, spec.decode, message, memory)
        key = spec.format, spec.columns
        if key not in opened:
            opened[key] = read(spec.format, unzipped(message.payload), spec.columns)
        content = opened[key]
        if spec.binary and not is_of_elements(spec):
            content = overlaid(spec.binary, content)
        if spec.where and (why := _why_not(route, spec.where, content)):
            return why
        found = MessageReader(route, content, message, memory).read()
        self._heard(route, content, found)
        return _advised(found, message)

    def _heard(self, route: Route, scope: Any, out: Outcome) -> None:
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
    return found if is_of_elements(spec) else overlaid(spec.binary, found)


def _not_understood(message: Message, why: str, reason: str = "not_understood") -> Rejected:
    advice = looks_like(message.topic, message.payload)
    return Rejected(reason, f"{why}; {advice}" if advice else why, message.payload)


def _why_not(route: Route, where: Conditions, content: Any) -> str | None:
    """Return what speaks against an input's reading a message. Of several lines one has to be for it."""
    if route.spec.format not in LINEWISE or type(content) is not list or not content:
        return where.failing(content, route.captured)
    found = [where.failing(line, route.captured) for line in content]
    return None if None in found else found[0]


def _advised(found: Outcome, message: Message) -> Outcome:
    """Say what a message that nothing came of looks like."""
    if found.rejected and found.rejected[0].reason == "not_understood":
        found.rejected = [_not_understood(message, each.detail) for each in found.rejected]
    return found
