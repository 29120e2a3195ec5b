"""Write the package from the notebooks, as `nbdev_export` does, after a look at every notebook.

    python tools/export.py           write it
    python tools/export.py --check   write nothing, and say which module is not what it would write

What would break the export, or get lost in it, is named with its notebook, cell and line, and
nothing is written: a file that is not valid JSON, an exported cell that does not compile, and a
directive (`#| exprts`) that neither nbdev nor Quarto knows. If the export itself fails, the package
is left as it was.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

EXPORTS = {"export", "exports", "exporti"}
NBDEV = EXPORTS | {"default_exp", "filter_stream", "hide", "hide_line"}
QUARTO = set(
    """
    align annotation cap-location cache classes code-annotations code-block-border-left code-fold
    code-line-numbers code-overflow code-summary column echo error eval fig-align fig-alt fig-cap
    fig-cap-location fig-column fig-env fig-format fig-link fig-pos fig-scap fig-subcap
    file-name freeze html-table-processing id include label layout layout-align layout-ncol
    layout-nrow layout-valign lst-cap lst-label output output-location page-layout panel tags
    tbl-cap tbl-cap-location tbl-colwidths tbl-column tbl-subcap title warning""".split()
)
OURS = {
    "experiment",
    "experiment-cap",
    "experiment-data",
    "open",
    "outputs",
    "strip",
}  # read by tools/notebooks.py and tools/site.py
DIRECTIVE = re.compile(r"\s*#\s*\|\s*([\w-]*)")


class Stop(SystemExit):
    "The work cannot be done, and why: a line for each fault."


def name(path: Path) -> str:
    "How a notebook is called in a message."
    path = Path(path).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def text(source: str | list[str]) -> str:
    "The source of a cell, which a notebook stores as lines."
    return "".join(source)


def read(path: Path) -> dict:
    "The notebook at `path` as JSON."
    try:
        nb = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON, or of UTF-8
        line = f": line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Stop(
            f"{name(path)}{line}: not valid JSON: a merge left conflict markers? "
            f"`nbdev_fix {name(path)}` takes them out"
        ) from None
    if isinstance(nb, dict) and isinstance(nb.get("cells"), list):
        return nb
    raise Stop(f"{name(path)}: no notebook, as it has no list of cells")


def directives(source: str) -> Iterator[tuple[int, str, bool]]:
    "The lines of a cell that say `#| word`: number, word, and whether they come before all code."
    at_top = True
    for number, line in enumerate(source.splitlines(), 1):
        if found := DIRECTIVE.match(line):
            yield number, found[1], at_top
        elif line.strip() and not line.lstrip().startswith("%%"):
            at_top = False


def faults(path: Path, flags: set[str] = frozenset()) -> Iterator[str]:
    "What is wrong with a notebook, a line each. `flags` are the directives of settings.ini."
    for cell in read(path)["cells"]:
        if cell["cell_type"] != "code":
            continue
        source, place = text(cell["source"]), f"{name(path)}, cell {cell.get('id', '?')}"
        found = list(directives(source))
        for number, word, at_top in found:
            fault = unread(word, at_top, NBDEV | QUARTO | OURS | flags)
            if fault:
                yield f"{place}, line {number}: {fault}"
        if any(word in EXPORTS for _, word, _ in found):
            try:
                compile(source, place, "exec", dont_inherit=True)
            except SyntaxError as error:
                yield f"{place}, line {error.lineno}: {error.msg}"


def unread(word: str, at_top: bool, known: set[str]) -> str:
    "Why nobody reads the directive `word`, or an empty string."
    if at_top and word not in known:
        near = difflib.get_close_matches(word, known, 1)
        hint = f": did you mean {near[0]}?" if near else ""
        return f"nobody reads #| {word}{hint}"
    if not at_top and word in known - {"hide_line"}:
        return f"nobody reads #| {word} below code"
    return ""


def all_faults() -> list[str]:
    "What is wrong with the notebooks, a line each."
    # imported here, as nbdev takes a second, and who needs only `read` should not wait
    from nbdev.config import get_config
    from nbdev.doclinks import nbglob

    settings = get_config(path=ROOT)
    found = []
    for path in sorted(nbglob(settings.nbs_path, as_path=True)):
        try:
            found += faults(path, set(settings.tst_flags.split()))
        except Stop as stop:
            found.append(str(stop))
    return found


def modules(folder: Path) -> dict[str, bytes]:
    "The modules in the package of a project, by name."
    return {path.name: path.read_bytes() for path in folder.glob("*.py")}


def export() -> None:
    "Write the package, or leave it as it was."
    from nbdev.config import get_config
    from nbdev.doclinks import nbdev_export

    package = get_config().lib_path
    before = modules(package)
    try:
        nbdev_export()
    except BaseException:
        for path in package.glob("*.py"):
            path.unlink()
        for module, content in before.items():
            (package / module).write_bytes(content)
        raise


def outdated() -> list[str]:
    "The modules that are not what the notebooks export, a line each; nothing is written here."
    from nbdev.config import get_config

    settings = get_config(path=ROOT)
    package, nbs = settings.lib_path, settings.nbs_path
    command = [sys.executable, "-c", "from nbdev.doclinks import nbdev_export as e; e()"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(ROOT / "settings.ini", folder)
        shutil.copytree(nbs, folder / nbs.name, ignore=shutil.ignore_patterns("data", ".*"))
        (folder / package.name).mkdir()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise Stop(f"nbdev_export failed: {done.stderr[-2000:]}")
        new = modules(folder / package.name)
    old = modules(package)
    different = sorted(module for module in old | new if old.get(module) != new.get(module))
    return [
        f"{package.name}/{module}: not what the notebooks export: python tools/export.py"
        for module in different
    ]


def main() -> int:
    formatter = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    args.add_argument("--check", action="store_true", help="write nothing")
    args = args.parse_args()
    os.chdir(ROOT)  # nbdev looks for settings.ini from here
    found = all_faults()
    if found:
        raise Stop("\n".join(found))
    if args.check:
        found = outdated()
        print(*found, f"{len(found)} modules differ", sep="\n")
        return 1 if found else 0
    try:
        export()
    except Exception as error:
        raise Stop(
            f"nbdev_export failed, and the package is as it was: {type(error).__name__}: {error}"
        ) from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
