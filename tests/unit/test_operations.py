"""Changes that people ask for, through a real journal."""

import asyncio
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway.commands import Commands
from gateway.config import Config
from gateway.domain.engine.event_log import contradiction
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.model.events import Message
from gateway.errors import ConfigError, ConflictError, GatewayError, NotFoundError
from gateway.journal import QueryPool, Stream
from gateway.queries import Queries
from gateway.security.secrets import LINK_KEY_FILE, TOKEN_FILE, http_token, link_key
from tests.readings import NOON_NS, TEMPLATE, Plant, event, message, plant, reading


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


@pytest.fixture
async def stream(here: Plant) -> AsyncIterator[Stream]:
    made = Stream(here.journal, here.path)
    yield made
    made.close()


@pytest.fixture
def alert(here: Plant) -> str:
    here.take(*(reading(second, 8.0) for second in range(3)))
    return str(here.contents()["alerts"][0].id)


class TestAcknowledging:
    async def test_of_many_at_once_one_wins_and_is_in_the_journal(
        self, here: Plant, stream: Stream, alert: str
    ) -> None:
        operations = Commands(here.journal, stream)
        people = [f"person-{number}" for number in range(10)]
        answers = await asyncio.gather(
            *(operations.acknowledge(alert, name, "on my way") for name in people), return_exceptions=True
        )
        (winner,) = (answer for answer in answers if not isinstance(answer, BaseException))
        assert sum(isinstance(answer, ConflictError) for answer in answers) == 9
        assert (winner["id"], winner["acknowledged"]) == (alert, True)
        fact = here.contents()["facts"][-1][1]
        assert (fact.type, fact.data["by"], fact.data["comment"]) == (
            "AlertAcknowledged", winner["acknowledgedBy"], "on my way",
        )  # fmt: skip
        assert len(here.contents()["facts"]) == 2

    async def test_the_log_says_who_did_what_but_not_to_who_does_it_on_the_command_line(
        self, here: Plant, stream: Stream, alert: str
    ) -> None:
        with capture_logs() as said:
            await Commands(here.journal, stream).acknowledge(alert, "anna", "on my way")
            await Commands(here.journal, stream).forget("VB-1", "anna", "")
            await Commands(here.journal).forget("VB-1", "bert", "")
        assert said == [
            {
                "event": "acknowledged", "log_level": "info", "alert": alert, "sensor": "VB-1", "by": "anna",
                "reason": "on my way",
            },
            {"event": "sensor forgotten", "log_level": "info", "sensor": "VB-1", "by": "anna"},
        ]  # fmt: skip

    async def test_who_follows_the_journal_is_woken(self, here: Plant, stream: Stream, alert: str) -> None:
        before = stream.last_seq
        waiting = asyncio.ensure_future(stream.wait(before))
        await Commands(here.journal, stream).acknowledge(alert, "anna", "")
        await asyncio.wait_for(waiting, 1)
        assert stream.last_seq == here.journal.next_seq - 1 > before

    async def test_without_a_stream_too(self, here: Plant, alert: str) -> None:
        """As on the command line, while no gateway runs."""
        await Commands(here.journal).acknowledge(alert, "anna", "")
        assert here.contents()["alerts"][0].acknowledged

    async def test_what_is_not_there_changes_nothing(self, here: Plant, stream: Stream, alert: str) -> None:
        before = here.contents()
        with pytest.raises(NotFoundError):
            await Commands(here.journal, stream).acknowledge(alert[:-1], "anna", "")
        assert here.contents() == before

    async def test_what_has_cleared_needs_none_and_stays_as_it_is(
        self, here: Plant, stream: Stream, alert: str
    ) -> None:
        here.take(*(reading(10 + second, 4.0) for second in range(3)))
        before = here.contents()
        assert before["alerts"][0].state == "cleared"
        with pytest.raises(NotFoundError, match="one that has cleared needs no acknowledgement"):
            await Commands(here.journal, stream).acknowledge(alert, "anna", "")
        assert here.contents() == before


class TestReplaying:
    async def test_it_says_how_many_were_asked_for_and_which_are_none_any_more(self, here: Plant) -> None:
        here.take(message(b"{"), *(message(event(second), topic="elsewhere") for second in range(2)))
        here.templates = TopicTemplates([TEMPLATE, "elsewhere"])
        here.crash()
        with closing(Stream(here.journal, here.path)) as stream:
            operations = Commands(here.journal, stream)
            assert await operations.replay([2, 77]) == {"asked": 1, "replayed": [2], "problems": []}
            assert await operations.replay([]) == {"asked": 2, "replayed": [3], "problems": []}
            assert await operations.replay([]) == {"asked": 1, "replayed": [], "problems": []}
            assert len(here.contents()["readings"]) == 2
            assert stream.last_seq == here.journal.next_seq - 1

    async def test_many_go_in_slices_with_batches_in_between(
        self, here: Plant, stream: Stream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here.take(*(message(event(second), topic="elsewhere") for second in range(1200)))
        here.templates = TopicTemplates([TEMPLATE, "elsewhere"])
        here.crash()
        slices, replay = list[int](), here.pipeline.replay

        def watched(letters: list[tuple[int, Message]], recorded_ns: int) -> list[int]:
            slices.append(len(letters))
            here.take(message(b"{", topic="vibration/plant-1/hall-2/pump-7/VB-2/reading"))
            return replay(letters, recorded_ns)

        monkeypatch.setattr(here.pipeline, "replay", watched)
        outcome = await Commands(here.journal, stream).replay([])
        assert (outcome["asked"], len(outcome["replayed"])) == (1200, 1200)
        assert slices == [500, 500, 200]
        assert here.contents()["dead letters"] == {"not_json": 3}

    def test_a_slice_is_small_however_large_the_letters_are(self, here: Plant) -> None:
        here.take(*(message(event(second, note="x" * 200_000), topic="elsewhere") for second in range(50)))
        assert len(here.journal.dead_letters([])) == 20
        assert [number for number, _ in here.journal.dead_letters([7, 9, 30], after=8)] == [9, 30]


def config(folder: Path, token: str | None = None) -> Config:
    mqtt = {"topics": ["{sensor}"]}
    http = {} if token is None else {"token": token}
    return Config.model_validate({"gateway": {"id": "edge-1", "state_dir": folder}, "mqtt": mqtt, "http": http})


class TestTheToken:
    def test_it_is_made_once_and_only_we_can_read_it(self, tmp_path: Path) -> None:
        token = http_token(config(tmp_path))
        assert len(token) >= 32
        assert stat.S_IMODE((tmp_path / TOKEN_FILE).stat().st_mode) == 0o600
        assert http_token(config(tmp_path)) == token

    def test_no_two_gateways_have_the_same(self, tmp_path: Path) -> None:
        folders = [tmp_path / name for name in ("a", "b")]
        for folder in folders:
            folder.mkdir()
        assert len({http_token(config(folder)) for folder in folders}) == 2

    def test_a_configured_one_counts_and_nothing_is_made(self, tmp_path: Path) -> None:
        assert http_token(config(tmp_path, "a-token-of-mine")) == "a-token-of-mine"
        assert not (tmp_path / TOKEN_FILE).exists()

    def test_what_cannot_be_read_is_named_with_what_to_do(self, tmp_path: Path) -> None:
        (tmp_path / TOKEN_FILE).mkdir()
        with pytest.raises(ConfigError, match=f"{TOKEN_FILE}: .* cannot be read: Is a directory; .* remove it"):
            http_token(config(tmp_path))
        (tmp_path / LINK_KEY_FILE).write_bytes(b"\xff" * 32)
        with pytest.raises(ConfigError, match=f"{LINK_KEY_FILE}: .* cannot be read: not plain ASCII"):
            link_key(config(tmp_path))

    def test_what_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(GatewayError, match=f"{TOKEN_FILE}: a secret cannot be kept in it: No such file"):
            http_token(config(tmp_path / "nowhere"))


class TestTheKeyOfLinks:
    def test_one_that_could_be_guessed_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / LINK_KEY_FILE).write_text("k" * 15 + "\n")
        with pytest.raises(ConfigError, match="shorter than 16 bytes; remove the file, and the next start makes a new"):
            link_key(config(tmp_path))
        (tmp_path / LINK_KEY_FILE).write_text("k" * 16 + "\n")
        assert link_key(config(tmp_path)) == b"k" * 16

    def test_the_one_that_is_made_is_good(self, tmp_path: Path) -> None:
        assert link_key(config(tmp_path)) == link_key(config(tmp_path))


async def test_a_sensors_standing_is_that_of_now(here: Plant) -> None:
    state = Message("vibration/plant-1/hall-2/pump-7/state", b'{"state": "stopped"}', NOON_NS, 1)
    here.take(state, reading(0), reading(1))
    config = cast("Any", SimpleNamespace())
    with closing(QueryPool(here.path)) as questions:
        queries = Queries(config, questions, Commands(here.journal), list)
        standing = await queries.standing("VB-1")
        nobody = await queries.standing("nobody")
    assert standing["notJudged"] == {"stopped": 2}
    said = {"state": "stopped", "since": "2026-03-01T12:00:00.000Z", "by": "its state topic"}
    assert standing["machineState"] == said
    assert standing["contradiction"] is None
    assert nobody == {"notJudged": {}, "machineState": None, "contradiction": None}


@pytest.mark.parametrize(("own", "says"), [(4.0, False), (11.9, False), (13.0, True), (1.2, True), (1e6, True)])
def test_a_baseline_of_its_own_that_contradicts_the_one_that_counts_is_said(
    here: Plant, own: float, *, says: bool
) -> None:
    here.take(reading(0), reading(1, baselineVibrationLevel=own))
    newest = here.contents()["readings"][-1]
    said = contradiction(newest)
    assert (said is not None) == says
    if said is not None:
        assert f"{own:.4g} m/s² as their own baseline, and are compared with 4" in said
