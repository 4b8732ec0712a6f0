"""What is asked of the one writer could cross to another process: everything here goes through bytes, both ways."""

import inspect
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar, Union

import msgspec
import pytest

from gateway.commands import Commands
from gateway.domain.engine import commands
from gateway.domain.engine.commands import COMMANDS, Command, answer_of
from gateway.domain.engine.purging import Selection
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.model import Item, Withdrawal
from gateway.domain.notification.outbox import OutboxItem, Planning
from gateway.errors import ConflictError, NotFoundError
from gateway.ingest.executor import Executor
from gateway.journal import Journal, Outbox, Stream
from tests.notifications import CRITICAL
from tests.readings import NOON_NS, SECOND, Plant, message, plant, reading

T = TypeVar("T")

DECODER: msgspec.msgpack.Decoder[Command[Any]] = msgspec.msgpack.Decoder(Union[COMMANDS])  # noqa: UP007 - made of a tuple
FACT = DomainEvent("f", "NotificationSent", 1, "VB-1", "first", "cause", {"n": 1})
ITEM = Item("c", "raised", "a", "machine", "warning", "VB-1", "", 0, 0, tags={"line": "L1"})


class Wire:
    """Asks a journal as another process would."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.asked = set[type[Command[Any]]]()

    async def ask(self, command: Command[T]) -> T:
        self.asked.add(type(command))
        answer = await self._journal.ask(DECODER.decode(msgspec.msgpack.encode(command)))
        again: T = msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=answer_of(type(command)))
        assert again == answer
        return again


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


@pytest.mark.parametrize("command", COMMANDS)
def test_each_is_executed_with_its_fields_as_arguments(here: Plant, command: type[Command[Any]]) -> None:
    executed = Executor(here.journal, here.pipeline).table[command]
    inspect.signature(executed).bind(**dict.fromkeys(command.__struct_fields__))


def test_nothing_else_is_executed(here: Plant) -> None:
    assert Executor(here.journal, here.pipeline).table.keys() == set(COMMANDS)


async def test_a_journal_that_nobody_restored_says_so(tmp_path: Path) -> None:
    unserved = pytest.raises(RuntimeError, match="WriteNote was asked of a journal that no pipeline")
    with closing(Journal(tmp_path / "journal.db")) as journal, unserved:
        await journal.ask(commands.WriteNote("a", "b"))


async def test_all_that_anybody_asks_goes_through_bytes(here: Plant) -> None:
    """Every command there is, as people, handlers and followers use them."""
    here.take(*(reading(second, 8.0) for second in range(3)), message(b"{"))
    alert = here.contents()["alerts"][0]
    wire = Wire(here.journal)
    with closing(Stream(here.journal, here.path)) as stream:
        await _as_people_do(Commands(wire, stream), alert.id)
        await _as_followers_do(Outbox(wire, stream))
        await wire.ask(commands.Report("influxdb", "critical", "is away", NOON_NS))
        await wire.ask(commands.Report("influxdb", None, "well again", NOON_NS))
        await _as_consumers_do(wire)
        await wire.ask(commands.WriteNote("subscriptions", "[]"))
        await wire.ask(commands.MoveCursor("page", 3))
        assert (await stream.cursor("page"), await stream.cursor("notifier")) == (3, 3)
        assert await Commands(wire, stream).backfill("page", 1) == {"consumer": "page", "after": 1}
        assert await stream.cursor("page") == 1
        with pytest.raises(NotFoundError, match="no consumer 'nobody'"):
            await Commands(wire, stream).backfill("nobody", 1)
    assert wire.asked == set(COMMANDS)


async def _as_consumers_do(wire: Wire) -> None:
    refused = commands.KeepRefused("influx", [commands.RefusedRow(1, "bad point", b"{}")], NOON_NS)
    assert (await wire.ask(refused), await wire.ask(refused)) == (1, 0)
    ((number, consumer, seq),) = await wire.ask(commands.RefusedRows([], 0, 2**40))
    assert (consumer, seq) == ("influx", 1)
    await wire.ask(commands.ForgetLetters([number]))
    assert await wire.ask(commands.RefusedRows([], 0, 2**40)) == []


async def _as_people_do(people: Commands, alert_id: str) -> None:
    shelved = await people.shelve(alert_id, 10**9, "anna", "bearing change")
    assert shelved["shelvedBy"] == "anna"
    await people.unshelve(alert_id, "anna", "done")
    await people.acknowledge(alert_id, "anna", "")
    with pytest.raises(ConflictError):
        await people.acknowledge(alert_id, "bo", "")
    with pytest.raises(ConflictError, match="the configuration sets the baseline"):
        await people.set_baseline("VB-1", 3.0, "", "anna", "")
    with pytest.raises(ConflictError, match="the configuration sets the baseline"):
        await people.relearn("VB-1", None, "anna", "")
    assert await people.inputs() == []
    assert await people.not_judged("VB-1") == {}
    limits = await people.limits("VB-1")
    assert limits is not None
    assert limits["warning"] == pytest.approx(6.4)
    await people.forget("VB-1", "anna", "")
    purged = await people.purge(Selection(["VB-1"]), "anna", "scrapped", machine_states=True)
    assert purged == {"sensors": 1, "machineStates": 0}
    parts = {"until": rfc3339(time.time_ns() + 3600 * SECOND), "tags": {"line": ["L1"]}}
    silence = await people.add_silence(parts, "anna", "bearing change")
    ended = await people.expire_silence(silence["id"], "bo")
    assert (silence["state"], ended["state"], ended["tags"]) == ("active", "over", {"line": ["L1"]})
    assert await people.replay([]) == {"asked": 1, "replayed": [], "problems": []}


async def _as_followers_do(outbox: Outbox) -> None:
    sent = [OutboxItem(f"n{number}", "mail", 0, 0, "c", "c", CRITICAL) for number in range(4)]
    withdrawal = Withdrawal(ITEM, "c", ("reminder",), "over", "it was over", 1)
    records = [("silence", "s", b"{}"), ("case", "gone", None)]
    await outbox.plan("notifier", Planning(1, sent, [FACT], [withdrawal], records), 3)
    assert await outbox.remembered() == ([("silence", "s", b"{}")], [])
    await outbox.merge(sent[1:3], OutboxItem("n9", "mail", 0, 0, "c", "c", CRITICAL, "r", (("a", "c"),)))
    assert [each.id for each in await outbox.waiting("mail")] == ["n0", "n3", "n9"]
    taken = await outbox.take("mail")
    assert taken is not None
    await outbox.settle(taken, "sent", 0, "250 ok", [FACT], [OutboxItem("n8", "sms", 0, 0, "c", "c", CRITICAL)])
    assert await outbox.nth_sent("mail", 0) is not None
    assert await outbox.next_due("sms") == 0
    await outbox.hurry("sms")
    assert await outbox.take_up(["mail", "sms"]) == 0
