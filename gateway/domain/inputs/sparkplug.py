"""Sparkplug B as a host application reads it: births give names, types and units to the aliases that follow them.

After the Eclipse Sparkplug 3.0 specification: chapter 4 for the topics, 5 for the births and deaths, 6 for payloads.
`hear` reads one message with what is remembered of its node; what it answers to the broker it only returns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from gateway.domain.inputs.sparkplug_memory import NOT_BORN, Birth, Born, Memory, Node
from gateway.domain.inputs.sparkplug_payload import MAX_NAME, MalformedError, Payload, Sent, number_of, read

NAMESPACE: Final = "spBv1.0"
SEQUENCE: Final = 256
"""Messages of a node are numbered from 0 to one less than this, and again from 0."""
REBIRTH_EVERY_S: Final = 10
"""Between two requests to one node. Each that does not help doubles it, up to the next constant."""
REBIRTH_SELDOM_S: Final = 3600
REBIRTH: Final = "Node Control/Rebirth"
SEQUENCE_OF_SESSION: Final = "bdSeq"
LARGEST_SESSION: Final = 2**63 - 1
"""Sessions are counted to 255; what is no count of the kind, such as 1e300, could not even be stored."""
NAMED: Final = 5
"""Aliases that a problem names; more are only counted."""

_BIRTHS, _DATA, _DEATHS = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA"), ("NDEATH", "DDEATH")
_OTHERS: Final = ("NCMD", "DCMD", "STATE")
_NODE_LEVELS = 4


class Metric(NamedTuple):
    """A value with what its birth says of it. `time` is in epoch milliseconds; `value` is None where there is none.

    A value whose `quality` is not "good" is none that the sender stands for.
    """

    name: str
    value: Any
    unit: str
    time: int | None
    quality: str
    historical: bool
    transient: bool


class Presence(NamedTuple):
    """A node or a device of it came or went, and with it the sensors that these metrics belong to."""

    source: str
    online: bool
    names: tuple[str, ...]


class Publication(NamedTuple):
    """What the host has to publish."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class Heard(msgspec.Struct):
    """What came of a message. `problem` is why all or a part of it could not be used, for its dead letter.

    `ignored` is a message that is none of the host's business: a command, or the state of a host.
    """

    metrics: list[Metric] = []
    presences: list[Presence] = []
    publications: list[Publication] = []
    problem: str | None = None
    ignored: bool = False
    unread: int = 0


class Topic(NamedTuple):
    """The levels of a topic."""

    group: str
    kind: str
    node: str
    device: str = ""

    @property
    def node_key(self) -> str:
        """What the node's sequence is remembered under. No level of a topic has a slash in it."""
        return f"{self.group}/{self.node}"

    @property
    def source(self) -> str:
        """The node, or the device of it, that the message is about: what aliases are remembered under."""
        return f"{self.node_key}/{self.device}" if self.device else self.node_key


def hear(memory: Memory, topic: str, payload: bytes, received_ns: int) -> Heard:
    """Read one message. It never raises, whatever it is."""
    where = parsed(topic)
    if isinstance(where, str):
        return Heard(problem=where)
    if where.kind in _OTHERS:
        return Heard(ignored=True)
    try:
        content = read(payload)
    except MalformedError as error:
        return Heard(problem=f"no Sparkplug B payload: {error}")
    if where.kind == "NDEATH":
        return _node_death(memory, where, content)
    heard = _numbered(memory, where, content, received_ns)
    heard.unread = content.unread
    return heard


def parsed(topic: str) -> Topic | str:
    """Return the levels of a topic, or a sentence that says what is wrong with it."""
    levels = topic.split("/")
    if levels[0] != NAMESPACE or len(levels) < _NODE_LEVELS - 1:
        return f"no Sparkplug B topic: {NAMESPACE}/group/type/node or {NAMESPACE}/group/type/node/device"
    if levels[1] == "STATE":
        return Topic("", "STATE", levels[2])
    wanted = _NODE_LEVELS + (levels[2][:1] == "D")
    if levels[2] not in (*_BIRTHS, *_DATA, *_DEATHS, *_OTHERS) or len(levels) != wanted or not all(levels):
        return f"no Sparkplug B topic: type {levels[2][:MAX_NAME]!r} with {len(levels)} levels"
    return Topic(levels[1], *levels[2:])


def _node_death(memory: Memory, where: Topic, content: Payload) -> Heard:
    """Take a node and all its devices for gone, if it is this session that the broker says has ended.

    The will of a session that was given up may come after the birth of the next one.
    """
    node = memory.node(where.node_key)
    if node is None or session_of(content) != node.session:
        return Heard(ignored=True)
    gone = [
        Presence(source, online=False, names=names_of(birth))
        for source, birth in memory.forget_births(where.node_key).items()
    ]
    memory.keep_node(where.node_key, msgspec.structs.replace(node, online=False, seq=None))
    return Heard(presences=gone)


def _numbered(memory: Memory, where: Topic, content: Payload, received_ns: int) -> Heard:
    """Take in a message that has a place in the sequence of its node."""
    known = memory.node(where.node_key)
    node = Node() if known is None else msgspec.structs.replace(known)
    in_order = _follows(node.seq, content.seq)
    if where.kind == "NBIRTH":
        memory.forget_births(where.node_key)
        node.online, node.session, in_order = True, session_of(content), True
    heard = _content(memory, where, content)
    needed = not node.online or not in_order or heard.problem is not None
    node.seq = node.seq if content.seq is None else content.seq
    if not needed and where.kind in _DATA:
        node.asked = 0
    elif needed and _may_ask(node, received_ns):
        node.asked, node.asked_ns = node.asked + 1, received_ns
        heard.publications = [rebirth(where.group, where.node, received_ns)]
    memory.keep_node(where.node_key, node)
    return heard


def _follows(last: int | None, seq: int | None) -> bool:
    """Tell whether nothing is missing between two messages; the last one may come again. Not all senders number."""
    return last is None or seq is None or (seq - last) % SEQUENCE in (0, 1)


def _may_ask(node: Node, received_ns: int) -> bool:
    """Tell whether enough time has passed since the last request. Some nodes never answer, or never count right."""
    pause = min(REBIRTH_EVERY_S << min(max(0, node.asked - 1), 16), REBIRTH_SELDOM_S)
    return not node.asked or not 0 <= received_ns - node.asked_ns < pause * 1_000_000_000


def _content(memory: Memory, where: Topic, content: Payload) -> Heard:
    if where.kind == "DDEATH":
        birth = memory.forget_birth(where.node_key, where.source)
        return Heard(presences=[] if birth is None else [Presence(where.source, online=False, names=names_of(birth))])
    if where.kind in _BIRTHS:
        return _birth(memory, where, content)
    birth = memory.birth(where.node_key, where.source)
    metrics, unborn = _resolved(birth or NOT_BORN, content)
    return Heard(metrics=metrics, problem=_problem(where, birth, unborn))


def _birth(memory: Memory, where: Topic, content: Payload) -> Heard:
    """Take in what a birth says of the metrics, and the values that they are born with."""
    birth = Birth([*chain.from_iterable(_born(sent, "") for sent in content.metrics)])
    memory.keep_birth(where.node_key, where.source, birth)
    metrics, _ = _resolved(birth, content)
    return Heard(metrics=metrics, presences=[Presence(where.source, online=True, names=names_of(birth))])


def _born(sent: Sent, above: str) -> Iterator[Born]:
    name = _joined(above, sent.name)
    if sent.name:
        yield Born(name, sent.alias, sent.kind, sent.unit)
    for member in sent.members or ():
        yield from _born(member, name)


def _joined(above: str, name: str) -> str:
    return f"{above}/{name}"[:MAX_NAME] if above else name


def _resolved(birth: Birth, content: Payload) -> tuple[list[Metric], list[int | None]]:
    """Return the metrics of a payload, and the aliases that its source was not born with."""
    metrics: list[Metric] = []
    unborn: list[int | None] = []
    for sent in content.metrics:
        born = birth.found(sent.name, sent.alias)
        if born is None and not sent.name:
            unborn.append(sent.alias)
        else:
            metrics += _values(sent, born.name if born else sent.name, birth, content.time)
    return metrics, unborn


def _values(sent: Sent, name: str, birth: Birth, time: int | None) -> Iterator[Metric]:
    """Iterate over a metric's value, or those of its members."""
    time = sent.time or time
    if sent.members is None:
        born = birth.found(name, None)
        kind, unit = (sent.kind or born.kind, sent.unit or born.unit) if born else (sent.kind, sent.unit)
        value = number_of(kind, sent.value)
        yield Metric(name, value, unit, time, sent.quality, sent.historical, sent.transient)
        return
    for member in sent.members:
        inner = birth.found("", member.alias) if not member.name else None
        yield from _values(member, inner.name if inner else _joined(name, member.name), birth, time)


def _problem(where: Topic, birth: Birth | None, unborn: list[int | None]) -> str | None:
    if birth is None:
        return f"{where.source} has sent data, and its birth has not been heard"
    if not unborn:
        return None
    some = ", ".join("no name and no alias" if alias is None else f"alias {alias}" for alias in unborn[:NAMED])
    return f"{len(unborn)} metrics that {where.source} was not born with: {some}"


def session_of(content: Payload) -> int | None:
    """Return the number of the session that a birth began or a death ends: both carry the same."""
    for sent in content.metrics:
        if sent.name == SEQUENCE_OF_SESSION:
            value = number_of(sent.kind, sent.value)
            return int(value) if isinstance(value, int | float) and 0 <= value <= LARGEST_SESSION else None
    return None


def names_of(birth: Birth) -> tuple[str, ...]:
    """Return the names of what was born."""
    return tuple(born.name for born in birth.metrics)


def rows(heard: Heard) -> dict[str, list[dict[str, Any]]]:
    """Return the metrics as a message of rows, for `rows = { each = "rows", ... }`.

    A value that is bad or stale is none.
    """
    return {
        "rows": [
            metric._asdict() | {"value": metric.value if metric.quality == "good" else None} for metric in heard.metrics
        ]
    }


def rebirth(group: str, node: str, now_ns: int) -> Publication:
    """Return the request to be told again what there is: a Boolean, true, in one metric."""
    stamp = _varint(now_ns // 1_000_000)
    name = REBIRTH.encode()
    metric = b"\x0a" + _varint(len(name)) + name + b"\x18" + stamp + b"\x20\x0b\x70\x01"
    return Publication(f"{NAMESPACE}/{group}/NCMD/{node}", b"\x08" + stamp + b"\x12" + _varint(len(metric)) + metric)


def state(host: str, *, online: bool, since_ms: int) -> Publication:
    """Return what a host says of itself when it has connected and, as its will, when it is gone.

    Both have the same time: that of the connection.
    """
    content = json.dumps({"online": online, "timestamp": since_ms})
    return Publication(f"{NAMESPACE}/STATE/{host}", content.encode(), qos=1, retain=True)


def contradicted(payload: bytes) -> bool:
    """Tell whether what somebody says of this host, which is online, is that it is not: to be put right at once."""
    try:
        said = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return said.get("online") is False


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte, and one that says that more follow
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
