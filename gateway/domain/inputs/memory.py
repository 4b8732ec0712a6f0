"""What has to be remembered to read later messages: last values, parts of waveforms, what decoders keep.

The messages it came from have been acknowledged and do not come again, so it belongs into the journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from gateway.domain.inputs import sparkplug_memory

T = TypeVar("T")

MAX_ENTRIES: Final = 20_000
MAX_BYTES: Final = 32 * 1024 * 1024
MAX_BLOB: Final = 4 * 1024 * 1024

_NODES = ("node/", "birth/")
"""What the keys of Sparkplug's nodes begin with."""


class Memory:
    """Small blobs, each under its key; the one kept first goes first where there are too many.

    `changes` says what a store has to write since it was asked last. `forgotten` counts what had to go. `nodes` is what
    is remembered of Sparkplug's.
    """

    def __init__(self, blobs: Mapping[str, bytes] | None = None) -> None:
        of_nodes = {key: blob for key, blob in (blobs or {}).items() if key.startswith(_NODES)}
        self.nodes = sparkplug_memory.Memory(of_nodes)
        self._blobs = {key: blob for key, blob in (blobs or {}).items() if key not in of_nodes}
        self._bytes = sum(map(len, self._blobs.values()))
        self._changed: set[str] = set()
        self.forgotten = 0

    @property
    def blobs(self) -> Mapping[str, bytes]:
        """Everything but what is remembered of Sparkplug's nodes."""
        return self._blobs

    def get(self, key: str) -> bytes | None:
        """Return a blob."""
        return self._blobs.get(key)

    def read(self, key: str, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
        """Return what a blob holds; None where there is none, or one that the disk or another version has changed."""
        blob = self._blobs.get(key)
        try:
            return None if blob is None else decoder.decode(blob)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.drop(key)
            self.forgotten += 1
            return None

    def keep(self, key: str, blob: bytes) -> bool:
        """Remember a blob as the newest one; return False for one that is too large to be kept."""
        if len(blob) > MAX_BLOB:
            return False
        self.drop(key)
        self._blobs[key] = blob
        self._bytes += len(blob)
        self._changed.add(key)
        while len(self._blobs) > MAX_ENTRIES or self._bytes > MAX_BYTES:
            self.drop(next(iter(self._blobs)))
            self.forgotten += 1
        return True

    def drop(self, key: str) -> None:
        """Forget a blob."""
        blob = self._blobs.pop(key, None)
        if blob is not None:
            self._bytes -= len(blob)
            self._changed.add(key)

    def changes(self) -> dict[str, bytes | None]:
        """Return what has changed since the last call: key -> blob, or None for what is forgotten."""
        changed, self._changed = self._changed, set()
        return {key: self._blobs.get(key) for key in changed} | self.nodes.changes()
