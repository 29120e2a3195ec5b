"""Look that every name taken from cadl_flax exists there. Nothing is executed: it takes a second.

    python tools/names.py

Names are taken by `from cadl_flax.x import y`, `from cadl_flax import y`, by an attribute of a
module that was imported so, and in prose as `cadl_flax.x.y`. Looked at are the pages with their
Markdown, README.md and CONTRIBUTING.md, and the Python files of tests, tools and benchmarks.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from export import ROOT, name, read, text

PACKAGE = "cadl_flax"
FENCE = re.compile(r"^```\s*(?:python|py)\b.*?\n(.*?)^```", re.M | re.S)
IN_PROSE = re.compile(rf"`{PACKAGE}\.(\w+)(?:\.(\w+))?[`(.]")
MAGIC = re.compile(r"^(\s*)[%!].*", re.M)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


# ------------------------------------------------------------------------------ what there is


def defined(body: list[ast.stmt]) -> Iterator[str]:
    "The names that statements define in their module, also within `if`, `try` and `with`."
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (a.asname or a.name.partition(".")[0] for a in node.names)
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                yield part.id
        for field in ("body", "orelse", "finalbody", "handlers"):
            yield from defined(getattr(node, field, []))


@dataclass(frozen=True)
class Package:
    "The names of every module of the package; those of the package itself are under ''."

    names: dict[str, set[str]]
    own: dict[str, set[str]]  # without those that a module imports

    def homes(self, word: str) -> list[str]:
        "The modules that define a name."
        return [f"{PACKAGE}.{module}" for module, names in self.own.items() if word in names]


def package(folder: Path = ROOT / PACKAGE) -> Package:
    "What there is in the package, by its files; the stub says what the top level offers."
    names, own = {}, {}
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), path.name)
        names[path.stem] = set(defined(tree.body))
        imports = (ast.Import, ast.ImportFrom)
        own[path.stem] = set(defined([n for n in tree.body if not isinstance(n, imports)]))
    top = names.pop("__init__", set())
    own.pop("__init__", None)
    stub = folder / "__init__.pyi"
    if stub.exists():
        top |= set(defined(ast.parse(stub.read_text(encoding="utf-8")).body))
    return Package(names | {"": top | names.keys()}, own)


# ------------------------------------------------------------------------------ what is taken


def bound(node: ast.AST) -> set[str]:
    "The names that a function or comprehension has for itself."
    names = {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)}
    stored = (n for n in ast.walk(node) if isinstance(n, ast.Name))
    names |= {n.id for n in stored if isinstance(n.ctx, ast.Store)}
    return names


class Taken(ast.NodeVisitor):
    "Collects what code takes from the package, as `(line, module, name)`; no name: the module."

    def __init__(self, there: Package):
        self.modules = there.names.keys()
        self.aliases: dict[str, str] = {}  # names in the code that are modules of the package
        self.hidden: set[str] = set()  # such names that a function uses for something else
        self.found: list[tuple[int, str, str]] = []

    def read(self, tree: ast.AST) -> list[tuple[int, str, str]]:
        "What a piece of code takes; imports of earlier pieces are known."
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self.add_import(node)
            if isinstance(node, ast.ImportFrom) and not node.level:
                self.add_import_from(node)
        if isinstance(tree, ast.Module):
            for rebound in stored_at_top(tree):
                self.aliases.pop(rebound, None)
        self.visit(tree)
        found, self.found = self.found, []
        return sorted(set(found))

    def add_import(self, node: ast.Import) -> None:
        "`import cadl_flax`, `import cadl_flax.x` and `import cadl_flax.x as z`."
        for alias in node.names:
            top, _, module = alias.name.partition(".")
            if top != PACKAGE:
                continue
            if module:
                self.found.append((node.lineno, module, ""))
            self.aliases[alias.asname or top] = module if alias.asname else ""

    def add_import_from(self, node: ast.ImportFrom) -> None:
        "`from cadl_flax import x` and `from cadl_flax.x import y`."
        top, _, module = node.module.partition(".")
        if top != PACKAGE:
            return
        for alias in node.names:
            if alias.name != "*":
                self.found.append((node.lineno, module, alias.name))
            if not module and alias.name in self.modules:
                self.aliases[alias.asname or alias.name] = alias.name

    def module_of(self, node: ast.AST) -> str | None:
        "The module that an expression is, if it is one: `painting`, or `cadl_flax.painting`."
        if isinstance(node, ast.Name) and node.id not in self.hidden:
            return self.aliases.get(node.id)
        if isinstance(node, ast.Attribute) and self.module_of(node.value) == "":
            return node.attr if node.attr in self.modules else None
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        module = self.module_of(node.value)
        if module is not None and not re.fullmatch(r"__\w+__", node.attr):
            self.found.append((node.lineno, module, node.attr))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        "`monkeypatch.setattr(painting, 'paint', …)` takes a name too."
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in ("setattr", "getattr") and len(node.args) >= 2:
            module, word = self.module_of(node.args[0]), node.args[1]
            if module is not None and isinstance(getattr(word, "value", None), str):
                self.found.append((node.lineno, module, word.value))
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        "What is expected not to be there is no fault."
        expected = (ast.unparse(item.context_expr) for item in node.items)
        if not any("raises(AttributeError" in call for call in expected):
            self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        before = self.hidden
        if isinstance(node, (*SCOPES, *COMPREHENSIONS)):
            self.hidden = before | bound(node)
        super().generic_visit(node)
        self.hidden = before


def stored_at_top(tree: ast.Module) -> Iterator[str]:
    "The names that statements outside of functions give another value."
    rest = list(tree.body)
    while rest:
        node = rest.pop()
        if isinstance(node, (*SCOPES, *COMPREHENSIONS, ast.ClassDef)):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        rest += ast.iter_child_nodes(node)


# ------------------------------------------------------------------------------ where to look


def parsed(source: str) -> ast.Module | None:
    "Code without lines for IPython; none if it is no Python, which other tools say."
    if source.lstrip().startswith("%%"):
        return None
    try:
        return ast.parse(MAGIC.sub(r"\1pass", source))
    except SyntaxError:
        return None


def pieces(path: Path) -> Iterator[tuple[str, int, str, bool]]:
    "The parts of a file, in order: where each is, its first line, its text, whether it is code."
    place = name(path)
    if path.suffix == ".ipynb":
        for cell in read(path)["cells"]:
            where = f"{place}, cell {cell.get('id', '?')}"
            yield where, 1, text(cell["source"]), cell["cell_type"] == "code"
    else:
        yield place, 1, path.read_text(encoding="utf-8"), path.suffix == ".py"


def missing(path: Path, there: Package) -> Iterator[str]:
    "What a file takes from the package that is not there, a line each."
    taken = Taken(there)
    for place, first, source, is_code in pieces(path):
        parts = [(first, source)] if is_code else [*examples(source)]
        found = [] if is_code else [*in_prose(source)]
        for line, code in parts:
            tree = parsed(code)
            if tree is not None:
                found += [(n + line - 1, *rest) for n, *rest in taken.read(tree)]
        for line, module, word in sorted(found):
            fault = wrong(there, module, word)
            if fault:
                yield f"{place}, line {line}: {fault}"


def examples(prose: str) -> Iterator[tuple[int, str]]:
    "The Python in Markdown: the number of its first line, and the code."
    for block in FENCE.finditer(prose):
        yield prose.count("\n", 0, block.start(1)) + 1, block[1]


def in_prose(prose: str) -> Iterator[tuple[int, str, str]]:
    "The names that prose says, such as `cadl_flax.painting.paint`."
    for found in IN_PROSE.finditer(prose):
        line = prose.count("\n", 0, found.start()) + 1
        first, second = found[1], found[2] or ""
        yield (line, first, second) if second else (line, "", first)


def wrong(there: Package, module: str, word: str) -> str:
    "Why `word` cannot be taken from a module, or an empty string."
    if module not in there.names:
        if module in there.names[""]:
            return ""  # a name of the top level, whose attributes are its own affair
        return f"there is no module {PACKAGE}.{module}{hint(module, there.names)}"
    if not word or word in there.names[module]:
        return ""
    whole = f"{PACKAGE}.{module}".rstrip(".")
    homes = there.homes(word)
    elsewhere = f"; it is in {', '.join(homes)}" if homes else hint(word, there.names[module])
    return f"{whole} has no {word}{elsewhere}"


def hint(word: str, there: Iterable[str]) -> str:
    "The nearest name that there is, as a question."
    near = difflib.get_close_matches(word, [*there], 1)
    return f": did you mean {near[0]}?" if near else ""


def files() -> list[Path]:
    "All files that may use the package."
    found = sorted((ROOT / "nbs").rglob("[!_.]*.ipynb"))
    for folder in ("tests", "tools", "benchmarks"):
        found += sorted((ROOT / folder).rglob("*.py"))
    return found + [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def all_faults() -> list[str]:
    "Every name that is taken and is not there, a line each."
    there = package()
    return [fault for path in files() if path.exists() for fault in missing(path, there)]


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    found = all_faults()
    print(*found, f"{len(found)} names are not there", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
