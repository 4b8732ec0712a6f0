"""What is retained at the broker is put right, whoever spoils it, and ever more slowly."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.mqtt import retained
from gateway.mqtt.retained import Retained

topics = st.sampled_from(["a", "b"])
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), topics, st.binary(max_size=2)),
        st.tuples(st.just("foreign"), topics, st.binary(max_size=2)),
        st.tuples(st.just("forget everything"), topics, st.just(b"")),
    ),
    max_size=12,
)


class Broker:
    """Keeps what is published and hands it back."""

    def __init__(self, watched: Retained) -> None:
        self.has: dict[str, bytes] = {}
        self.now = 0.0
        self.published = 0
        self._watched = watched

    def put(self, topic: str, payload: bytes) -> bool:
        self.has[topic] = payload
        return self._watched.hear(topic, payload, self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for topic, payload, _ in self._watched.due(self.now):
            self.published += 1
            self.put(topic, payload)


@given(happenings)
def test_the_broker_has_what_is_wanted_in_the_end(happened: list[tuple[str, str, bytes]]) -> None:
    watched = Retained()
    broker, wanted = Broker(watched), dict[str, bytes]()
    for what, topic, payload in happened:
        if what == "publish":
            wanted[topic] = payload
            watched.want(topic, payload, broker.now)
            broker.put(topic, payload)
        elif what == "foreign":
            broker.put(topic, payload)
        else:
            broker.has.clear()
            watched.doubt(broker.now)
    broker.wait(3600)
    assert {topic: broker.has.get(topic) for topic in wanted} == wanted
    published = broker.published
    broker.wait(3600)
    assert broker.published == published, "what is right is left alone"


def test_only_what_was_right_counts_as_overwritten() -> None:
    watched = Retained()
    watched.want("a", b"2", 0)
    assert not watched.hear("a", b"1", 0), "an echo of what was published before"
    assert not watched.hear("a", b"2", 0)
    assert watched.hear("a", b"forged", 0)
    assert not watched.hear("a", b"forged again", 0), "known already"
    assert not watched.hear("other", b"x", 0), "somebody else's topic"


def test_a_fight_becomes_slower_and_slower() -> None:
    watched = Retained()
    watched.want("a", b"ours", 0)
    broker = Broker(watched)
    broker.put("a", b"ours")
    for _ in range(3600):
        broker.put("a", b"theirs")
        broker.wait(1)
    assert 3 < broker.published < 20
    broker.put("a", b"ours")
    broker.now += 2 * 3600
    before = broker.published
    broker.put("a", b"theirs")
    broker.wait(3)
    assert broker.published == before + 1, "what is long ago is forgiven"


def test_what_never_comes_back_is_tried_again_with_pauses() -> None:
    watched = Retained()
    watched.want("a", b"1", 0)
    tried = [(second, attempts) for second in range(2000) for _, _, attempts in watched.due(second)]
    assert [second for second, _ in tried[:5]] == [2, 6, 14, 30, 62]
    assert [attempts for _, attempts in tried] == list(range(len(tried)))
    assert tried[-1][0] - tried[-2][0] == 600


def test_an_alert_that_is_over_may_be_deleted() -> None:
    watched = Retained()
    for topic, may_go in (("over", True), ("open", False)):
        watched.want(topic, b"1", 0, may_go=may_go)
        watched.hear(topic, b"1", 0)
        watched.hear(topic, b"", 0)
    assert [topic for topic, *_ in watched.due(10)] == ["open"]


def test_of_too_many_topics_the_oldest_are_left() -> None:
    watched = Retained()
    for number in range(retained.MAX_TOPICS + 5):
        watched.want(str(number), b"", 0)
    assert [topic for topic, *_ in watched.due(10)][:1] == ["5"]
    assert len(watched.due(1e6)) == retained.MAX_TOPICS


def test_what_cannot_be_read_back_is_believed() -> None:
    watched = Retained()
    watched.want("a", b"1", 0)
    watched.believe("a")
    watched.forget("b")
    assert watched.due(10) == []
