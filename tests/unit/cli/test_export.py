"""events export: all of it, in every format, exact, and without filling the memory."""

import csv
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyarrow import parquet

from gateway.cli.events import events
from gateway.cli.export import Csv
from gateway.journal.queries import export
from tests.readings import Plant, event, message, reading
from tests.unit.cli.conftest import Run


@pytest.fixture
def busy(here: Plant, monkeypatch: pytest.MonkeyPatch) -> Plant:
    monkeypatch.setattr(export, "_PAGE", 7)
    here.take(*(reading(second, 8.0 if second > 16 else 4.0, kurtosis=3.5) for second in range(20)))
    here.take(*(reading(second, 5.0, "VB-2") for second in range(10)))
    here.take(reading(2.5, 6.0), message(event(-(10**9), 7.0, "VB-3"), second=30))  # one is late, one has a wrong clock
    return here


def lines(run: Run, *arguments: object) -> list[dict[str, object]]:
    return [json.loads(line) for line in run("events", "export", "--format", "ndjson", *arguments).out.splitlines()]


@pytest.mark.usefixtures("busy")
def test_every_reading_is_exported_once_in_the_order_of_the_journal(run: Run) -> None:
    rows = lines(run)
    assert len(rows) == 32
    numbers = [int(str(row["seq"])) for row in rows]
    assert numbers == sorted(set(numbers))
    assert rows[0] == {
        "seq": 1, "eventId": "VB-1@0", "timestamp": "2026-03-01T12:00:00.000Z",
        "receivedAt": "2026-03-01T12:00:00.500Z", "sensorId": "VB-1", "site": "plant-1", "area": "hall-2",
        "machine": "pump-7", "level": 4.0, "baseline": 4.0, "unit": "m/s²", "kurtosis": 3.5, "flags": "",
    }  # fmt: skip
    assert [row["flags"] for row in rows if row["flags"]] == ["late", "clock-replaced"]


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--sensor", "VB-2"], 10),
        (["--sensor", "nobody"], 0),
        (["--since", "2026-03-01T12:00:15Z"], 6),
        (["--since", "2026-03-01T12:00:02Z", "--until", "2026-03-01T12:00:03Z"], 3),
        (["--until", "2000-01-01"], 0),
        (["--type", "AlertRaised"], 1),
        (["--type", "facts"], 1),
        (["--type", "nothing"], 0),
    ],
)
def test_only_what_is_wanted(run: Run, arguments: list[str], count: int) -> None:
    assert len(lines(run, *arguments)) == count


@pytest.mark.usefixtures("busy")
def test_the_formats_say_the_same(run: Run, tmp_path: Path) -> None:
    files = {suffix: tmp_path / f"readings.{suffix}" for suffix in ("csv", "ndjson", "parquet")}
    for file in files.values():
        assert run("events", "export", file).code == 0
    from_json = [json.loads(line) for line in files["ndjson"].read_text().splitlines()]
    from_csv = list(csv.DictReader(io.StringIO(files["csv"].read_text(encoding="utf-8"))))
    from_parquet = parquet.read_table(files["parquet"]).to_pylist()
    assert [row["eventId"] for row in from_csv] == [row["eventId"] for row in from_json]
    assert [float(row["level"]) for row in from_csv] == [row["level"] for row in from_json]
    assert [{name: value for name, value in row.items() if value is not None} for row in from_parquet] == from_json


@pytest.mark.usefixtures("busy")
def test_facts_keep_what_they_say(run: Run, tmp_path: Path) -> None:
    (alert,) = lines(run, "--type", "AlertRaised")
    run("events", "export", "--type", "AlertRaised", tmp_path / "a.csv")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text(encoding="utf-8")))
    assert json.loads(row["data"]) == alert["data"]
    run("events", "export", "--type", "facts", tmp_path / "a.parquet")
    (row,) = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert json.loads(row["data"]) == alert["data"]


def test_nothing_is_a_file_all_the_same(run: Run, here: Plant, tmp_path: Path) -> None:
    here.take()
    for suffix in ("csv", "ndjson", "parquet"):
        assert run("events", "export", tmp_path / f"none.{suffix}").code == 0
    assert (tmp_path / "none.csv").read_text().startswith("seq,eventId,")
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@", "\t", "\r", "\n=", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_what_a_spreadsheet_takes_for_a_formula_has_a_quote_before_it(beginning: str) -> None:
    stream = io.BytesIO()
    Csv(stream, ["a"]).write([{"a": f"{beginning}1"}])
    _, (text,) = csv.reader(io.StringIO(stream.getvalue().decode(), newline=""))
    assert text == f"'{beginning}1"


def test_no_text_is_a_formula(run: Run, here: Plant, tmp_path: Path) -> None:
    here.take(reading(0, -4.0, "=1*cmd|calc!A0"))
    run("events", "export", tmp_path / "a.csv")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text(encoding="utf-8")))
    assert (row["sensorId"], row["level"]) == ("'=1*cmd|calc!A0", "-4.0")


@pytest.mark.usefixtures("busy")
def test_a_file_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("mine")
    result = run("events", "export", file)
    assert (result.code, file.read_text()) == (1, "mine")
    assert "exists already" in result.err
    assert run("events", "export", tmp_path / "no" / "where.csv").code == 1


def test_the_bar_is_for_terminals_only(config: Path, busy: Plant) -> None:
    assert busy.journal.next_seq > 1
    result = CliRunner().invoke(events, ["export", "-c", str(config)])
    assert (result.exit_code, result.stderr) == (0, "")


def test_many_readings_do_not_fill_the_memory(
    run: Run, here: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export._PAGE <= 5000  # noqa: SLF001 - 14 MB; with smaller pages fewer readings are many
    monkeypatch.setattr(export, "_PAGE", 400)
    here.take(*(reading(second) for second in range(4000)))
    tracemalloc.start()
    try:
        assert run("events", "export", tmp_path / "a.ndjson").code == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000
    assert len((tmp_path / "a.ndjson").read_bytes().splitlines()) == 4000


@pytest.mark.usefixtures("busy")
def test_what_is_exported_is_its_owners_only(run: Run, tmp_path: Path) -> None:
    assert run("events", "export", tmp_path / "out.csv").code == 0
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600
