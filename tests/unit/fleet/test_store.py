"""What the centre keeps: each fact once, none missing, and alerts as they are there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.alerting.alert import ACKNOWLEDGED, CLEARED, ESCALATED, RAISED
from gateway.errors import ConflictError, NotFoundError
from gateway.fleet.centre import problem_of
from gateway.fleet.store import FILE_NAME, FleetStore, UnknownGatewayError, has_twins
from gateway.fleet.wire import (
    Answer,
    Facts,
    Health,
    NotUnderstoodError,
    OpenAlert,
    Order,
    SentFact,
    Snapshot,
    read,
    write,
)

MINUTE = 60 * 10**9
HERE = "plant-1"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000 * 10**9

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[FleetStore]:
    made = FleetStore(tmp_path / FILE_NAME, now=clock)
    yield made
    made.close()


def alert(name: str = "a1", severity: str = "warning", state: str = "active", **more: Any) -> dict[str, Any]:
    return {"id": name, "severity": severity, "state": state, "sensorId": "VB-1", "openedAt": "2026-01-01", **more}


def fact(seq: int, data: dict[str, Any] | None = None, type_: str = RAISED, past: str = "") -> SentFact:
    return SentFact(seq, f"fact-{seq}{past}", type_, seq, "VB-1", "c", "c", data or {})


def facts(after: int, *some: SentFact, epoch: str = "e1", gateway: str = HERE) -> Facts:
    return Facts(gateway, epoch, after, list(some))


def health(instance: str = "i1", sent: int = 0, **more: Any) -> Health:
    known: dict[str, Any] = {
        "gateway": HERE, "epoch": "e1", "version": "0.2.0", "at_ns": 0, "reasons": [], "sensors": 3, "open": {},
        "behind": {}, "free": 1, "journal": 1, "config": "c", **more,
    }  # fmt: skip
    return Health(instance=instance, sent=sent, **known)


def orders(found: list[Order]) -> list[tuple[str, int]]:
    return [(each.do, each.after) for each in found if each.do != "heard"]


async def test_a_fact_counts_once_and_one_that_is_missing_is_asked_for(store: FleetStore) -> None:
    await store.ask(FleetStore.take, facts(0, fact(3, alert())))
    assert orders(await store.ask(FleetStore.take, facts(0, fact(3, alert())))) == []
    assert orders(await store.ask(FleetStore.take, facts(5, fact(9)))) == [("again", 3)]
    assert [seq for _, seq, _ in await store.ask(FleetStore.facts_of, HERE)] == [3]
    await store.ask(FleetStore.take, facts(3, fact(5), fact(9)))
    assert [seq for _, seq, _ in await store.ask(FleetStore.facts_of, HERE)] == [3, 5, 9]
    assert orders(await store.ask(FleetStore.hear, health(sent=12))) == [("again", 9)]
    assert orders(await store.ask(FleetStore.hear, health(sent=9))) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(1, 4)), max_size=40))
async def test_whatever_is_repeated_or_lost_each_fact_is_there_once_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, int]]
) -> None:
    every = [fact(2 * place + 1) for place in range(12)]
    made = FleetStore(tmp_path_factory.mktemp("fleet") / FILE_NAME)
    try:
        await made.ask(FleetStore.take, facts(0, every[0]))
        for start, size in pieces:
            some = every[start : start + size]
            await made.ask(FleetStore.take, facts(every[start - 1].seq if start else 0, *some))
        ((do, after),) = orders(await made.ask(FleetStore.hear, health(sent=every[-1].seq))) or [("", every[-1].seq)]
        await made.ask(FleetStore.take, facts(after, *(each for each in every if each.seq > after)))
        assert do in {"again", ""}
        assert [seq for _, seq, _ in await made.ask(FleetStore.facts_of, HERE)] == [each.seq for each in every]
    finally:
        made.close()


async def test_alerts_are_as_they_are_there(store: FleetStore) -> None:
    await store.ask(FleetStore.take, facts(0, fact(1, alert("a1")), fact(2, alert("a2", "critical"))))
    assert [each["id"] for each in await store.ask(FleetStore.alerts)] == ["a2", "a1"]
    escalated = fact(3, alert("a1", "critical", openedNs=5), ESCALATED)
    cleared = fact(4, alert("a2", "critical", "cleared"), CLEARED)
    await store.ask(FleetStore.take, facts(2, escalated, cleared))
    (only,) = await store.ask(FleetStore.alerts)
    assert (only["id"], only["severity"], only["gateway"], "openedNs" in only) == ("a1", "critical", HERE, False)


async def test_a_snapshot_opens_what_was_open_before_and_nothing_that_is_over(store: FleetStore) -> None:
    await store.ask(FleetStore.take, facts(10, fact(11, alert("old"))))
    await store.ask(FleetStore.take, facts(11, fact(12, alert("new", state="cleared"), CLEARED)))
    late = Snapshot(HERE, "e1", 13, 12, [OpenAlert(4, alert("before")), OpenAlert(11, alert("new"))])
    await store.ask(FleetStore.open, late)
    assert sorted(each["id"] for each in await store.ask(FleetStore.alerts)) == ["before"]


async def test_a_new_journal_begins_anew_and_one_put_back_is_noticed(store: FleetStore) -> None:
    await store.ask(FleetStore.take, facts(0, fact(1), fact(2, alert("a1")), fact(3)))
    put_back = facts(1, fact(2, alert("b1"), past=" of another past"))
    assert orders(await store.ask(FleetStore.take, put_back)) == [("snapshot", 0)]
    assert [each["id"] for each in await store.ask(FleetStore.alerts)] == ["b1"]
    assert [seq for _, seq, _ in await store.ask(FleetStore.facts_of, HERE)] == [1, 2]
    assert orders(await store.ask(FleetStore.take, facts(7, fact(8), epoch="e2"))) == [("snapshot", 0)]
    assert await store.ask(FleetStore.alerts) == []


async def test_an_order_waits_until_it_is_answered_and_not_for_ever(store: FleetStore, clock: Clock) -> None:
    await store.ask(FleetStore.take, facts(0, fact(1, alert("a1", "critical"))))
    made = await store.ask(FleetStore.order, HERE, "a1", Order("acknowledge", by="Ada", reason="on my way"))
    assert (made.severity, made.alert, made.until_ns) == ("critical", "a1", clock.now + 24 * 60 * MINUTE)
    with pytest.raises(ConflictError, match="not answered yet"):
        await store.ask(FleetStore.order, HERE, "a1", Order("acknowledge", by="Bob"))
    assert await store.ask(FleetStore.unanswered) == [(HERE, made)]
    await store.ask(FleetStore.answered, Answer("another", made.id, done=True, said="not mine to say"))
    assert len(await store.ask(FleetStore.unanswered)) == 1
    await store.ask(FleetStore.answered, Answer(HERE, made.id, done=False, said="it is over"))
    await store.ask(FleetStore.answered, Answer(HERE, made.id, done=True, said="the first answer counts"))
    (shown,) = await store.ask(FleetStore.alerts)
    assert (shown["asked"]["done"], shown["asked"]["said"]) == (False, "it is over")
    await store.ask(FleetStore.order, HERE, "a1", Order("acknowledge", by="Bob"))
    clock.now += 25 * 60 * MINUTE
    assert await store.ask(FleetStore.unanswered) == []
    with pytest.raises(NotFoundError, match="'plant-1' has no open alert"):
        await store.ask(FleetStore.order, HERE, "%", Order("shelve", by="Ada"))


async def test_only_those_named_are_taken_in_and_each_is_missed_from_the_start(tmp_path: Path, clock: Clock) -> None:
    store = FleetStore(tmp_path / FILE_NAME, frozenset({"plant-2"}), clock)
    try:
        with pytest.raises(UnknownGatewayError, match=r"centre\.gateways"):
            await store.ask(FleetStore.hear, health())
        (known,) = await store.ask(FleetStore.gateways)
        problem = problem_of(known, clock.now + 3 * MINUTE, clock.now, 2 * MINUTE, 1000)
        assert problem is not None
        assert (problem[1], "never" in problem[0]) == ("critical", True)
        with pytest.raises(ConflictError):
            await store.ask(FleetStore.forget, "plant-2")
    finally:
        store.close()


async def test_what_is_wrong_with_a_gateway(store: FleetStore, clock: Clock) -> None:
    async def problem(now: int, since: int = 0) -> str:
        (known,) = await store.ask(FleetStore.gateways)
        found = problem_of(known, now, since, 2 * MINUTE, 1000)
        return "" if found is None else f"{found[1]}: {found[0]}"

    await store.ask(FleetStore.hear, health())
    assert await problem(clock.now + MINUTE) == ""
    assert (await problem(clock.now + 3 * MINUTE)).startswith("critical: nothing is heard of it, last at 2023-11-14")
    assert await problem(clock.now + 3 * MINUTE, since=clock.now + 2 * MINUTE) == ""
    clock.now += 10 * MINUTE
    await store.ask(FleetStore.hear, health(behind={"influxdb": 2000, "fleet": 3}, reasons=["no broker"]))
    assert await problem(clock.now) == "warning: its consumer influxdb is 2000 entries behind"
    await store.ask(FleetStore.hear, health(reasons=["no broker"]))
    assert await problem(clock.now) == "warning: it is not ready: no broker"


async def test_two_with_one_id_are_seen_and_a_restart_is_none(store: FleetStore, clock: Clock) -> None:
    for instance, twins in (("i1", False), ("i2", False), ("i3", False), ("i2", True), ("i3", True)):
        await store.ask(FleetStore.hear, health(instance))
        (known,) = await store.ask(FleetStore.gateways)
        assert has_twins(known, clock.now) is twins
    clock.now += 11 * MINUTE
    assert not has_twins(known, clock.now)


async def test_what_is_old_goes_and_a_gateway_is_forgotten(store: FleetStore, clock: Clock) -> None:
    await store.ask(FleetStore.take, facts(0, fact(1), fact(2, alert())))
    clock.now += MINUTE
    await store.ask(FleetStore.take, facts(2, fact(3, alert(acknowledged=True), ACKNOWLEDGED)))
    assert await store.ask(FleetStore.trim, clock.now) == 2
    assert [seq for _, seq, _ in await store.ask(FleetStore.facts_of, HERE)] == [3]
    await store.ask(FleetStore.forget, HERE)
    assert await store.ask(FleetStore.gateways) == []
    assert await store.ask(FleetStore.alerts) == []
    with pytest.raises(NotFoundError):
        await store.ask(FleetStore.forget, HERE)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"v":2}', b"\xff", b"[" * 5000, "text", b'{"v":1,"do":"rm"}'])
def test_what_is_not_understood_is_refused_in_words(payload: object) -> None:
    with pytest.raises(NotUnderstoodError, match=r"\w"):
        read(payload, Order)


def test_what_is_written_is_read() -> None:
    order = Order("shelve", "1", "a1", "critical", "Ada", "why", 1, 2, 3, 4)
    assert read(write(order), Order) == order
    snapshot = Snapshot(HERE, "e", 3, 2, [OpenAlert(1, alert())], 1)
    found: object = read(write(snapshot), Facts | Snapshot)  # type: ignore[arg-type] # a union is no type to mypy
    assert found == snapshot
