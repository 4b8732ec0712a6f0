"""With a defect in the running gateway the tests of the rows concerned fail: they are able to."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.faults.gateways import INJECTED
from tests.faults.results import Recorder
from tests.faults.rows import ROOT

KILLS, INFLUX = "tests/faults/test_rows_kills.py", "tests/faults/test_rows_influx.py"
MUTATIONS = {
    "acknowledge-first": [
        f"{KILLS}::test_row_01_killed_after_receiving_before_the_commit",
        f"{KILLS}::test_row_02_killed_after_the_commit_before_the_acknowledgement",
        f"{KILLS}::test_row_03_killed_in_the_middle_of_a_commit[in-transaction-1]",
        f"{KILLS}::test_row_03_killed_in_the_middle_of_a_commit[in-transaction-3]",
    ],
    "no-deduplication": [
        f"{KILLS}::test_row_02_killed_after_the_commit_before_the_acknowledgement",
        "tests/faults/test_rows_messages.py::test_row_21_the_same_again",
    ],
    "batching-api": [f"{INFLUX}::test_row_14_influxdb_away_for_long[quick]"],
    "synchronous-normal": ["tests/faults/test_rows_operations.py::test_row_02_on_disk_before_the_acknowledgement"],
}
"""Defect (`injected/injection.py`) -> tests of which every one has to fail."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutation_is_found(tmp_path: Path, record: Recorder, mutation: str) -> None:
    results = tmp_path / "results.xml"
    path = os.pathsep.join([str(INJECTED), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "VIBRATION_MUTATION": mutation}
    environment.pop("FAULTS_REPORT", None)
    options = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-m", "", f"--junitxml={results}"]
    command = [sys.executable, "-m", "pytest", *options, *MUTATIONS[mutation]]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    cases = list(ET.parse(results).iter("testcase"))  # noqa: S314 - written by the line above
    passed = [case.get("name") for case in cases if case.find("failure") is None]
    assert len(cases) >= len(MUTATIONS[mutation]), done.stdout
    assert not passed, f"these tests do not notice that the gateway has {mutation}: {passed}\n{done.stdout}"
    record(note=f"{len(cases)} tests failed: {', '.join(sorted({str(case.get('name')) for case in cases}))}")
