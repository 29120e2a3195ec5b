"""Put one-line faults into exported cells, one at a time, and see that a test or a page fails.

    python tools/mutate.py             all of them, which takes about an hour
    python tools/mutate.py 04 library  those of the pages whose names start so
    python tools/mutate.py --check     only look that each can be put in, in a second

The faults stand in tools/mutate.toml; there are {count}. A page without a fault has to pass first.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tokenize
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
CONTENT = tomllib.loads((ROOT / "tools" / "mutate.toml").read_text(encoding="utf-8"))
TESTS = CONTENT["tests"]
LAYOUT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


@dataclass(frozen=True)
class Fault:
    "Code of a page, and what is put in its place."

    page: str  # such as 04_minibatches, or library/training
    before: str
    after: str

    @property
    def path(self) -> Path:
        "The notebook, in the folder of a project."
        return Path("nbs", f"{self.page}.ipynb")

    def __str__(self) -> str:
        return f"{self.page}  {first_line(self.before)}  ->  {first_line(self.after)}"


FAULTS = [Fault(**fault) for fault in CONTENT["fault"]]


def first_line(code: str) -> str:
    "The beginning of some code, for a message."
    return code.strip().splitlines()[0][:60]


# ------------------------------------------------------------------------------ finding code


@dataclass(frozen=True)
class Token:
    "A token of a source: what it means, and from which character to which it stands."

    meaning: str
    start: int
    stop: int


def tokens(source: str) -> list[Token]:
    "The tokens that a formatter leaves; up to where Python cannot read on, in a piece of code."
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in LAYOUT:
                continue
            start, stop = (offsets[row - 1] + column for row, column in (token.start, token.end))
            closes = token.string in (")", "]", "}")
            if closes and found and found[-1].meaning == ",":
                found.pop()  # a formatter adds or drops a trailing comma
            found.append(Token(meaning(token), start, stop))
    except (tokenize.TokenError, IndentationError):
        pass  # a piece of code may leave a bracket open, or end within a block
    return found


def meaning(token: tokenize.TokenInfo) -> str:
    "A token as it is compared: `.5` is `0.5`, and 'a' is \"a\"."
    if token.type not in (tokenize.NUMBER, tokenize.STRING):
        return token.string
    try:
        return repr(ast.literal_eval(token.string))
    except ValueError:  # an f-string
        return token.string


def places(source: str, code: str) -> list[slice]:
    "Where `code` stands in `source`, whatever the layout of either."
    there = tokens(source)
    meanings = [t.meaning for t in there]
    wanted = [t.meaning for t in tokens(code)]
    n = len(wanted)
    starts = (i for i in range(len(there) - n + 1) if meanings[i : i + n] == wanted)
    return [slice(there[i].start, there[i + n - 1].stop) for i in starts]


def exported(notebook: dict) -> Iterator[dict]:
    "The exported cells of a notebook."
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and "".join(cell["source"]).startswith("#| export"):
            yield cell


def occurrences(path: Path, code: str) -> int:
    "How many times `code` stands in the exported cells of a notebook."
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return sum(len(places("".join(cell["source"]), code)) for cell in exported(notebook))


def misplaced(folder: Path = ROOT) -> list[str]:
    "The faults that cannot be put in as they are, a line each."
    found = []
    for fault in FAULTS:
        path = folder / fault.path
        n = occurrences(path, fault.before) if path.exists() else 0
        if n == 1:
            continue
        pages = sorted((folder / "nbs").rglob("[!_.]*.ipynb")) if n == 0 else []
        elsewhere = [p.relative_to(folder / "nbs") for p in pages if occurrences(p, fault.before)]
        hint = f", but in {', '.join(map(str, elsewhere))}" if elsewhere else ""
        found.append(f"{n} times on {fault.page}{hint}: {first_line(fault.before)}")
    return found


def put_in(notebook: dict, fault: Fault) -> None:
    "Put a fault into the one cell that has the code."
    for cell in exported(notebook):
        source = "".join(cell["source"])
        for place in places(source, fault.before):
            cell["source"] = source[: place.start] + fault.after.strip() + source[place.stop :]


# ------------------------------------------------------------------------------ trying a fault


def fails(folder: Path, *command: str) -> bool:
    "Whether a command fails in a copy of the project, or takes more than ten minutes."
    env = os.environ | {
        "PYTHONPATH": str(folder),
        "JAX_COMPILATION_CACHE_DIR": str(folder / ".jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    }
    options = dict(cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return subprocess.run(command, timeout=600, **options).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def failure(folder: Path, page: str) -> str:
    "What fails in a copy of the project: a test, the page, or nothing, which is an empty string."
    for name in TESTS.get(page, []):
        test = f"tests/test_{name}.py"
        if fails(folder, sys.executable, "-m", "pytest", "-xq", "-n0", test):
            return test
    if fails(folder, sys.executable, "tools/notebooks.py", page):
        return f"page {page}"
    return ""


def found_by(folder: Path, fault: Fault) -> str:
    "What fails when the fault is in; the copy of the project is left as it was."
    path = folder / fault.path
    original = path.read_text(encoding="utf-8")
    notebook = json.loads(original)
    put_in(notebook, fault)
    try:
        path.write_text(json.dumps(notebook), encoding="utf-8")
        if fails(folder, "nbdev_export"):
            raise SystemExit(f"this cannot be exported: {fault}")
        return failure(folder, fault.page)
    finally:
        path.write_text(original, encoding="utf-8")
        fails(folder, "nbdev_export")


class Copies:
    "Copies of the project to work in, each by one thread at a time."

    def __init__(self, folder: str, n: int):
        self.free = SimpleQueue()
        ignored = shutil.ignore_patterns(".*", "_docs", "*.egg-info", "__pycache__", "build")
        for i in range(n):
            self.free.put(shutil.copytree(ROOT, Path(folder, str(i)), ignore=ignored))

    def use(self, function, *args):
        "Call `function(copy, *args)` with a copy that nobody uses."
        copy = self.free.get()
        try:
            return function(copy, *args)
        finally:
            self.free.put(copy)


def try_all(chosen: list[Fault], jobs: int) -> int:
    "Put in one fault after the other and print what finds it; how many nothing finds."
    survivors = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        copies = Copies(folder, jobs)
        # a page that fails without a fault would seem to find every fault
        pages = sorted({fault.page for fault in chosen})
        for failed in pool.map(lambda page: copies.use(failure, page), pages):
            if failed:
                raise SystemExit(f"{failed} fails without a fault")
        began = time.time()
        for fault, by in zip(chosen, pool.map(lambda f: copies.use(found_by, f), chosen)):
            survivors += not by
            print(f"{by or 'SURVIVES':24} {fault}  ({time.time() - began:.0f} s)", flush=True)
    return survivors


def main() -> int:
    formatter = argparse.RawDescriptionHelpFormatter
    description = __doc__.format(count=len(FAULTS))
    args = argparse.ArgumentParser(description=description, formatter_class=formatter)
    args.add_argument("page", nargs="*", default=[""], help="the start of a page's name: 04")
    args.add_argument("--jobs", type=int, default=2, help="copies of the project to work in (2)")
    args.add_argument("--check", action="store_true", help="look that each can be put in")
    args = args.parse_args()
    lost = misplaced()
    if lost or args.check:
        print(*lost, f"{len(FAULTS) - len(lost)} of {len(FAULTS)} can be put in", sep="\n")
        return 1 if lost else 0
    chosen = [fault for fault in FAULTS if fault.page.startswith(tuple(args.page))]
    survivors = try_all(chosen, args.jobs)
    print(f"{len(chosen) - survivors} of {len(chosen)} faults are found")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
