"""No loop on a page overwrites a result that a later line reads.

A figure was once drawn with the last value of a loop instead of the result of that name, and no
assertion saw it. No rule of a linter sees it either, since it spans cells.
"""

import ast
import json
from collections.abc import Iterator

import pytest
from conftest import ROOT

PAGES = sorted((ROOT / "nbs").rglob("[!_.]*.ipynb"))
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def names_in(node: ast.AST) -> set[str]:
    "All names in some code."
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def bound(node: ast.AST) -> set[str]:
    "The names that a function, lambda or comprehension binds for itself."
    if isinstance(node, COMPREHENSIONS):
        return set().union(*(names_in(generator.target) for generator in node.generators))
    names = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
    if isinstance(node, ast.FunctionDef):
        stored = (n for n in ast.walk(node) if isinstance(n, ast.Name))
        names |= {n.id for n in stored if isinstance(n.ctx, ast.Store)}
    return names


def read(node: ast.AST, local: frozenset[str] = frozenset()) -> Iterator[str]:
    "The names of the page that `node` reads, not those bound inside of it."
    if isinstance(node, (ast.FunctionDef, ast.Lambda, *COMPREHENSIONS)):
        local |= bound(node)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in local:
        yield node.id
    for child in ast.iter_child_nodes(node):
        yield from read(child, local)


def written(statement: ast.stmt) -> Iterator[str]:
    "The names that a statement at the top of a cell gives a value."
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        yield statement.name
        return
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        yield from (a.asname or a.name.partition(".")[0] for a in statement.names)
    inside = [statement]
    while inside:
        node = inside.pop()
        if isinstance(node, (ast.FunctionDef, ast.Lambda, *COMPREHENSIONS)):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        inside += ast.iter_child_nodes(node)


def loops(statement: ast.stmt) -> Iterator[ast.For]:
    "The loops that run when a statement at the top of a cell does."
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return
    if isinstance(statement, ast.For):
        yield statement
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield from loops(child)


def faults(cells: list[tuple[str, str]]) -> list[str]:
    "Names that a loop overwrites and a later line reads, for cells as (id, source) in order."
    results, overwritten, found = set(), {}, []
    for name, source in cells:
        for statement in ast.parse(source).body:
            targets = set().union(*(names_in(loop.target) for loop in loops(statement)))
            for used in sorted((set(read(statement)) - targets) & overwritten.keys()):
                loop = overwritten[used]
                found.append(f"cell {name} reads {used}, overwritten by the loop in {loop}")
            new = set(written(statement)) - targets
            results |= new
            for target in new:
                overwritten.pop(target, None)
            overwritten |= {target: name for target in targets & results if target != "_"}
    return found


def code(path) -> list[tuple[str, str]]:
    "The code cells of a page, as (id, source)."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [(c["id"], "".join(c["source"])) for c in cells if c["cell_type"] == "code"]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_no_loop_overwrites_a_result_that_is_read_later(path):
    assert faults(code(path)) == []


@pytest.mark.parametrize(
    "source",
    [
        ["best, cost = line()", "for best in range(3): print(best)", "plot(best)"],
        ["a = 1\nfor a in range(3): pass\nprint(a)"],
        ["a = 1", "with f():\n    for x, (a, b) in pairs: pass", "def g(): return a"],
        ["def a(): pass", "for a in range(3): pass", "[a(i) for i in range(3)]"],
    ],
)
def test_an_overwritten_result_is_found(source):
    assert len(faults([(str(i), s) for i, s in enumerate(source)])) == 1


@pytest.mark.parametrize(
    "source",
    [
        ["for a in range(3): print(a)", "for a in range(3): print(a)"],
        ["a = 1", "for a in range(3): print(a)", "a = 2", "print(a)"],
        ["a = 1", "[a for a in range(3)]", "print(a)"],
        ["a = 1", "def f(a):\n    for a in range(3): pass", "print(a)"],
        ["a = 1", "for a in range(3): print(a)", "def f(a): return a", "[a for a in b]"],
        ["for _ in range(3): pass", "_, b = c", "print(b)"],
    ],
)
def test_other_loops_are_no_faults(source):
    assert faults([(str(i), s) for i, s in enumerate(source)]) == []
