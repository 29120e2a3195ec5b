"""`tools/mutate.py` finds code whatever its layout, and all its faults can be put in.

That a test finds each of them is seen by running it, which takes an hour.
"""

import json

import pytest
from conftest import ROOT, tool

mutate = tool("mutate")


@pytest.mark.parametrize(
    "source, code",
    [
        ("y = f(a, b=.5)", "f(a, b=0.5)"),
        ("y = f(\n    a,\n    b=0.5,\n)", "f(a, b=.5)"),
        ("if a: return b\n", "if a:\n    return b"),
        ("if a:  # why\n    return 'b'\n", 'if a: return "b"'),
        ("x = [1, 2]", "1, 2"),
    ],
    ids=["number", "trailing comma", "block", "comment and quotes", "a part"],
)
def test_code_is_found_whatever_its_layout(source, code):
    (place,) = mutate.places(source, code)
    assert len(source[place]) > 3


def test_code_that_is_other_code_is_not_found():
    assert mutate.places("y = f(a, b)", "f(b, a)") == []
    assert len(mutate.places("a + b + a + b", "a + b")) == 2


def test_a_fault_is_put_in_and_nothing_else_changes():
    cells = [
        {"cell_type": "code", "source": ["#| exports\n", "y = f(\n", "    a, b\n", ")  # why\n"]},
        {"cell_type": "code", "source": ["y = f(a, b)"]},
    ]
    mutate.put_in({"cells": cells}, mutate.Fault("page", "f(a, b)", "f(b, a)"))
    assert cells[0]["source"] == "#| exports\ny = f(b, a)  # why\n"
    assert cells[1]["source"] == ["y = f(a, b)"]


def test_a_fault_that_moved_is_said_to_be_elsewhere(tmp_path, monkeypatch):
    cells = [{"cell_type": "code", "source": "#| exports\nx = 1"}]
    for name in ("nbs/old.ipynb", "nbs/library/new.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        content = {"cells": cells if "new" in name else []}
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(mutate, "FAULTS", [mutate.Fault("old", "x = 1", "x = 2")])
    assert mutate.misplaced(tmp_path) == ["0 times on old, but in library/new.ipynb: x = 1"]


def test_every_fault_can_be_put_in():
    assert mutate.misplaced() == []
    for fault in mutate.FAULTS:
        assert [t.meaning for t in mutate.tokens(fault.before)] != [
            t.meaning for t in mutate.tokens(fault.after)
        ]


def test_every_test_that_is_tried_exists():
    pages = {fault.page for fault in mutate.FAULTS}
    assert mutate.TESTS.keys() <= pages
    for names in mutate.TESTS.values():
        assert all((ROOT / "tests" / f"test_{name}.py").exists() for name in names)
