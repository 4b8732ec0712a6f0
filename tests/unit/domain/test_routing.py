"""Which routes an alert takes, and that an index finds what a search through everything would."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.notification.matching import Index, Matchers, group_of
from gateway.domain.notification.model import Item
from gateway.domain.notification.oncall import Rota
from gateway.domain.notification.routing import EscalationStep, Route, RouteTable
from gateway.domain.notification.silences import Silence, Silences
from tests.unit.domain.test_schedule import STOCKHOLM

WARNING = Item("c", "raised", "a", "machine", "warning", "VB-1", "", 0, 0, "plant", "hall-2", "pump-7")
CRITICAL = replace(WARNING, severity="critical")
NOW = 1_705_320_000 * 10**9

names = st.sampled_from(["", "a", "ab", "abc", "b", "pump-1"])
patterns = st.lists(st.sampled_from(["a", "ab", "a*", "ab*", "*", "b", "pump-*", "c"]), max_size=3).map(tuple)
matchers = st.builds(
    Matchers,
    patterns,
    patterns,
    patterns,
    patterns,
    st.sampled_from([(), ("machine",), ("sensor", "gateway")]),
    st.dictionaries(st.sampled_from(["line", "cell"]), patterns),
)
items = st.builds(
    lambda site, area, machine, sensor, kind, tags: replace(
        WARNING, site=site, area=area, machine=machine, sensor_id=sensor, alert_kind=kind, tags=tags
    ),
    names, names, names, names, st.sampled_from(["machine", "sensor"]),
    st.dictionaries(st.sampled_from(["line", "cell"]), names),
)  # fmt: skip


class TestMatchers:
    def test_what_names_nothing_matches_everything(self) -> None:
        assert Matchers().match(WARNING)

    def test_everything_that_is_named_must_fit(self) -> None:
        assert Matchers(areas=("hall-2",), machines=("fan-1", "pump-*"), kinds=("machine",)).match(WARNING)
        assert not Matchers(areas=("hall-2",), machines=("fan-1",)).match(WARNING)
        assert not Matchers(kinds=("sensor", "gateway")).match(WARNING)

    def test_a_sensor_fits_by_its_id_and_by_its_name_with_the_place(self) -> None:
        """Whether another machine uses the id or not: a second one takes nobody out of a route."""
        alone = replace(WARNING, sensor_id="DE", machine="pump-3")
        shared = replace(alone, sensor_id="DE (pump-3)", published_id="DE")
        for item in (alone, shared):
            assert Matchers(sensors=("DE",)).match(item)
            assert Matchers(sensors=("DE (pump-3)",)).match(item)
            assert not Matchers(sensors=("DE (fan-9)",)).match(item)
            assert RouteTable([Route("warning", ("mail",), matchers=Matchers(sensors=("DE",)))]).match(item, NOW)
        assert Matchers(sensors=("DE",)).overlap(Matchers(sensors=("DE (pump-3)",)))
        assert not Matchers(sensors=("NDE",)).overlap(Matchers(sensors=("DE (pump-3)",)))

    def test_what_a_placeholder_has_captured_must_fit(self) -> None:
        item = replace(WARNING, tags={"line": "L1"})
        assert Matchers(tags={"line": ("L1", "L2")}).match(item)
        assert Matchers(tags={"line": ("L*",)}, sites=("plant",)).match(item)
        assert not Matchers(tags={"line": ("L2",)}).match(item)
        assert not Matchers(tags={"line": ("L1",), "cell": ("*",)}).match(item)
        assert not Matchers(tags={"line": ("*",)}).match(WARNING)
        assert not Matchers(tags={"line": ("L1",)}).overlap(Matchers(tags={"line": ("L2",)}))

    @given(st.lists(matchers, max_size=30), items)
    def test_the_index_finds_what_a_search_through_all_would(self, found: list[Matchers], item: Item) -> None:
        index: Index[int] = Index()
        for number, one in enumerate(found):
            index.add(str(number), one, number)
        expected = {number for number, one in enumerate(found) if one.match(item)}
        assert {number for number in index.candidates(item) if found[number].match(item)} == expected
        for number, one in enumerate(found):
            index.remove(str(number), one)
        assert list(index.candidates(item)) == []

    @given(matchers, matchers, items)
    def test_what_both_match_overlaps(self, one: Matchers, other: Matchers, item: Item) -> None:
        if one.match(item) and other.match(item):
            assert one.overlap(other)


def test_what_has_captured_the_same_on_one_site_is_a_group() -> None:
    item = replace(WARNING, tags={"line": "L1"})
    assert group_of(item, "line") == group_of(replace(item, machine="fan-1", sensor_id="VB-2"), "line")
    assert group_of(item, "line") != group_of(replace(item, site="other"), "line")
    assert group_of(item, "cell") == item.sensor_id
    assert group_of(item, "machine") == "plant\x1fhall-2\x1fpump-7"
    assert group_of(item, "site") == "plant"


def test_of_twenty_thousand_an_alert_is_compared_with_few() -> None:
    index: Index[int] = Index()
    for number in range(0, 20_000, 3):
        index.add(f"a{number}", Matchers(sensors=(f"sensor-{number}",)), number)
        index.add(f"b{number}", Matchers(machines=(f"machine-{number}",), kinds=("machine",)), number)
        index.add(f"c{number}", Matchers(machines=(f"machine-{number}*",)), number)
        index.add(f"d{number}", Matchers(tags={"line": (f"line-{number}",)}), number)
    item = replace(WARNING, sensor_id="sensor-12345", machine="machine-12345", tags={"line": "line-12345"})
    assert sorted(index.candidates(item)) == [12, 123, *[12345] * 4]


class TestTable:
    def test_every_matching_route_applies_and_a_handler_is_told_by_the_first(self) -> None:
        table = RouteTable([Route("warning", ("mail", "log")), Route("critical", ("sms", "mail"), name="night")])
        assert table.match(CRITICAL, NOW) == [("route 1", ("mail", "log")), ("night", ("sms",))]
        assert table.match(WARNING, NOW) == [("route 1", ("mail", "log"))]

    def test_a_rota_stands_for_whose_turn_it_is(self) -> None:
        rota = Rota("mechanics", STOCKHOLM, ("anna", "bo"))
        table = RouteTable([Route("warning", ("mechanics", "log"))], [rota])
        assert table.match(WARNING, NOW) == [("route 1", (rota.on_call(NOW), "log"))]

    def test_the_fallback_comes_first_then_the_steps_then_nobody(self) -> None:
        steps = (EscalationStep(1, ("boss",)), EscalationStep(1, ("director",)))
        table = RouteTable(
            [Route("warning", ("mail",), name="r", fallback="sms", steps=steps), Route("warning", ("x",))]
        )
        chain = ["mail", "sms", "boss", "director"]
        assert [table.next_after("r", handler, NOW) for handler in chain] == [("sms",), ("boss",), ("director",), ()]
        assert table.next_after("route 2", "x", NOW) == table.next_after("gone", "x", NOW) == ()

    def test_why_there_is_nobody_is_a_sentence_of_a_sensible_length(self) -> None:
        table = RouteTable([Route("critical", ("sms",)) for _ in range(100)])
        assert table.why_not(WARNING, NOW).endswith("; and 95 more")


class TestSilences:
    def test_the_one_that_holds_for_longest_is_the_reason(self) -> None:
        silences = Silences(
            Silence(name, Matchers(machines=("pump-7",)), name, "", 0, NOW + length)
            for name, length in (("a", 5), ("b", 9), ("c", -1))
        )
        found = silences.mute(WARNING, NOW)
        assert found is not None
        assert (found[0].id, found[1]) == ("b", NOW + 9)

    def test_one_for_warnings_leaves_what_is_critical(self) -> None:
        silences = Silences([Silence("s", Matchers(areas=("hall-2",)), "", "", 0, NOW + 1, severity="warning")])
        assert silences.mute(WARNING, NOW)
        assert silences.mute(CRITICAL, NOW) is None

    def test_one_that_has_not_begun_mutes_nothing(self) -> None:
        assert (
            Silences([Silence("s", Matchers(areas=("hall-2",)), "", "", NOW + 1, NOW + 2)]).mute(WARNING, NOW) is None
        )
