import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.inputs import sparkplug_memory
from gateway.domain.inputs.sparkplug import (
    REBIRTH,
    REBIRTH_EVERY_S,
    REBIRTH_SELDOM_S,
    Heard,
    Metric,
    Presence,
    contradicted,
    hear,
    parsed,
    rebirth,
    rows,
    state,
)
from gateway.domain.inputs.sparkplug_memory import MAX_NODES, Memory
from gateway.domain.inputs.sparkplug_payload import MAX_METRICS, number_of, read
from tests.sparkplug import DOUBLE, INT64, TEMPLATE, Float32, field, metric, payload, properties

SECOND = 1_000_000_000
NOW = 1_796_034_600 * SECOND
AT = 1_796_034_600_000

UNIT_G = field(9, properties(engUnit="g"))
UNIT_V = field(9, properties(engUnit="mm/s"))


class Plant:
    """A host and one node that it hears, with a device."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.now = NOW
        self._seq = 0

    def hear(self, kind: str, *metrics: bytes, seq: int | None = None, node: str = "edge1") -> Heard:
        """Hear a message with the next number of the sequence, or with this one."""
        self._seq = self._seq if seq is None else seq
        number = None if kind == "NDEATH" else self._seq
        self._seq = (self._seq + (kind != "NDEATH")) % 256
        device = "/fan" if kind.startswith("D") else ""
        return hear(self.memory, f"spBv1.0/works/{kind}/{node}{device}", payload(*metrics, seq=number), self.now)

    def born(self, session: int = 3) -> Heard:
        self.hear("NBIRTH", metric("bdSeq", session, INT64), seq=0)
        return self.hear(
            "DBIRTH",
            metric("DE/RMS", Float32(0.5), 9, alias=1, more=UNIT_G),
            metric("DE/Velocity", 2.5, DOUBLE, alias=2, more=UNIT_V),
        )

    def restarted(self) -> None:
        """Go on with what was stored, as after a restart."""
        self.memory = Memory({key: blob for key, blob in self.memory.changes().items() if blob is not None})


@pytest.fixture
def plant() -> Plant:
    return Plant()


def good(name: str, value: object, unit: str, at: int = AT) -> Metric:
    return Metric(name, value, unit, at, "good", historical=False, transient=False)


def test_a_birth_gives_values_with_their_units_and_the_device_is_online(plant: Plant) -> None:
    heard = plant.born()
    assert heard.metrics == [good("DE/RMS", 0.5, "g"), good("DE/Velocity", 2.5, "mm/s")]
    assert heard.presences == [Presence("works/edge1/fan", online=True, names=("DE/RMS", "DE/Velocity"))]
    assert (heard.problem, heard.publications) == (None, [])


def test_an_alias_alone_has_name_type_and_unit_of_its_birth(plant: Plant) -> None:
    plant.born()
    heard = plant.hear("DDATA", metric(value=3.5, alias=2, at=AT + 5))
    assert heard.metrics == [good("DE/Velocity", 3.5, "mm/s", AT + 5)]


def test_a_name_alone_has_type_and_unit_of_its_birth(plant: Plant) -> None:
    plant.born()
    assert plant.hear("DDATA", metric("DE/RMS", Float32(0.25))).metrics == [good("DE/RMS", 0.25, "g")]


def test_a_signed_number_needs_the_type_of_its_birth(plant: Plant) -> None:
    plant.hear("NBIRTH", metric("bdSeq", 3, INT64), metric("angle", 5, 2, alias=1), seq=0)
    assert [one.value for one in plant.hear("NDATA", metric(value=0xFFFF_FFFE, alias=1)).metrics] == [-2]


def test_what_was_remembered_is_read_again_after_a_restart(plant: Plant) -> None:
    plant.born()
    plant.restarted()
    heard = plant.hear("DDATA", metric(value=3.5, alias=2))
    assert (heard.metrics, heard.publications) == ([good("DE/Velocity", 3.5, "mm/s")], [])


def test_a_data_message_changes_one_small_blob(plant: Plant) -> None:
    plant.born()
    plant.memory.changes()
    plant.hear("DDATA", metric(value=3.5, alias=2))
    changed = plant.memory.changes()
    assert list(changed) == ["node/works/edge1"]
    assert len(changed["node/works/edge1"] or b"") < 20


def test_an_alias_belongs_to_its_device_and_not_to_another_one(plant: Plant) -> None:
    plant.born()
    heard = hear(plant.memory, "spBv1.0/works/DDATA/edge1/pump", payload(metric(value=1.0, alias=1), seq=2), NOW)
    assert heard.metrics == []
    assert heard.problem == "works/edge1/pump has sent data, and its birth has not been heard"
    assert len(heard.publications) == 1


def test_an_alias_that_was_never_born_is_a_problem_and_the_rest_is_used(plant: Plant) -> None:
    plant.born()
    heard = plant.hear("DDATA", metric(value=1.0, alias=9), metric(value=3.5, alias=2), metric(value=1.0))
    assert heard.metrics == [good("DE/Velocity", 3.5, "mm/s")]
    assert heard.problem == "2 metrics that works/edge1/fan was not born with: alias 9, no name and no alias"
    assert [one.topic for one in heard.publications] == ["spBv1.0/works/NCMD/edge1"]


def test_the_request_for_a_rebirth_is_one_true_boolean() -> None:
    asked = rebirth("works", "edge1", NOW)
    content = read(asked.payload)
    (one,) = content.metrics
    assert (asked.topic, asked.qos, asked.retain) == ("spBv1.0/works/NCMD/edge1", 0, False)
    assert (one.name, number_of(one.kind, one.value), one.time, content.time) == (REBIRTH, True, AT, AT)


def test_a_gap_in_the_sequence_asks_for_a_rebirth_and_the_values_are_used(plant: Plant) -> None:
    plant.born()
    heard = plant.hear("DDATA", metric(value=3.5, alias=2), seq=3)
    assert (len(heard.metrics), len(heard.publications), heard.problem) == (1, 1, None)


def test_the_sequence_goes_on_from_255_to_0(plant: Plant) -> None:
    plant.born()
    plant.hear("DDATA", seq=2)
    for seq in [*range(3, 256), 0, 1]:
        assert plant.hear("DDATA", metric(value=3.5, alias=2), seq=seq).publications == []


def test_a_message_that_comes_twice_and_one_without_a_number_leave_no_gap(plant: Plant) -> None:
    plant.born()
    assert plant.hear("DDATA", metric(value=3.5, alias=2), seq=1).publications == []
    unnumbered = hear(plant.memory, "spBv1.0/works/DDATA/edge1/fan", payload(metric(value=3.5, alias=2)), NOW)
    assert unnumbered.publications == []
    assert plant.hear("DDATA", metric(value=3.5, alias=2), seq=2).publications == []


def test_a_node_that_does_not_answer_is_asked_ever_less_often(plant: Plant) -> None:
    asked = []
    for second in range(0, 3 * REBIRTH_SELDOM_S, 5):
        plant.now = NOW + second * SECOND
        if plant.hear("DDATA", metric(value=3.5, alias=2)).publications:
            asked.append(second)
    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses[:4] == [REBIRTH_EVERY_S * 2**k for k in range(4)]
    assert pauses[-1] == REBIRTH_SELDOM_S


def test_after_data_without_a_gap_the_next_gap_is_asked_for_at_once(plant: Plant) -> None:
    plant.born()
    assert plant.hear("DDATA", metric(value=3.5, alias=2), seq=5).publications
    assert not plant.hear("DDATA", metric(value=3.5, alias=2), seq=9).publications
    plant.hear("DDATA", metric(value=3.5, alias=2))
    assert plant.hear("DDATA", metric(value=3.5, alias=2), seq=20).publications


def test_the_end_of_a_node_takes_its_devices_with_it(plant: Plant) -> None:
    plant.born(session=3)
    heard = plant.hear("NDEATH", metric("bdSeq", 3, INT64))
    assert heard.presences == [
        Presence("works/edge1", online=False, names=("bdSeq",)),
        Presence("works/edge1/fan", online=False, names=("DE/RMS", "DE/Velocity")),
    ]


def test_the_will_of_an_older_session_ends_nothing(plant: Plant) -> None:
    plant.born(session=3)
    heard = plant.hear("NDEATH", metric("bdSeq", 2, INT64))
    assert (heard.presences, heard.ignored) == ([], True)
    assert plant.hear("DDATA", metric(value=3.5, alias=2), seq=2).metrics


def test_a_device_goes_and_comes_back(plant: Plant) -> None:
    plant.born()
    gone = plant.hear("DDEATH")
    assert gone.presences == [Presence("works/edge1/fan", online=False, names=("DE/RMS", "DE/Velocity"))]
    assert plant.hear("DDATA", metric(value=3.5, alias=2)).problem
    assert plant.hear("DBIRTH", metric("DE/RMS", 0.5, DOUBLE, alias=1)).presences[0].online


def test_data_after_the_death_of_the_node_asks_for_a_birth(plant: Plant) -> None:
    plant.born(session=3)
    plant.hear("NDEATH", metric("bdSeq", 3, INT64))
    heard = plant.hear("NDATA", metric("load", 3.5, DOUBLE))
    assert heard.publications
    assert heard.metrics == [good("load", 3.5, "")]


def test_a_new_birth_of_the_node_makes_older_aliases_worthless(plant: Plant) -> None:
    plant.born()
    plant.hear("NBIRTH", metric("bdSeq", 4, INT64), seq=0)
    assert plant.hear("DDATA", metric(value=3.5, alias=2)).metrics == []


def test_members_of_a_template_are_named_after_it(plant: Plant) -> None:
    def pump(value: float, more: bytes = b"") -> bytes:
        return metric("Pump", kind=TEMPLATE, more=field(18, field(2, metric("RMS", value, DOUBLE, more=more))))

    plant.hear("NBIRTH", metric("bdSeq", 3, INT64), pump(0.5, UNIT_G), seq=0)
    assert plant.hear("NDATA", pump(0.25)).metrics == [good("Pump/RMS", 0.25, "g")]


def test_rows_are_metrics_and_a_value_that_is_not_good_is_none(plant: Plant) -> None:
    plant.born()
    stale = field(9, properties(Quality=500))
    heard = plant.hear("DDATA", metric(value=3.5, alias=2, more=stale), metric(value=Float32(0.5), alias=1))
    assert rows(heard)["rows"] == [
        {
            "name": "DE/Velocity",
            "value": None,
            "unit": "mm/s",
            "time": AT,
            "quality": "stale",
            "historical": False,
            "transient": False,
        },
        {
            "name": "DE/RMS",
            "value": 0.5,
            "unit": "g",
            "time": AT,
            "quality": "good",
            "historical": False,
            "transient": False,
        },
    ]


@pytest.mark.parametrize("topic", ["spBv1.0/works/NCMD/edge1", "spBv1.0/works/DCMD/edge1/fan", "spBv1.0/STATE/host"])
def test_commands_and_states_are_ignored(topic: str) -> None:
    assert hear(Memory(), topic, b"{}", NOW) == Heard(ignored=True)


@pytest.mark.parametrize(
    "topic",
    [
        "spAv1.0/works/NDATA/edge1",
        "spBv1.0",
        "spBv1.0/works/NDATA",
        "spBv1.0/works/NDATA/edge1/fan",
        "spBv1.0/works/DDATA/edge1",
        "spBv1.0/works/DDATA/edge1/fan/x",
        "spBv1.0/works/XDATA/edge1",
        "spBv1.0//NDATA/edge1",
        "",
    ],
)
def test_what_is_no_sparkplug_topic_is_said(topic: str) -> None:
    assert (hear(Memory(), topic, payload(), NOW).problem or "").startswith("no Sparkplug B topic")


def test_what_is_no_payload_is_said() -> None:
    assert hear(Memory(), "spBv1.0/works/NDATA/edge1", b"{}", NOW).problem == (
        "no Sparkplug B payload: a field of wire type 3 before byte 1: Sparkplug B has none"
    )


def test_the_state_of_the_host_is_retained_and_its_will_has_the_same_time() -> None:
    here, will = state("gateway", online=True, since_ms=AT), state("gateway", online=False, since_ms=AT)
    assert (here.topic, here.qos, here.retain) == ("spBv1.0/STATE/gateway", 1, True)
    assert json.loads(here.payload) == {"online": True, "timestamp": AT}
    assert json.loads(will.payload) == {"online": False, "timestamp": AT}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [(b'{"online": false, "timestamp": 1}', True), (b'{"online": true}', False), (b"OFFLINE", False), (b"[]", False)],
)
def test_somebody_who_says_that_this_host_is_offline_is_contradicted(said: bytes, *, wrong: bool) -> None:
    assert contradicted(said) is wrong


def test_memory_is_bounded_and_the_node_unheard_for_longest_goes_first() -> None:
    memory = Memory()
    birth = payload(metric("bdSeq", 1, INT64), seq=0)
    for k in range(MAX_NODES + 1):
        hear(memory, f"spBv1.0/works/NBIRTH/n{k}", birth, NOW)
        hear(memory, "spBv1.0/works/NBIRTH/n0", birth, NOW)
    assert memory.node("works/n1") is None
    assert memory.node("works/n0") is not None
    assert memory.changes()["node/works/n1"] is None


def test_a_node_with_more_metrics_than_are_remembered_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparkplug_memory, "MAX_BORN", 3 * MAX_METRICS)
    memory = Memory()
    birth = payload(*[metric(f"m{k}", 1.0, DOUBLE, alias=k) for k in range(MAX_METRICS)], seq=0)
    for k in range(4):
        heard = hear(memory, f"spBv1.0/works/DBIRTH/edge1/d{k}", birth, NOW)
        assert len(heard.metrics) == MAX_METRICS
    assert memory.birth("works/edge1", "works/edge1/d0") is None


def test_blobs_of_another_version_are_counted_and_the_birth_is_asked_for() -> None:
    memory = Memory({"node/works/edge1": b"\xc1", "birth/works/edge1": b"\x01", "birth/works/edge2": b"\x90"})
    assert memory.unreadable == 2
    assert hear(memory, "spBv1.0/works/NDATA/edge1", payload(metric(value=1.0, alias=1)), NOW).publications


@pytest.mark.parametrize("number", [1e300, -1.0, 2.0**64, float("inf"), float("nan")])
def test_what_is_no_number_of_a_session_is_none(number: float) -> None:
    memory = Memory()
    hear(memory, "spBv1.0/works/NBIRTH/edge1", payload(metric("bdSeq", number, DOUBLE), seq=0), NOW)
    assert hear(
        Memory({k: v for k, v in memory.changes().items() if v}), "spBv1.0/works/NDATA/edge1", payload(seq=1), NOW
    )


TOPICS = st.sampled_from(
    [f"spBv1.0/g/{kind}/n{'/d' if kind[0] == 'D' else ''}" for kind in
     ("NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH")]
)  # fmt: skip
METRICS = st.builds(
    metric,
    st.none() | st.sampled_from(["bdSeq", "a", "b/c"]),
    st.none() | st.floats() | st.integers(0, 2**64 - 1) | st.text(max_size=4) | st.binary(max_size=9),
    st.integers(0, 40),
    alias=st.none() | st.integers(0, 3),
)
PAYLOADS = st.binary(max_size=40) | st.builds(
    lambda metrics, seq: payload(*metrics, seq=seq), st.lists(METRICS, max_size=4), st.none() | st.integers(0, 300)
)


@given(st.lists(st.tuples(TOPICS, PAYLOADS), max_size=12))
def test_no_message_raises_and_a_restart_between_any_two_changes_nothing(messages: list[tuple[str, bytes]]) -> None:
    memory = Memory()
    stored: dict[str, bytes] = {}
    for topic, content in messages:
        expected = hear(memory, topic, content, NOW)
        fresh = Memory(stored)
        assert hear(fresh, topic, content, NOW) == expected
        stored = {key: blob for key, blob in (stored | memory.changes()).items() if blob is not None}


@given(st.text(max_size=30))
def test_no_topic_raises(topic: str) -> None:
    parsed(topic)
    hear(Memory(), "spBv1.0/" + topic, payload(), NOW)
