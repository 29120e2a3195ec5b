"""After an edit, in JupyterLab or elsewhere: do what the change needs, and say what is left.

    python tools/edit.py          format, export, run and store the pages that changed, clean,
                                  write README.md, and look at everything below
    python tools/edit.py --users  run and store the pages that use a changed module too
    python tools/edit.py --check  change nothing, only look: code is formatted, no rule of ruff is
                                  broken, the package is what the notebooks export, every name that
                                  is taken from it exists, notebooks are clean, their outputs are
                                  those of their cells, README.md is the front page

`.ci/run` begins with `--check`. A page is run when its code or its outputs are not what they were
when it was last stored. Pages that use a changed module are named: what they show may have changed.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import export
import names
import notebooks
from execnb.nbio import nb2str, read_nb
from export import ROOT, Stop, name, read, text
from nbclient.exceptions import CellExecutionError

FORMATTED = ("nbs", "tests", "tools", "benchmarks")
LONG = """\
What takes minutes: nbdev_test, pytest, python tools/site.py, and
python tools/notebooks.py --check --downloads; .ci/run does them all."""


def run(*arguments: str) -> list[str]:
    "Run a Python module or script; the lines it prints, if it fails."
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    if done.returncode == 0:
        return []
    printed = (done.stdout + done.stderr).splitlines()
    return [line for line in printed if line.strip()] or [f"{' '.join(arguments)} failed"]


def ruff_format(*options: str) -> list[str]:
    "Run the formatter over all folders that there are; the lines it prints, if it fails."
    folders = [folder for folder in FORMATTED if (ROOT / folder).exists()]
    return run("-m", "ruff", "format", *options, *folders)


# ------------------------------------------------------------------------------ what is looked at


def unformatted() -> list[str]:
    "Files that `ruff format` would change."
    # newer versions show what they would change, under an arrow with the file
    printed = "\n".join(ruff_format("--check"))
    found = re.findall(r"^(?:Would reformat: | *--> )([^:\n]+)", printed, re.M)
    return sorted(set(found)) or printed.splitlines()


def broken_rules() -> list[str]:
    "What `ruff check` finds."
    return run("-m", "ruff", "check", "--quiet", "--output-format", "concise")


def outdated() -> list[str]:
    "Notebooks that cannot be exported, or else modules that are not what they export."
    try:
        return export.all_faults() or export.outdated()
    except Stop as stop:
        return [str(stop)]


def cleaned() -> Iterator[tuple[Path, str]]:
    "The notebooks that `nbdev_clean` would change, and what they would be."
    for path in notebooks.pages([]):
        nb = read_nb(path)
        notebooks.clean(nb)
        content = nb2str(nb)
        if content != path.read_text(encoding="utf-8"):
            yield path, content


def unclean() -> list[str]:
    "Notebooks that `nbdev_clean` would change."
    return [name(path) for path, _ in cleaned()]


def unrun() -> list[str]:
    "Pages whose outputs are not those of their cells."
    found = []
    for path in notebooks.pages([]):
        found += [f"{name(path)}: {line}" for line in notebooks.stale(path)]
    return found


def readme() -> list[str]:
    "Whether README.md is the front page."
    return run("tools/site.py", "--readme", "--check")


LOOKS: dict[str, Callable[[], list[str]]] = {
    "not formatted (ruff format)": unformatted,
    "ruff check": broken_rules,
    "the package": outdated,
    "names that are not there": names.all_faults,
    "not clean (nbdev_clean)": unclean,
    "outputs that are not of these cells": unrun,
    "README.md (python tools/site.py --readme)": readme,
}


def left() -> dict[str, list[str]]:
    "What is left to do, by the look that found it."
    found = {}
    for title, look in LOOKS.items():
        try:
            lines = look()
        except (Stop, ValueError) as error:  # a page with conflict markers is no JSON
            lines = [str(error)]
        if lines:
            found[title] = lines
            print(f"{title}:", *lines, sep="\n  ", flush=True)
    return found


# ------------------------------------------------------------------------------ what uses a change


def imported(tree: ast.AST) -> Iterator[str]:
    "The modules of the package that code imports, or imports from."
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            whole = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # the package's own files say `from .pictures import render`
            origin = f"{names.PACKAGE}." * bool(node.level) + (node.module or "")
            whole = [origin] + [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        for dotted in whole:
            parts = [part for part in dotted.split(".") if part]
            if parts[0] == names.PACKAGE and len(parts) > 1:
                yield parts[1]


def dependents(changed: set[str]) -> set[str]:
    "The modules that are in `changed`, or use one of them, however far away."
    uses = {}
    for path in (ROOT / names.PACKAGE).glob("[!_]*.py"):
        uses[path.stem] = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
    found, before = set(changed), None
    while found != before:
        before = set(found)
        found |= {module for module, used in uses.items() if used & before}
    return found


def changed_modules() -> set[str]:
    "The modules that are not as in the last commit; none without git."
    command = ["git", "diff", "--name-only", "HEAD", "--", names.PACKAGE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    paths = [Path(line) for line in done.stdout.splitlines() if line.endswith(".py")]
    return {path.stem for path in paths if not path.stem.startswith("_")}


def users(modules: set[str]) -> list[Path]:
    "The pages that import from one of these modules."
    return [path for path in notebooks.pages([]) if modules & set(page_imports(path))]


def page_imports(path: Path) -> Iterator[str]:
    "The modules of the package that the cells of a page import from."
    for cell in read(path)["cells"]:
        tree = names.parsed(text(cell["source"])) if cell["cell_type"] == "code" else None
        if tree is not None:
            yield from imported(tree)


# ------------------------------------------------------------------------------ what is done


def store(path: Path) -> list[str]:
    "Run a page and store it; the cell that failed, if one did."
    try:
        return notebooks.store(path)
    except (CellExecutionError, Stop) as error:
        colours = r"\x1b\[[\d;]*m"
        return [re.sub(colours, "", str(error))[-2000:]]


def write_package() -> list[str]:
    "Format and export; what stands in the way, if anything does."
    ruff_format("--quiet")
    found = export.all_faults()
    if found:
        return ["The package was not written:", *found]
    try:
        export.export()
    except Exception as error:  # nbdev's are of all kinds; the package is as it was
        return [f"nbdev_export failed: {type(error).__name__}: {error}"]
    found = names.all_faults()
    return ["No page was run, as some names are not there:", *found] if found else []


def mend(with_users: bool) -> bool:
    "Do what a change needs, as far as it can be done; whether all of it could."
    found = write_package()
    if found:
        print(*found, sep="\n  ")
        return False
    chosen = [path for path in notebooks.pages([]) if notebooks.stale(path)]
    others = [path for path in users(dependents(changed_modules())) if path not in chosen]
    if with_users:
        chosen += others
    n_faults = notebooks.examine(chosen, store)
    for path, content in list(cleaned()):
        path.write_text(content, encoding="utf-8")
    run("tools/site.py", "--readme")
    if others and not with_users:
        line = " ".join(map(notebooks.short, others))
        print(f"These use what changed: look with python tools/notebooks.py --check {line}")
    return n_faults == 0


def main() -> int:
    formatter = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    args.add_argument("--users", action="store_true", help="run pages that use what changed too")
    args.add_argument("--check", action="store_true", help="change nothing")
    args = args.parse_args()
    os.chdir(ROOT)  # nbdev looks for settings.ini from here
    done = args.check or mend(args.users)
    if left() or not done:
        return 1
    print("Nothing is left that takes seconds.", "" if args.check else LONG, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
