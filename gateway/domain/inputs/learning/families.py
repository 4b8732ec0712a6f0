"""Messages that were heard, sorted: of one format, on topics that differ in ids only, of one kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from gateway.domain.inputs.learning import topic_levels as levels
from gateway.domain.inputs.learning.identity import kinds_of
from gateway.domain.inputs.learning.leaves import Leaves, leaves_of
from gateway.domain.inputs.learning.recognising import Recognised, recognised
from gateway.domain.inputs.learning.unnamed import Told, discovered
from gateway.domain.inputs.paths import Path
from gateway.domain.model.events import Message

MAX_MESSAGES: Final = 20_000
"""Messages that are looked at."""
MAX_OF_ONE_KIND: Final = 50
"""Of them those that are compared."""
MAX_PATTERNS: Final = 1000
"""Kinds of topics of one format that are compared; messages on further ones are not looked at."""
MAX_KINDS: Final = 20

_DISCOVERY = "homeassistant/"


class Known(NamedTuple):
    """A message that could be read."""

    message: Message
    read: Recognised


class MessageFamily(NamedTuple):
    """Messages that one input may read. `told`: what discovery messages say of their values."""

    pattern: tuple[str, ...]
    messages: list[Known]
    told: dict[Path, Told]

    @property
    def topics(self) -> list[str]:
        """Their topics, each once."""
        return list(dict.fromkeys(known.message.topic for known in self.messages))

    @property
    def values(self) -> list[Any]:
        """What they hold."""
        return [known.read.value for known in self.messages]

    @property
    def format(self) -> str:
        """What they are written in."""
        return self.messages[0].read.format

    @property
    def received_us(self) -> int:
        """When the last of them came."""
        return self.messages[-1].message.received_ns // 1000


def families(messages: Iterable[Message]) -> Iterator[MessageFamily]:
    """Iterate over the messages that can be read, by format and topic. Discovery messages are about others."""
    of_format: dict[str, list[Known]] = {}
    configs: list[Any] = []
    for message, _ in zip(messages, range(MAX_MESSAGES), strict=False):
        read = recognised(message.topic, message.payload)
        if read is not None and message.topic.startswith(_DISCOVERY) and message.topic.endswith("/config"):
            configs.append(read.value)
        elif read is not None:
            of_format.setdefault(read.format, []).append(Known(message, read))
    told = discovered(configs)
    for each in of_format.values():
        yield from _by_topic(each, told)


def _by_topic(known: list[Known], told: Mapping[tuple[str, Path], Told]) -> Iterator[MessageFamily]:
    shapes: dict[levels.Pattern, frozenset[str]] = {}
    of_topic: dict[str, levels.Pattern] = {}
    for each in known:
        topic = each.message.topic
        if topic not in of_topic and len(shapes) < MAX_PATTERNS:
            of_topic[topic] = levels.skeleton(topic)
            shapes.setdefault(of_topic[topic], _shape(each))
    patterns = levels.merged(shapes)
    found: dict[levels.Pattern, list[Known]] = {}
    fitting = {pattern: next(one for one in patterns if levels.fits(one, pattern)) for pattern in shapes}
    for each in known:
        if each.message.topic in of_topic:
            found.setdefault(fitting[of_topic[each.message.topic]], []).append(each)
    for pattern, messages in found.items():
        topics = {each.message.topic for each in messages}
        yield from _by_kind(
            MessageFamily(pattern, messages, {path: said for (topic, path), said in told.items() if topic in topics})
        )


def _shape(known: Known) -> frozenset[str]:
    """Return the names in a message."""
    return frozenset(path[-1] for path in leaves_of([known.read.value]))


def _by_kind(family: MessageFamily) -> Iterator[MessageFamily]:
    """Split messages that say that they are of different kinds, or samples of different axes."""
    for path, kinds in _discriminators(leaves_of(family.values[: MAX_OF_ONE_KIND * MAX_KINDS])):
        if 1 < len(kinds) <= MAX_KINDS:
            for kind in sorted(kinds):
                yield from _by_kind(
                    family._replace(messages=[each for each in family.messages if _said(each, path) == kind])
                )
            return
    yield family._replace(messages=family.messages[:MAX_OF_ONE_KIND])


def _discriminators(leaves: Leaves) -> Iterator[tuple[Path, set[str]]]:
    yield from kinds_of(leaves)
    for path, values in leaves.items():
        if len(path) == 1 and path[0].casefold() == "axis":
            yield path, {str(value) for value in values}


def _said(known: Known, path: Path) -> str:
    value = known.read.value
    return str(value.get(path[0])) if isinstance(value, dict) else ""
