"""Who is told by a message of his own, as the configuration has it today."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config import Config


def people_of(config: Config) -> frozenset[str]:
    """Return the names, addresses and numbers that links in messages are signed for."""
    return frozenset(_people(config))


def _people(config: Config) -> Iterator[str]:
    for table in config.handlers.values():
        to = table.settings.get("to", [])
        if table.type == "sms":
            yield from map(str, to)
        elif table.type == "email":
            from gateway.handlers.mail.handler import mailbox  # noqa: PLC0415 - an extra, for those who have mail

            for address in map(mailbox, to):
                yield address.display_name or address.addr_spec
