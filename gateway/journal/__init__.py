"""The journal: SQLite as event store, event stream and outbox."""

from gateway.journal.accounts import account_of, latest_changes
from gateway.journal.database import FILE_NAME, StateLock, copy
from gateway.journal.history import level_history, newest_readings
from gateway.journal.outbox import Outbox
from gateway.journal.questions import Questions
from gateway.journal.reader import READINGS, Reader
from gateway.journal.store import Journal
from gateway.journal.stream import Stream
from gateway.journal.trace import life_of, traceparent_behind
from gateway.journal.upkeep import Upkeep

__all__ = [
    "FILE_NAME",
    "READINGS",
    "Journal",
    "Outbox",
    "Questions",
    "Reader",
    "StateLock",
    "Stream",
    "Upkeep",
    "account_of",
    "copy",
    "latest_changes",
    "level_history",
    "life_of",
    "newest_readings",
    "traceparent_behind",
]
