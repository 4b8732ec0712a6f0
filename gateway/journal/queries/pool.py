"""People's questions to the journal, each within a time, in a thread of their own: none delays a batch or a message."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Concatenate, ParamSpec, TypeVar

from gateway.errors import JournalUnavailableError, TooMuchError
from gateway.journal.queries.reader import Reader
from gateway.journal.sqlite.executor import ask
from gateway.journal.sqlite.recovery import passing_trouble

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 3.0
"""Seconds that one question may take."""


class QueryPool:
    """A reader for the page and the API."""

    def __init__(self, path: Path, longest: float = LONGEST) -> None:
        self._reader = Reader(path)
        self._longest = longest
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal-questions")

    async def ask(self, function: Callable[Concatenate[Reader, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a method of Reader. Raises TooMuchError if it takes longer than a question may.

        Raises JournalUnavailableError if the journal cannot be read right now.
        """
        gone = Event()
        try:
            return await ask(self._thread, lambda: self._answer(lambda r: function(r, *args, **kwargs), gone))
        finally:
            gone.set()  # who hangs up waits for no answer, and the next one is not to wait for it either

    def _answer(self, question: Callable[[Reader], T], gone: Event) -> T:
        end = time.monotonic() + self._longest
        try:
            with passing_trouble(), self._reader.interrupted_if(lambda: gone.is_set() or time.monotonic() > end):
                self._reader.look_for_moves()
                return question(self._reader)
        except JournalUnavailableError as error:
            if "interrupted" not in str(error):
                raise
            raise TooMuchError(
                f"this takes longer than {self._longest:g} s to look up: ask for a shorter span of time or for less"
            ) from error

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True)
        self._reader.close()
