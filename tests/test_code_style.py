"""Laws of style that no rule of ruff has; ruff itself checks the others.

Each law is a function that lists the places where sources break it. It is tried on small examples,
then on the repository.
"""

import ast
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import pytest
from conftest import ROOT

LONGEST_FUNCTION = 40  # lines, with the signature, without the docstring
LONGEST_EXPORT = 40  # lines of code that a lesson exports before a cell uses them
EXPORTS = ("#| exports", "#| export", "#| exporti")


class Source(NamedTuple):
    "A Python file, or a code cell of a page."

    name: str
    text: str


# What the laws hold for


def python_files(*folders: str) -> list[Source]:
    "All Python files below folders of the repository; a folder need not exist."
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [Source(str(path.relative_to(ROOT)), path.read_text()) for path in paths]


def code_cells(page: dict, name: str) -> list[Source]:
    "The code cells of a notebook."
    cells = [cell for cell in page["cells"] if cell["cell_type"] == "code"]
    return [Source(f"{name}, cell {cell['id']}", "".join(cell["source"])) for cell in cells]


def pages(pattern: str) -> dict[str, list[Source]]:
    "The code cells of all pages whose path matches."
    found = {}
    for path in sorted((ROOT / "nbs").glob(pattern)):
        if ".ipynb_checkpoints" not in path.parts:
            name = str(path.relative_to(ROOT))
            found[name] = code_cells(json.loads(path.read_text()), name)
    return found


def all_cells() -> list[Source]:
    "The code cells of all pages."
    return list(itertools.chain.from_iterable(pages("**/*.ipynb").values()))


# The laws


def nested_conditionals(source: Source) -> Iterator[str]:
    "A conditional expression inside another one has to be read twice."
    for node in ast.walk(ast.parse(source.text)):
        if not isinstance(node, ast.IfExp):
            continue
        inner = [child for child in ast.walk(node) if isinstance(child, ast.IfExp)]
        if len(inner) > 1:
            yield f"{source.name}:{node.lineno}: {ast.unparse(node)[:80]}"


def n_docstring_lines(node: ast.FunctionDef) -> int:
    "How many lines a function's docstring has; those of the stable names say every option."
    if ast.get_docstring(node) is None:
        return 0
    docstring = node.body[0]
    return docstring.end_lineno - docstring.lineno + 1


def long_functions(source: Source) -> Iterator[str]:
    "A function that does not fit on a screen does more than one thing."
    for node in ast.walk(ast.parse(source.text)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        n_lines = node.end_lineno - node.lineno + 1 - n_docstring_lines(node)
        if n_lines > LONGEST_FUNCTION:
            yield f"{source.name}:{node.lineno}: {node.name} has {n_lines} lines"


def below_root(node: ast.expr) -> list[str] | None:
    "The parts of a path that is written with slashes from `ROOT` on."
    if isinstance(node, ast.Name):
        return [] if node.id == "ROOT" else None
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return None
    above = below_root(node.left)
    if above is None or not isinstance(node.right, ast.Constant):
        return None
    return [*above, str(node.right.value)]


def lost_paths(source: Source) -> Iterator[str]:
    "What a test reads may have moved, and a test that seldom runs does not tell."
    for node in ast.walk(ast.parse(source.text)):
        parts = below_root(node) if isinstance(node, ast.BinOp) else None
        if parts and not ROOT.joinpath(*parts).exists():
            yield f"{source.name}:{node.lineno}: {'/'.join(parts)}"


def is_private(name: str) -> bool:
    "Whether a name begins with one underscore."
    return name.startswith("_") and not name.startswith("__")


def is_of_package(node: ast.ImportFrom) -> bool:
    "Whether names are imported from the package or from a module of it."
    return bool(node.level) or (node.module or "").partition(".")[0] == "cadl_flax"


def imported_from_package(tree: ast.Module) -> Iterator[tuple[ast.ImportFrom, ast.alias]]:
    "The names imported from the package, each with its statement."
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_of_package(node):
            for alias in node.names:
                yield node, alias


def private_imports(source: Source) -> Iterator[str]:
    "What another module needs has a public name."
    tree, modules = ast.parse(source.text), set()
    for node, alias in imported_from_package(tree):
        modules.add(alias.asname or alias.name)
        if is_private(alias.name):
            yield f"{source.name}:{node.lineno}: {alias.name} of {'.' * node.level}{node.module}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.value.id in modules and is_private(node.attr):
            yield f"{source.name}:{node.lineno}: {node.value.id}.{node.attr}"


def n_exported_lines(cell: Source) -> int:
    "How many lines of code a cell exports, without blank ones and directives."
    lines = [line.strip() for line in cell.text.splitlines()]
    if not any(line.startswith(EXPORTS) for line in lines):
        return 0
    return sum(bool(line) and not line.startswith("#|") for line in lines)


def long_exports(cells: list[Source]) -> Iterator[str]:
    "A lesson uses what it exports before it exports more."
    for exported, run in itertools.groupby(cells, key=lambda cell: n_exported_lines(cell) > 0):
        stretch = list(run)
        n_lines = sum(map(n_exported_lines, stretch))
        if exported and n_lines > LONGEST_EXPORT:
            yield f"{stretch[0].name}: {n_lines} exported lines before a cell that exports nothing"


# On examples

CHAIN = "a if b else c if d else e"
FUNCTION = "def f():\n" + "    pass\n" * LONGEST_FUNCTION


@pytest.mark.parametrize(
    "law, text, n_places",
    [
        (nested_conditionals, "x = a if b else c", 0),
        (nested_conditionals, "x = (a if b else c) + (d if e else f)", 0),
        (nested_conditionals, f"x = {CHAIN}", 1),
        (nested_conditionals, "x = (a if b else c) if d else e", 1),
        (nested_conditionals, "x = f([a if b else c for b in d]) if e else g", 1),
        (nested_conditionals, f"if x:\n    y = {CHAIN}\nelse:\n    y = {CHAIN}", 2),
        (long_functions, FUNCTION.removesuffix("    pass\n"), 0),
        (long_functions, FUNCTION, 1),
        (long_functions, "@g\n" + FUNCTION.removesuffix("    pass\n"), 0),
        (long_functions, "async " + FUNCTION, 1),
        (long_functions, "class C:\n    x = 1\n" + "\n" * LONGEST_FUNCTION + "    y = 2", 0),
        (private_imports, "from cadl_flax.training import fit, _begin", 1),
        (private_imports, "from .training import _begin as begin", 1),
        (private_imports, "from cadl_flax import __main__, __version__", 0),
        (private_imports, "from numpy import _core", 0),
        (private_imports, "from cadl_flax import training\ntraining._begin()", 1),
        (private_imports, "from cadl_flax import training as t\nt._begin(), t._begin.x", 2),
        (private_imports, "class C:\n    def f(self): return self._x", 0),
    ],
)
def test_a_law_is_kept_by_examples(law: Callable, text: str, n_places: int) -> None:
    assert len(list(law(Source("example", text)))) == n_places


def exporting(n_lines: int) -> Source:
    "A cell that exports code of a number of lines."
    return Source("example", "#| exports\n\n" + "x = 1\n" * n_lines)


USING = Source("example", "#| hide\nassert x == 1")


@pytest.mark.parametrize(
    "cells, n_places",
    [
        ([], 0),
        ([exporting(LONGEST_EXPORT)], 0),
        ([exporting(LONGEST_EXPORT + 1)], 1),
        ([exporting(30), exporting(30)], 1),
        ([exporting(30), USING, exporting(30)], 0),
        ([exporting(50), USING, exporting(50)], 2),
        ([USING, Source("example", "x = 1\n" * 99)], 0),
    ],
    ids=["none", "short", "long", "long together", "used between", "twice long", "no export"],
)
def test_exports_are_counted_between_cells_that_use_them(cells: list, n_places: int) -> None:
    assert len(list(long_exports(cells))) == n_places


def test_cells_are_named_after_their_page() -> None:
    page = {
        "cells": [
            {"cell_type": "markdown", "id": "a", "source": ["# Title"]},
            {"cell_type": "code", "id": "b", "source": ["x = 1\n", "y = 2"]},
        ]
    }
    assert code_cells(page, "nbs/x.ipynb") == [Source("nbs/x.ipynb, cell b", "x = 1\ny = 2")]


# On the repository


def places(law: Callable[[Source], Iterable[str]], sources: list[Source]) -> str:
    "All places that break a law, a line each."
    assert sources, "no sources were found"
    return "\n".join(place for source in sources for place in law(source))


def assert_none(found: str, advice: str) -> None:
    "Fail with advice and the places, if there are any."
    if found:
        pytest.fail(f"{advice}:\n{found}", pytrace=False)


def test_no_conditional_expression_is_inside_another() -> None:
    sources = python_files("cadl_flax", "tools", "tests", "benchmarks") + all_cells()
    found = places(nested_conditionals, sources)
    assert_none(found, "write an `if` statement or a function with early returns")


def test_functions_fit_on_a_screen() -> None:
    found = places(long_functions, python_files("cadl_flax", "tools"))
    assert_none(found, f"divide what is longer than {LONGEST_FUNCTION} lines")


def test_modules_take_only_public_names_from_each_other() -> None:
    "Tests may look inside."
    found = places(private_imports, python_files("cadl_flax", "tools", "benchmarks") + all_cells())
    assert_none(found, "give the name to its users without an underscore")


def test_paths_in_tests_are_there() -> None:
    assert_none(places(lost_paths, python_files("tests")), "nothing is there")


def test_a_path_that_is_not_there_is_found() -> None:
    text = 'A = ROOT / "tests" / "conftest.py"\nB = ROOT / "tests" / "nowhere" / "x.py"'
    assert [*lost_paths(Source("x.py", text))] == [
        "x.py:2: tests/nowhere/x.py",
        "x.py:2: tests/nowhere",
    ]


def test_lessons_use_what_they_export() -> None:
    lessons = pages("[0-9][0-9]_*.ipynb")
    assert lessons
    found = "\n".join(place for cells in lessons.values() for place in long_exports(cells))
    assert_none(found, f"use what is exported after at most {LONGEST_EXPORT} lines")


def test_ruff_has_formatted_everything() -> None:
    folders = [name for name in ("tools", "tests", "benchmarks", "nbs") if (ROOT / name).is_dir()]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "RUFF_OUTPUT_FORMAT": "concise"},
    )
    assert_none("" if done.returncode == 0 else done.stdout + done.stderr, "run `ruff format`")
