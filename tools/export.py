"""Write the package from the notebooks, as `nbdev_export` does, after a look at every notebook.

    python tools/export.py

What would break the export, or get lost in it, is named with its notebook, cell and line, and
nothing is written: a file that is not valid JSON, an exported cell that does not compile, and a
directive (`#| exprts`) that neither nbdev nor Quarto knows. If the export itself fails, the package
is left as it was.
"""
from __future__ import annotations

import difflib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

EXPORTS = {"export", "exports", "exporti"}
NBDEV = EXPORTS | {"default_exp", "filter_stream", "hide", "hide_line"}
QUARTO = set("""
    align annotation cap-location cache classes code-annotations code-block-border-left code-fold
    code-line-numbers code-overflow code-summary column echo error eval fig-align fig-alt fig-cap
    fig-cap-location fig-column fig-env fig-format fig-link fig-pos fig-scap fig-subcap
    file-name freeze html-table-processing id include label layout layout-align layout-ncol
    layout-nrow layout-valign lst-cap lst-label output output-location page-layout panel tags
    tbl-cap tbl-cap-location tbl-colwidths tbl-column tbl-subcap title warning""".split())
OURS = {"outputs"} # read by tools/notebooks.py
DIRECTIVE = re.compile(r"\s*#\s*\|\s*([\w-]*)")


class Stop(SystemExit):
    "The work cannot be done, and why: a line for each fault."


def name(path: Path) -> str:
    "How a notebook is called in a message."
    path = Path(path).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def text(source: str | list[str]) -> str: return "".join(source)


def read(path: Path) -> dict:
    "The notebook at `path` as JSON."
    try: nb = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error: # of JSON, or of UTF-8
        line = f": line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Stop(f"{name(path)}{line}: not valid JSON: a merge left conflict markers? "
                   f"`nbdev_fix {name(path)}` takes them out") from None
    if isinstance(nb, dict) and isinstance(nb.get("cells"), list): return nb
    raise Stop(f"{name(path)}: no notebook, as it has no list of cells")


def directives(source: str) -> Iterator[tuple[int, str, bool]]:
    "The lines of a cell that say `#| word`: number, word, and whether they come before all code."
    at_top = True
    for number, line in enumerate(source.splitlines(), 1):
        if found := DIRECTIVE.match(line): yield number, found[1], at_top
        elif line.strip() and not line.lstrip().startswith("%%"): at_top = False


def faults(path: Path, flags: set[str] = frozenset()) -> Iterator[str]:
    "What is wrong with a notebook, a line each. `flags` are the directives of settings.ini."
    known = NBDEV | QUARTO | OURS | flags
    for cell in read(path)["cells"]:
        if cell["cell_type"] != "code": continue
        source, place = text(cell["source"]), f"{name(path)}, cell {cell.get('id', '?')}"
        found = list(directives(source))
        for number, word, at_top in found:
            if at_top and word not in known:
                near = difflib.get_close_matches(word, known, 1)
                hint = f": did you mean {near[0]}?" if near else ""
                yield f"{place}, line {number}: nobody reads #| {word}{hint}"
            elif not at_top and word in known - {"hide_line"}:
                yield f"{place}, line {number}: nobody reads #| {word} below code"
        if any(word in EXPORTS for _, word, _ in found):
            try: compile(source, place, "exec", dont_inherit=True)
            except SyntaxError as error: yield f"{place}, line {error.lineno}: {error.msg}"


def export() -> None:
    "Write the package, or leave it as it was."
    from nbdev.config import get_config
    from nbdev.doclinks import nbdev_export
    package = get_config().lib_path
    before = {path: path.read_bytes() for path in package.rglob("*.py")}
    try: nbdev_export()
    except BaseException:
        for path in package.rglob("*.py"):
            if path not in before: path.unlink()
        for path, content in before.items(): path.write_bytes(content)
        raise


def main() -> None:
    os.chdir(ROOT)
    from nbdev.config import get_config
    from nbdev.doclinks import nbglob
    flags, found = set(get_config().tst_flags.split()), []
    for path in sorted(nbglob(as_path=True)):
        try: found += faults(path, flags)
        except Stop as stop: found.append(str(stop))
    if found: raise Stop("\n".join(found))
    try: export()
    except Exception as error:
        raise Stop(f"nbdev_export failed, and the package is as it was: {type(error).__name__}: {error}") from error


if __name__ == "__main__": sys.exit(main())
