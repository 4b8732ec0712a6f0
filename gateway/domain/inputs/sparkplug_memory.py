"""What is remembered of Sparkplug's nodes: the messages that it came from have been acknowledged and do not come again.

It goes to a store in small blobs, each under its key, so that it can be kept in the transaction of the readings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

MAX_NODES: Final = 5_000
MAX_BIRTHS: Final = 10_000
"""Of nodes and their devices."""
MAX_BORN: Final = 200_000
"""Metrics in all births: some 50 MB. Beyond a limit the node is forgotten that has been unheard for longest; when it
speaks again, it is asked for its birth."""

_NODE, _BIRTH = "node", "birth"


class Node(msgspec.Struct, array_like=True):
    """Where a node is in its session, of which `session` is the number (bdSeq).

    `asked` counts the requests for a birth since the last message that had nothing missing; the newest of them was at
    `asked_ns`.
    """

    online: bool = False
    session: int | None = None
    seq: int | None = None
    asked: int = 0
    asked_ns: int = 0


class Born(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a birth says of a metric."""

    name: str
    alias: int | None
    kind: int
    unit: str


class Birth:
    """What a node or a device was born with; an alias means something for its source only."""

    def __init__(self, metrics: list[Born]) -> None:
        self.metrics = metrics
        self._names = {born.name: born for born in metrics}
        self._aliases = {born.alias: born for born in metrics if born.alias is not None}

    def found(self, name: str, alias: int | None) -> Born | None:
        """Return what was born with a name or, where none was sent, with an alias."""
        return self._names.get(name) if name or alias is None else self._aliases.get(alias)


NOT_BORN: Final = Birth([])

_NODES = msgspec.msgpack.Decoder(Node)
_BIRTHS = msgspec.msgpack.Decoder(list[Born])
_encode = msgspec.msgpack.Encoder().encode


class Memory:
    """The nodes, the one unheard for longest first, with their births and those of their devices.

    `changes` says what a store has to write since it was asked last.
    """

    def __init__(self, blobs: Mapping[str, bytes] | None = None) -> None:
        self._nodes: dict[str, Node] = {}
        self._births: dict[str, dict[str, Birth]] = {}
        self._changed: set[str] = set()
        self._count = self._born = 0
        self.unreadable = 0
        """Blobs of another version: what was in them has to be asked for again."""
        for key, blob in (blobs or {}).items():
            self._restore(key, blob)
        self._changed.clear()

    def _restore(self, key: str, blob: bytes) -> None:
        kind, _, source = key.partition("/")
        try:
            if kind == _NODE:
                self.keep_node(source, _NODES.decode(blob))
            else:
                self.keep_birth("/".join(source.split("/")[:2]), source, Birth(_BIRTHS.decode(blob)))
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unreadable += 1

    def node(self, key: str) -> Node | None:
        """Return what is known of a node."""
        return self._nodes.get(key)

    def birth(self, key: str, source: str) -> Birth | None:
        """Return the birth of a node or of a device of it."""
        return self._births.get(key, {}).get(source)

    def keep_node(self, key: str, node: Node) -> None:
        """Remember a node as the one heard last."""
        self._nodes.pop(key, None)
        self._nodes[key] = node
        self._changed.add(f"{_NODE}/{key}")
        self._bound()

    def keep_birth(self, key: str, source: str, birth: Birth) -> None:
        """Remember a birth in place of an older one."""
        self.forget_birth(key, source)
        self._births.setdefault(key, {})[source] = birth
        self._nodes.setdefault(key, Node())
        self._tally(source, birth, 1)
        self._bound()

    def forget_birth(self, key: str, source: str) -> Birth | None:
        """Forget a birth and return it."""
        birth = self._births.get(key, {}).pop(source, None)
        if birth is not None:
            self._tally(source, birth, -1)
        return birth

    def forget_births(self, key: str) -> dict[str, Birth]:
        """Forget the births of a node and its devices, and return them."""
        births = self._births.pop(key, {})
        for source, birth in births.items():
            self._tally(source, birth, -1)
        return births

    def changes(self) -> dict[str, bytes | None]:
        """Return what has changed since the last call: key -> blob, or None for what is forgotten."""
        changed, self._changed = self._changed, set()
        return {key: self._blob(key) for key in changed}

    def _blob(self, key: str) -> bytes | None:
        kind, _, source = key.partition("/")
        if kind == _NODE:
            node = self._nodes.get(source)
            return None if node is None else _encode(node)
        birth = self.birth("/".join(source.split("/")[:2]), source)
        return None if birth is None else _encode(birth.metrics)

    def _tally(self, source: str, birth: Birth, sign: int) -> None:
        self._count += sign
        self._born += sign * len(birth.metrics)
        self._changed.add(f"{_BIRTH}/{source}")

    def _bound(self) -> None:
        while len(self._nodes) > MAX_NODES or self._count > MAX_BIRTHS or self._born > MAX_BORN:
            oldest = next(iter(self._nodes))
            self.forget_births(oldest)
            del self._nodes[oldest]
            self._changed.add(f"{_NODE}/{oldest}")
