"""What is over a quota on its way through the pipeline: known sensors lose nothing, and nothing goes uncounted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.over_quota import LASTING_S, OverQuota, limits_of, subject_of
from gateway.config import load
from gateway.config.to_inputs import compiled
from gateway.domain.engine.quotas import IN_ALL, LETTER_BYTES, LETTERS, NEW, WORDS, Quotas
from gateway.domain.model.events import Message
from gateway.plugins.decoders import load_decoder
from gateway.telemetry.metrics import Metrics
from tests.readings import NOON_NS, Plant, message, plant, reading


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


def limited(here: Plant, quotas: Quotas) -> None:
    here.quotas = quotas
    here.crash()


def over(here: Plant) -> dict[str, int]:
    with here.reader() as reader:
        return reader.over_quota()


def stored(here: Plant) -> list[str]:
    return [row.sensor_id for row in here.contents()["readings"]]


class TestInventedSensors:
    def test_those_over_the_quota_are_dead_letters_and_a_known_one_is_stored(self, here: Plant) -> None:
        here.take(reading(0))
        limited(here, Quotas(sensors=3))
        here.take(*(reading(second, sensor=f"FORGED-{second}") for second in range(50)), reading(1))
        assert stored(here) == ["VB-1", "FORGED-0", "FORGED-1", "VB-1"]
        assert here.contents()["dead letters"] == {"over_quota": 48}
        assert over(here) == {IN_ALL: 48}

    def test_so_many_a_minute(self, here: Plant) -> None:
        limited(here, Quotas(new_sensors=2))
        batch = here.take(*(reading(second, sensor=f"S-{second}") for second in range(5)))
        assert (len(batch.sensors), batch.over_quota) == (2, {NEW: 3})

    def test_they_can_be_taken_through_again_when_there_is_room(self, here: Plant) -> None:
        limited(here, Quotas(sensors=1))
        here.take(*(reading(second, sensor=f"S-{second}") for second in range(3)))
        assert here.pipeline.replay(here.journal.dead_letters([]), NOON_NS) == []
        assert here.contents()["dead letters"] == {"over_quota": 2}
        limited(here, Quotas())
        here.pipeline.replay(here.journal.dead_letters([]), NOON_NS)
        assert stored(here) == ["S-0", "S-1", "S-2"]
        assert here.contents()["dead letters"] == {}

    def test_so_can_those_that_an_input_reads(self, tmp_path: Path) -> None:
        spec = {"name": "flat", "topic": "flat/{sensor}", "fields": {"level": "a"}}
        here = Plant(tmp_path / "mapped", inputs=compiled([spec], load_decoder, []), quotas=Quotas(sensors=1))
        here.take(*(Message(f"flat/S-{number}", b'{"a": 4.0}', NOON_NS, 1 + number) for number in range(3)))
        assert (stored(here), here.contents()["dead letters"]) == (["S-0"], {"over_quota": 2})
        limited(here, Quotas())
        here.pipeline.replay(here.journal.dead_letters([]), NOON_NS)
        assert stored(here) == ["S-0", "S-1", "S-2"]
        here.journal.close()

    def test_a_message_of_very_many_is_one_dead_letter(self, tmp_path: Path) -> None:
        """And not one as large for each of them."""
        spec = {"name": "rows", "topic": "rows", "each": "r", "sensor": "{id}", "fields": {"level": "a"}}
        here = Plant(tmp_path / "mapped", inputs=compiled([spec], load_decoder, []), quotas=Quotas(sensors=1))
        rows = [{"id": f"S-{number}", "a": 4.0} for number in range(50)]
        here.take(message({"r": rows}, topic="rows"))
        assert (stored(here), here.contents()["dead letters"], over(here)) == (["S-0"], {"over_quota": 1}, {IN_ALL: 49})
        here.journal.close()


class TestGarbage:
    def test_of_one_topic_so_much_is_kept_an_hour_and_the_rest_counted(self, here: Plant) -> None:
        limited(here, Quotas(dead_letters=3))
        here.take(*(message(b"{%d" % number, second=number) for number in range(9)))
        here.take(message(b"{", topic="vibration/plant-1/hall-2/pump-8/VB-2/reading"))
        assert here.contents()["dead letters"] == {"not_json": 4}
        assert over(here) == {LETTERS: 6}

    def test_what_is_taken_through_again_is_never_lost_for_the_quota(self, here: Plant) -> None:
        here.take(*(message(b"{%d" % number, second=number) for number in range(9)))
        limited(here, Quotas(dead_letters=3))
        assert here.pipeline.replay(here.journal.dead_letters([]), NOON_NS) == []
        assert here.contents()["dead letters"] == {"not_json": 9}


class TestTelling:
    async def test_it_is_told_once_and_ends_after_an_hour_of_calm(self) -> None:
        said = list[tuple[str, str | None]]()

        async def report(subject: str, problem: str | None, _severity: str = "warning", /) -> None:
            if (subject, problem) not in said[-1:]:
                said.append((subject, problem))

        metrics = Metrics()
        watched = OverQuota(dict.fromkeys(WORDS, 7), metrics, report)
        await watched.look({NEW: 5}, 0.0)
        assert said == [(subject_of(quota), None) for quota in WORDS], "what an earlier process told of is over"
        said.clear()
        for now in range(1, 10):
            await watched.look({NEW: 5 + now}, float(now))
        ((subject, problem),) = said
        assert subject == "quota new_sensors"
        assert "quotas.new_sensors allows (7)" in str(problem)
        await watched.look({NEW: 14}, 9.0 + LASTING_S)
        assert said[1:] == [(subject, None)]
        assert metrics.registry.get_sample_value("vibration_gateway_over_quota_total", {"quota": NEW}) == 14

    def test_every_quota_has_its_words_and_its_limit(self, tmp_path: Path) -> None:
        file = tmp_path / "gateway.toml"
        file.write_text('[gateway]\nid = "a"\nstate_dir = "s"\n[mqtt]\ntopics = ["{sensor}"]\n[quotas]\nsensors = 5\n')
        limits = limits_of(load(file, {}))
        assert limits.keys() == WORDS.keys()
        assert (limits[IN_ALL], limits[LETTER_BYTES]) == (5, 10**9)
