import json
from itertools import count, islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.publishing import Message
from simulator.scenario import Transport
from simulator.transport import Due, Moment, damaged, disturb

TOPIC = "vibration/site/area/machine/{}/reading"


def due(number: int = 100, *sensors: str) -> list[Due]:
    names = sensors or ("S-1",)
    return [
        Due(second, Message(TOPIC.format(name), f'{{"n": {second}, "of": "{name}"}}'.encode()), frozenset({name}))
        for second in range(number)
        for name in names
    ]


def fault(kind: str, **more: object) -> Transport:
    return Transport.model_validate({"kind": kind, **more})


def arriving(*faults: Transport, sent: list[Due] | None = None, speed: float = 1.0) -> list[Due]:
    return [each for each in disturb(sent or due(), faults, seed=1, speed=speed) if isinstance(each, Due)]


def payloads(messages: list[Due]) -> list[bytes]:
    return [each.message.payload for each in messages]


def test_without_faults_everything_arrives_as_it_was_sent() -> None:
    assert arriving() == due()


@pytest.mark.parametrize("more", [{"kind": "drop"}, {"kind": "delay", "by": "1000d"}])
def test_while_nothing_arrives_the_time_passes_all_the_same(more: dict[str, str]) -> None:
    endless = (each for number in count() for each in due(number + 1)[-1:])
    found = list(islice(disturb(endless, [fault(**more)], seed=1, speed=1.0), 50))
    assert found == [Moment(second) for second in range(50)]


@given(
    kind=st.sampled_from(["duplicate", "reorder", "delay", "burst", "corrupt", "drop"]),
    share=st.floats(0.1, 1),
    by=st.floats(0.1, 50),
)
def test_whatever_happens_messages_come_in_the_order_of_their_arrival_and_never_early(
    kind: str, share: float, by: float
) -> None:
    found = arriving(fault(kind, after="10s", lasts="50s", share=share, by=f"{by:.3f}s"))
    assert [each.after for each in found] == sorted(each.after for each in found)
    sent = {each.message.payload: each.after for each in due()}
    assert all(each.after >= sent.get(each.message.payload, 0.0) for each in found)
    outside = {payload for payload, after in sent.items() if not 10 <= after < 60}
    assert outside <= set(payloads(found))


def test_a_duplicate_is_the_same_message_a_second_time() -> None:
    found = arriving(fault("duplicate", after="10s", lasts="10s", by="2.0s"))
    assert len(found) == 110
    assert sorted({payload for payload in payloads(found) if payloads(found).count(payload) == 2}) == sorted(
        payloads(due()[10:20])
    )


def test_reordering_loses_nothing_and_changes_the_order() -> None:
    found = arriving(fault("reorder", by="10.0s"))
    assert sorted(payloads(found)) == sorted(payloads(due()))
    assert payloads(found) != payloads(due())


def test_a_delay_keeps_the_order() -> None:
    found = arriving(fault("delay", by="10.0s"))
    assert payloads(found) == payloads(due())
    assert found[0].after == 10.0


def test_a_burst_comes_at_its_end_and_in_order() -> None:
    found = arriving(fault("burst", after="10s", lasts="10s"))
    assert payloads(found) == payloads(due())
    assert [each.after for each in found[9:21]] == [9.0, *[20.0] * 11]


@pytest.mark.parametrize("kind", ["drop", "last-will"])
def test_what_is_dropped_never_comes(kind: str) -> None:
    broken = fault(kind, after="10s", lasts="10s")
    assert payloads(arriving(broken)) == payloads(due()[:10] + due()[20:])


def test_a_share_is_a_share() -> None:
    found = arriving(fault("drop", share=0.3), sent=due(1000))
    assert len(found) == pytest.approx(700, abs=60)


def test_only_the_named_sensors_are_concerned() -> None:
    broken = fault("drop", sensors=["S-2"])
    assert {each.message.topic for each in arriving(broken, sent=due(10, "S-1", "S-2"))} == {TOPIC.format("S-1")}


def test_windows_are_in_simulated_time_and_delays_in_real_time() -> None:
    found = arriving(fault("delay", after="100s", lasts="100s", by="3.0s"), speed=10.0)
    assert [each.after for each in found if json.loads(each.message.payload)["n"] in {9, 10, 19, 20}] == [9, 13, 20, 22]


def test_retained_states_are_left_alone() -> None:
    state = Due(5.0, Message("vibration/site/area/machine/state", b"{}", retain=True))
    assert arriving(fault("drop"), sent=[state]) == [state]


@given(payload=st.binary(min_size=1, max_size=200), seed=st.integers(0, 1000))
def test_a_damaged_message_never_becomes_longer(payload: bytes, seed: int) -> None:
    assert len(damaged(payload, Random(seed))) <= len(payload)


def test_damage_shows() -> None:
    payload = due(1)[0].message.payload
    assert sum(damaged(payload, Random(seed)) != payload for seed in range(50)) == 50
