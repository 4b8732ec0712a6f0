"""What was heard and not understood: dead letters by the kind of their topic and the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from msgspec import Struct

from gateway.domain.inputs.learning.topic_levels import ANY, fits, merged, skeleton
from gateway.domain.inputs.native import CONSUMER_REFUSED

MOST_LETTERS: Final = 2000
"""The newest dead letters, which are looked at: so much work is the same however many there are."""
MOST_GROUPS: Final = 50
"""The largest groups, which are shown."""
SAMPLES: Final = 20
"""Messages of a group that are learned from and tried, the newest."""
LONGEST_TOPIC: Final = 256
"""Characters of a topic that its kind is told by."""
MOST_KINDS: Final = 200
MOST_LEVELS: Final = 16
"""Topics of more kinds or levels than these are somebody's flood, or come from everywhere: only their ids are open."""
UNDERSTOOD: Final = frozenset({CONSUMER_REFUSED, "influxdb_refused", "id_conflict"})
"""Reasons of dead letters that were understood."""

_NOTHING: Final = frozenset[str]()


class Letter(NamedTuple):
    """A dead letter without its payload; topic and detail may be cut."""

    seq: int
    received_ns: int
    topic: str
    reason: str
    detail: str


class Group(Struct):
    """Dead letters of one reason on topics of one kind: `pattern` has a + for each level that varies.

    `newest` is one of them, and `samples` are the numbers of the newest ones.
    """

    pattern: str
    newest: Letter
    messages: int
    topics: int
    samples: list[int]


class Heard(Struct):
    """The largest groups, and how much all of them come to; `is_whole`: no dead letter was left out."""

    groups: list[Group]
    messages: int
    topics: int
    is_whole: bool

    def in_words(self) -> str:
        """Return what was heard and not understood, as a sentence without its end; empty if nothing was."""
        if not self.messages:
            return ""
        more = "" if self.is_whole else "at least "
        return f"heard, not understood: {more}{_count(self.messages, 'message')} on {_count(self.topics, 'topic')}"


def heard(letters: Iterable[Letter]) -> Heard:
    """Group the newest dead letters, given the newest first: MOST_LETTERS of them at most, and not the understood."""
    all_of_them = list(letters)
    found = [letter for letter in all_of_them if letter.reason not in UNDERSTOOD]
    pattern_of = _patterns({letter.topic for letter in found})
    groups: dict[tuple[str, str], list[Letter]] = {}
    for letter in found:
        groups.setdefault((pattern_of[letter.topic], letter.reason), []).append(letter)
    largest = sorted(groups.items(), key=lambda group: len(group[1]), reverse=True)[:MOST_GROUPS]
    return Heard(
        [_group(pattern, members) for (pattern, _), members in largest],
        len(found),
        len(pattern_of),
        len(all_of_them) < MOST_LETTERS,
    )


def _patterns(topics: set[str]) -> dict[str, str]:
    """Return topic -> its kind, in which a + stands for ids and for the one level in which others differ."""
    levels = {topic: skeleton(topic[:LONGEST_TOPIC]) for topic in topics}
    kinds = dict.fromkeys(levels.values(), _NOTHING)
    if len(kinds) > MOST_KINDS or any(len(kind) > MOST_LEVELS for kind in kinds):
        opened = {kind: kind for kind in kinds}
    else:
        merged_kinds = merged(kinds)
        opened = {kind: next((each for each in merged_kinds if fits(each, kind)), kind) for kind in kinds}
    return {topic: "/".join("+" if level == ANY else level for level in opened[kind]) for topic, kind in levels.items()}


def _group(pattern: str, members: list[Letter]) -> Group:
    topics = {letter.topic for letter in members}
    return Group(pattern, members[0], len(members), len(topics), [letter.seq for letter in members[:SAMPLES]])


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + "s" * (number != 1)
