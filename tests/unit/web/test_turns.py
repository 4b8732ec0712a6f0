"""Requests take turns, wait for those of their own address, and end with whoever asked."""

import asyncio
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.web import turns
from gateway.web.turns import AT_ONCE, AT_ONCE_OF_ONE, PROBES_ONLY, Turns


class Asker:
    """One request, as a server hands it on."""

    def __init__(
        self, path: str = "/api/v1/alerts", host: str = "192.0.2.7", method: str = "GET", state: str = ""
    ) -> None:
        self.scope: Scope = {
            "type": "http", "method": method, "path": path, "headers": [], "client": (host, 5), "state": {state: True},
        }  # fmt: skip
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self.sent: list[Message] = []

    def hang_up(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    def ask(self, app: Turns) -> asyncio.Task[None]:
        return asyncio.create_task(app(self.scope, self.messages.get, self.send))


class App:
    """Answers when it is let, and knows who was there."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.busy: Counter[str] = Counter()
        self.most: defaultdict[str, int] = defaultdict(int)
        self.cut: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = scope["client"][0]
        self.busy[host] += 1
        self.most[host] = max(self.most[host], self.busy[host])
        self.most["all"] = max(self.most["all"], self.busy.total())
        try:
            assert (await receive())["type"] == "http.request"
            await self.let.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
        except asyncio.CancelledError:
            self.cut.append(host)
            raise
        finally:
            self.busy[host] -= 1


async def settled() -> None:
    """Let everything happen that can without anybody from outside."""
    for _ in range(1000):
        await asyncio.sleep(0)


async def test_an_address_waits_for_its_own_and_all_for_a_place() -> None:
    app = App()
    through = Turns(app)
    tasks = [Asker(host=f"192.0.2.{host}").ask(through) for host in range(20) for _ in range(10)]
    await settled()
    assert app.busy.total() == AT_ONCE
    app.let.set()
    await asyncio.gather(*tasks)
    assert app.most.pop("all") == AT_ONCE
    assert max(app.most.values()) == AT_ONCE_OF_ONE
    assert not through._asking and not through._of_one  # noqa: SLF001, PT018 - nobody is remembered


@pytest.mark.parametrize(
    ("path", "method"), [("/-/healthy", "GET"), ("/metrics", "GET"), ("/api/v1/alerts/1/ack", "POST")]
)
async def test_probes_and_changes_wait_for_no_question(path: str, method: str) -> None:
    app = App()
    through = Turns(app)
    tasks = [Asker().ask(through) for _ in range(100)]
    await settled()
    one = Asker(path, method=method)
    task = one.ask(through)
    await settled()
    assert app.busy["192.0.2.7"] == AT_ONCE_OF_ONE + 1
    app.let.set()
    await asyncio.gather(task, *tasks)
    assert one.status == 200


async def test_everything_else_has_its_turn_between_two_requests() -> None:
    """What ingest does takes many turns; each waits for a request at most, however many there are."""
    order: list[str] = []

    async def app(*_: Any) -> None:
        order.append("request")

    async def ingest() -> None:
        for _ in range(50):
            order.append("ingest")
            await asyncio.sleep(0)

    through = Turns(app)
    tasks = [Asker(host=f"192.0.2.{host}").ask(through) for host in range(200)]
    await asyncio.gather(ingest(), *tasks)
    turns_of_ingest = [place for place, who in enumerate(order) if who == "ingest"]
    between = [later - earlier - 1 for earlier, later in pairwise(turns_of_ingest)]
    assert max(between) <= 1
    assert order.count("request") == 200


async def test_a_question_ends_when_its_asker_hangs_up_and_makes_room() -> None:
    app = App()
    through = Turns(app)
    askers = [Asker() for _ in range(AT_ONCE_OF_ONE + 1)]
    tasks = [each.ask(through) for each in askers]
    await settled()
    for each in (askers[0], askers[-1]):  # one that is being answered, and one that waits
        each.hang_up()
    await asyncio.gather(tasks[0], tasks[-1])
    assert app.cut == ["192.0.2.7"]
    app.let.set()
    await asyncio.gather(*tasks)
    assert [each.status for each in askers] == [None, *[200] * (AT_ONCE_OF_ONE - 1), None]


async def test_a_change_is_made_whoever_hangs_up() -> None:
    app = App()
    asker = Asker("/api/v1/alerts/1/ack", method="POST")
    task = asker.ask(Turns(app))
    asker.hang_up()
    await settled()
    app.let.set()
    await task
    assert asker.status == 200


async def test_an_answer_that_is_not_taken_in_time_ends_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST", 0.01)
    refused: list[str] = []
    app = App()
    await Asker().ask(Turns(app, refused.append))
    assert (refused, app.cut) == (["slow"], ["192.0.2.7"])


async def test_on_a_connection_for_probes_nothing_else_is_answered() -> None:
    refused: list[str] = []
    app = App()
    app.let.set()
    through = Turns(app, refused.append)
    one, probe = Asker(state=PROBES_ONLY), Asker("/-/healthy", state=PROBES_ONLY)
    await asyncio.gather(one.ask(through), probe.ask(through))
    assert (one.status, probe.status) == (503, 200)
    assert refused == ["connections"]
