"""A configuration out of what was heard, tested on what was heard."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence

from gateway.config.presets import preset_names, preset_text
from gateway.config.to_inputs import compiled
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.learning.composing import to_be_named
from gateway.domain.inputs.learning.families import families
from gateway.domain.inputs.learning.learned import learned
from gateway.domain.inputs.learning.proposal import comment, text, toml
from gateway.domain.inputs.learning.recognising import recognised
from gateway.domain.inputs.learning.topic_levels import grouped, sensor_level, skeleton, template
from gateway.domain.inputs.learning.unnamed import unnamed_numbers
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.recognise import LARGEST_FORMAT, looks_like
from gateway.domain.inputs.specs import Decode
from gateway.domain.model.events import Message
from gateway.errors import ConfigError

_SHOWN = 5
"""Sensors that a comment names."""
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_PRESET = re.compile(r'preset = "([a-z0-9-]+)"')
_MOST_GROUPS = 100
"""Kinds of topics that presets are tried on."""
_LONGEST_NUMBER = 20
"""Characters of a number that is shown."""
_MOST_UNREAD = 20
"""Kinds of topics that nothing was learned of and that are listed."""


def _no_decoder(name: str) -> Decode:
    raise ConfigError([f"nothing that is learned needs a decoder; {name!r} is none of ours"])


def written(messages: Sequence[Message], *, is_timed: bool = True) -> Iterator[str]:
    """Iterate over the lines of the tables, each with what came of it, and over what nothing was learned of.

    `is_timed`: when the messages came is known, so that times without a zone tell theirs.
    """
    topics = len({message.topic for message in messages})
    yield comment(f"Learned from messages: {len(messages)}, on topics: {topics}.")
    presets, others = _presets(messages)
    tables, frames = _tables(others, is_timed=is_timed)
    tables = [*presets, *tables]
    tables += [frame for frame in frames if _wants(frame, Trial(tables, messages).unread)]
    trial = Trial(tables, messages)
    for number, table in enumerate(tables, start=1):
        yield ""
        yield comment(trial.told(str(number)))
        yield from table.splitlines()
    if trial.unread:
        yield ""
        yield from _unread(trial.unread)


def _tables(messages: Sequence[Message], *, is_timed: bool) -> tuple[list[str], list[str]]:
    """Return the tables that read something, and those that somebody has to complete: for bytes without a meaning."""
    found: tuple[dict[str, None], dict[str, None]] = {}, {}
    for one in learned(messages):
        if one.time is not None and one.time.offset and not is_timed:
            one.time = one.time._replace(offset=0)
        table = toml(one)
        if _is_valid(table):
            found[bool(one.inline)][table] = None
    return list(found[0]), list(found[1])


def _wants(table: str, messages: Sequence[Message]) -> bool:
    family = Family(compiled(tomllib.loads(table)["inputs"], _no_decoder, []))
    return any(family.routes(message.topic) for message in messages)


def _is_valid(table: str) -> bool:
    """Tell whether the configuration takes a table: what was heard can be anything."""
    problems: list[str] = []
    compiled(tomllib.loads(table)["inputs"], _no_decoder, problems)
    return not problems


def _presets(messages: Sequence[Message]) -> tuple[list[str], list[Message]]:
    """Return tables with presets that read more than what is learned, and the messages that they are not for."""
    tables: dict[str, None] = {}
    taken: set[str] = set()
    for topics in list(grouped(message.topic for message in messages).values())[:_MOST_GROUPS]:
        group = [message for message in messages if message.topic in topics]
        table = _preset(list(topics), group)
        if table and Trial([table], group).values > Trial(_tables(group, is_timed=True)[0], group).values:
            tables[table] = None
            taken |= topics.keys()
    return list(tables), [message for message in messages if message.topic not in taken]


def _preset(topics: list[str], messages: Sequence[Message]) -> str:
    """Return a table with the preset that messages look like: with its own topic, else with theirs. "": none reads."""
    found = _PRESET.search(looks_like(messages[0].topic, messages[0].payload))
    if found is None or found[1] not in preset_names():
        return ""
    tables = (_preset_table(settings, found[1]) for settings in ({}, {"topic": _topic(topics, found[1])}))
    return next((table for table in tables if _is_valid(table) and Trial([table], messages).values), "")


def _topic(topics: list[str], preset: str) -> str:
    """Return a template for topics that were heard, with the placeholders that a preset needs, in their order."""
    pattern = skeleton(topics[0])
    topic, names = template(pattern, topics, sensor_level(pattern, topics, set()))
    needed = _PLACEHOLDER.findall(preset_text(preset).partition("topic = ")[2].partition("\n")[0])
    for at, name in zip(sorted(names), needed, strict=False):
        topic = "/".join(f"{{{name}}}" if k == at else level for k, level in enumerate(topic.split("/")))
    return topic


def _preset_table(settings: dict[str, str], preset: str) -> str:
    lines = (f"{name} = {text(value)}" for name, value in (settings | {"preset": preset}).items())
    return "\n".join(["[[inputs]]", *lines]) + "\n"


class Trial:
    """The tables, tried on what was heard. `values` counts what was measured, `unread` has what gave nothing."""

    def __init__(self, tables: Sequence[str], messages: Sequence[Message]) -> None:
        specs = compiled(tomllib.loads("\n".join(tables)).get("inputs", []), _no_decoder, [])
        family, memory = Family(specs), Memory()
        self._sensors: dict[str, dict[str, None]] = {}
        self._messages: Counter[str] = Counter()
        self.unread: list[Message] = []
        self.values = 0
        for message in messages:
            out = family.read(message, memory)
            sensors = [reading.sensor for reading in out.readings] + [block.sensor for block in out.waveforms]
            self.values += sum(len(reading.values) + 1 for reading in out.readings) + len(out.waveforms)
            if out.input is not None and sensors:
                number = out.input.partition(".")[0]
                self._messages[number] += 1
                self._sensors.setdefault(number, {}).update(dict.fromkeys(sensors))
            elif not out.statuses:
                self.unread.append(message)

    def told(self, name: str) -> str:
        """Return what came of an input, as a sentence."""
        sensors = list(self._sensors.get(name, {}))
        if not sensors:
            return "Tried on what was heard: no reading yet; it may need what comes later."
        more = f" and {len(sensors) - _SHOWN} more" if len(sensors) > _SHOWN else ""
        named = ", ".join(sensors[:_SHOWN]) + more
        return f"Tried on what was heard: {self._messages[name]} of the messages gave readings, of {named}."


def _unread(messages: Sequence[Message]) -> Iterator[str]:
    found = grouped(message.topic for message in messages)
    yield comment("Of these no reading comes:")
    for pattern, topics in list(found.items())[:_MOST_UNREAD]:
        example = next(message for message in messages if message.topic in topics)
        advice = looks_like(example.topic, example.payload) or _numbers(example)
        if pattern.startswith("$"):
            advice = "topics that begin with $ are the broker's own, and are not read: publish it under another one"
        yield comment(f"  {topics.total()} on {pattern}" + (f": {advice}" if advice else ""))
    if len(found) > _MOST_UNREAD:
        yield comment(f"  and {len(found) - _MOST_UNREAD} further kinds of topics")
    yield from _how_to([message for message in messages if _may_be_named(message)])


def _may_be_named(message: Message) -> bool:
    is_known = message.topic.startswith("$") or looks_like(message.topic, message.payload)
    return not is_known and len(message.payload) <= LARGEST_FORMAT


def _numbers(message: Message) -> str:
    """Return the numbers of a message that nothing was learned of, as a sentence without its end."""
    found = recognised(message.topic, message.payload) if len(message.payload) <= LARGEST_FORMAT else None
    numbers = {} if found is None else unnamed_numbers(found.value)
    said = ", ".join(f"{path} {value[:_LONGEST_NUMBER]}" for path, value in numbers.items())
    return f"nothing says what these are: {said}" if said else ""


def _how_to(messages: Sequence[Message]) -> Iterator[str]:
    """Iterate over the lines that show, at the first message with a number, how somebody says what it is."""
    one = next(filter(None, map(to_be_named, families(messages))), None)
    if one is not None and _is_valid(toml(one)):
        yield comment("If you know what one of these numbers is, say it, and how it is measured, such as:")
        yield from (comment(f"  {line}") for line in toml(one).splitlines())
