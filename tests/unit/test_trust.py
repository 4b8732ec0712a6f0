"""Every line of docs/trust.md names a test that there is."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/trust.md").read_text(encoding="utf-8")
ROWS = [row for row in re.findall(r"^\| (.*) \|$", TEXT, re.MULTILINE) if not row.startswith(("at most", "---"))]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def names_in(path: Path) -> set[str]:
    """Return the names of the tests in a file, in its classes too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


@pytest.mark.parametrize("row", ROWS)
def test_each_line_has_its_test(row: str) -> None:
    claim, _, shown = row.rpartition(" | ")
    found = NAMED.findall(shown)
    assert found, f"nothing shows that {claim}"
    assert [name for path, name in found if name not in names_in(ROOT / path)] == []
    assert NAMED.sub("", shown).strip(", ") == "", "each name is file::function"


@pytest.mark.parametrize("credential", ["sensor's", "machine's", "viewer", "operator"])
def test_every_credential_has_its_lines(credential: str) -> None:
    (part,) = re.findall(rf"^## .*{credential}.*\n((?:(?!^## ).*\n)+)", TEXT, re.MULTILINE)
    assert len(NAMED.findall(part)) > 3
