from pathlib import Path

import pytest

from gateway.security.audit import FILE_NAME, OLDER, Audit, verify


def noted(folder: Path, many: int) -> Path:
    audit = Audit(folder)
    for number in range(many):
        audit.record("olga", "session", "192.0.2.1", f"POST /api/v1/alerts/{number}/ack", 200)
    return folder / FILE_NAME


def test_a_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    noted(tmp_path, 3)
    path = noted(tmp_path, 2)
    problems, seq, _ = verify(tmp_path)
    assert (problems, seq) == ([], 5)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:1], *lines[2:]],
        lambda lines: [lines[0], lines[1].replace(b"olga", b"anna"), *lines[2:]],
        lambda lines: [lines[0], lines[0], *lines[1:]],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: [lines[0], b"{}\n", *lines[1:]],
    ],
)
def test_what_was_changed_is_seen(tmp_path: Path, change: object) -> None:
    path = noted(tmp_path, 4)
    assert callable(change)
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    assert verify(tmp_path)[0]


def test_a_power_cut_spoils_one_line_only(tmp_path: Path) -> None:
    path = noted(tmp_path, 2)
    path.write_bytes(path.read_bytes()[:-10])
    noted(tmp_path, 2)
    assert [problem.rpartition(": ")[2] for problem in verify(tmp_path)[0]] == ["is no entry"]


def test_it_has_a_size_of_its_own(tmp_path: Path) -> None:
    audit = Audit(tmp_path, largest=2_000)
    for _ in range(50):
        audit.record("olga", "session", "192.0.2.1", "POST /" + "x" * 10_000, 200)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4_000
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME, OLDER]
    assert verify(tmp_path)[:2] == ([], 50)
