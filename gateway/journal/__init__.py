"""The journal: SQLite as event store, event stream and outbox."""

from gateway.journal.log.stream import Stream
from gateway.journal.maintenance.retention import Upkeep
from gateway.journal.outbox.outbox import Outbox
from gateway.journal.queries.alert_audit import account_of, latest_changes
from gateway.journal.queries.level_history import level_history, newest_readings
from gateway.journal.queries.pool import QueryPool
from gateway.journal.queries.reader import READINGS, Reader
from gateway.journal.queries.trace import life_of, traceparent_behind
from gateway.journal.sqlite.connection import FILE_NAME, StateLock, copy, newest_version, version_of
from gateway.journal.sqlite.read_errors import ReadErrors
from gateway.journal.sqlite.writer import Journal

__all__ = [
    "FILE_NAME",
    "READINGS",
    "Journal",
    "Outbox",
    "QueryPool",
    "ReadErrors",
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
    "newest_version",
    "traceparent_behind",
    "version_of",
]
