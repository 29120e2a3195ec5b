"""Execute the notebooks in reading order and store their outputs, or check the stored ones.

    python tools/notebooks.py               execute every page and store its outputs
    python tools/notebooks.py 01 library    only the pages whose names start so
    python tools/notebooks.py --check       execute, store nothing, and compare with what is stored
    python tools/notebooks.py --stamps      execute nothing: did this tool make the stored outputs
                                            from these cells?
    python tools/notebooks.py --tolerances  list the cells that say how far their outputs may differ
    python tools/notebooks.py --check --downloads --kernel reader
                                            execute what readers download, in the Jupyter kernel of
                                            that name, and compare it with what is stored

Each page runs in a fresh kernel, in its own folder; two pages run at a time. A download runs alone
in an empty folder (`tools/downloads.py`). Cells that `nbdev_test` skips are skipped here too
(`#| eval: false`, the `tst_flags` of settings.ini, `skip_exec: true`) and keep what they have. A
page that writes to stderr has a fault.

The stamp is a digest of the code cells with their outputs, kept in the notebook's metadata. It
finds a number edited by hand, or code that changed after it ran, however small the change.

`--check` compares with a fresh execution. Words and whole numbers must be the same, decimals may
differ by one unit in their last place or by a ten-thousandth, and pictures must agree to 35 dB.
Another processor rounds otherwise, and training magnifies that, so a cell may say how far its
outputs can differ:

    #| outputs: numbers within 5 %
    #| outputs: numbers within 0.2, pictures at 20 dB

A percentage is relative to the stored number, any other tolerance is absolute, and both hold for
whole numbers too. Of embedded weights only names, shapes and types are compared.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import io
import json
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
from downloads import download
from execnb.nbio import nb2str, read_nb
from export import ROOT, Stop, name, read, text
from nbclient import NotebookClient
from nbdev.clean import clean_nb
from nbdev.config import get_config
from nbdev.frontmatter import FrontmatterProc
from nbdev.process import NBProcessor
from PIL import Image, ImageSequence
from safetensors import numpy as safetensors

NBS = ROOT / "nbs"
STAMP = "outputs_from"


def pages(names: list[str]) -> list[Path]:
    "The notebooks in reading order, index last, or those whose names start with one of `names`."
    found = sorted(NBS.rglob("[!_.]*.ipynb"), key=reading_order)
    unknown = [start for start in names if not any(is_called(path, start) for path in found)]
    if unknown:
        raise Stop(f"no page starts with {', '.join(unknown)}")
    return [path for path in found if not names or any(is_called(path, n) for n in names)]


def reading_order(path: Path) -> tuple[bool, bool, str]:
    "Lessons, then the library, then other pages."
    place = path.relative_to(NBS).as_posix()
    return not place[0].isdigit(), "/" not in place, place


def is_called(path: Path, start: str) -> bool:
    "Whether the name of a page starts so, with or without its folder."
    return path.name.startswith(start) or path.relative_to(NBS).as_posix().startswith(start)


def short(path: Path) -> str:
    "What to type for a page: 04, or library/training."
    if path.name[0].isdigit():
        return path.name.partition("_")[0]
    folder = path.parent.name
    return f"{folder}/{path.stem}" if folder == "library" else path.stem


# ------------------------------------------------------------------------------ execution


def skipped(path: Path) -> set[str]:
    "Ids of the code cells that nbdev's directives say not to run."
    flags = set(get_config(path=ROOT).tst_flags.split())
    nb = NBProcessor(path, procs=FrontmatterProc, process=True).nb
    front = getattr(nb, "frontmatter_", {})
    whole = str(front.get("skip_exec", "")).lower() in ("true", "1")

    def skip(cell) -> bool:
        found = getattr(cell, "directives_", {}) or {}
        not_evaluated = found.get("eval:", [""])[0].lower() == "false"
        flagged = bool(flags & found.keys())
        return whole or "nbdev_export(" in cell.source or not_evaluated or flagged

    return {c.id for c in nb.cells if c.cell_type == "code" and skip(c)}


class Client(NotebookClient):
    "Runs all cells of a notebook but those with the ids `skip`."

    skip: frozenset[str] = frozenset()

    async def async_execute_cell(self, cell, cell_index, **kwargs):
        if cell.get("id") in self.skip:
            return cell
        cell = await super().async_execute_cell(cell, cell_index, **kwargs)
        if cell["cell_type"] == "code":
            cell["outputs"] = joined_streams(cell["outputs"])
        return cell


def joined_streams(outputs: list) -> list:
    """The outputs, what was written to a stream in one piece, as a terminal shows it.

    nbclient would do it too, with a pattern that takes minutes for a line of a million characters.
    """
    joined, streams = [], {}
    for output in outputs:
        stream = streams.get(output.get("name")) if output["output_type"] == "stream" else None
        if stream is not None:
            stream["text"] += output["text"]
            continue
        joined.append(output)
        if output["output_type"] == "stream":
            streams[output["name"]] = output
    for stream in streams.values():
        # a line begins anew after each carriage return that does not end it
        stream["text"] = re.sub(r"^.*\r(?=[^\n])", "", stream["text"], flags=re.MULTILINE)
    return joined


def run(nb, folder: Path, kernel: str, skip: set[str] = frozenset()):
    "Run the cells of the notebook `nb` in place, in `folder`, but those with the ids `skip`."
    for cell in nb.cells:
        if cell.cell_type == "code" and cell["id"] not in skip:
            cell["outputs"] = []
    client = Client(
        nb,
        timeout=600,
        kernel_name=kernel,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=ERROR"],
        store_widget_state=False,
        record_timing=False,
    )
    client.skip = frozenset(skip)
    client.execute()


def execute(path: Path, kernel: str = "python3") -> str:
    "The text of the notebook at `path` as it is after a run from a clean kernel."
    nb = nbformat.reads(json.dumps(read(path)), 4)
    run(nb, path.parent, kernel, skipped(path))
    clean = cleaned(nb, path)
    outputs = [o for c in clean.cells for o in c.get("outputs", [])]
    noise = [text(o["text"]) for o in outputs if o.get("name") == "stderr"]
    if noise:
        raise Stop(f"{name(path)} writes to stderr: {noise[0][:400]}")
    clean["metadata"][STAMP] = stamp(clean)
    return nb2str(clean)


def execute_download(path: Path, kernel: str) -> str:
    "The text of what readers download of a page, after a run in an empty folder."
    nb = nbformat.reads(download(path), 4)
    with tempfile.TemporaryDirectory() as folder:
        run(nb, Path(folder), kernel)
    return nb2str(cleaned(nb, path))


def cleaned(nb, path: Path):
    "The executed notebook as `nbdev_clean` leaves it."
    temporary = path.with_name(f"_{path.name}")
    try:
        nbformat.write(nb, temporary)
        found = read_nb(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    clean(found)
    return found


def clean(nb) -> None:
    "Take out of a notebook what `nbdev_clean` takes out, by the same settings."
    settings = get_config(path=ROOT)
    clean_nb(
        nb,
        settings.clear_all,
        settings.get("allowed_metadata_keys").split(),
        settings.get("allowed_cell_metadata_keys").split(),
        settings.clean_ids,
    )


# ------------------------------------------------------------------------------ the stamp


def stamp(nb) -> str:
    "A digest of the code cells and their outputs."

    def content(output):
        data = {kind: text(value) for kind, value in sorted(output.get("data", {}).items())}
        return [output.get("name"), text(output.get("text", "")), data]

    code = [c for c in nb["cells"] if c["cell_type"] == "code"]
    whole = [(text(c["source"]), [content(o) for o in c["outputs"]]) for c in code]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]


def stale(path: Path) -> list[str]:
    "What is wrong with the stamp of a page, if anything is."
    nb = read(path)
    if nb["metadata"].get(STAMP) == stamp(nb):
        return []
    again = f"python tools/notebooks.py {short(path)}"
    return [f"the stored outputs are not what this tool made from these cells: {again}"]


# ------------------------------------------------------------------------------ the comparison


@dataclass(frozen=True)
class Tolerance:
    "How far outputs may differ from the stored ones."

    relative: float = 0.0  # of numbers, as a share of the stored one
    absolute: float = 0.0  # of numbers
    decibels: float = 35.0  # that pictures agree to at least

    @property
    def exact(self) -> bool:
        return self.relative == self.absolute == 0


EXACT = Tolerance()
DIRECTIVE = re.compile(r"^#\| *outputs: *(.*?) *$", re.M)
PARTS = {
    "relative": r"numbers within (\d+(?:\.\d+)?) ?%",
    "absolute": r"numbers within (\d*\.?\d+)",
    "decibels": r"pictures at (\d+) dB",
}


def tolerance(source: str) -> Tolerance:
    "What the `#| outputs:` directive of a cell allows; `EXACT` without one."
    found = DIRECTIVE.search(source)
    if not found:
        return EXACT
    given = {}
    for part in found[1].split(", "):
        matches = {kind: match for kind, p in PARTS.items() if (match := re.fullmatch(p, part))}
        if not matches:
            meant = "`numbers within` or `pictures at`"
            raise Stop(f"#| outputs: {found[1]}: {part!r} is not {meant}")
        for kind, match in matches.items():
            given[kind] = float(match[1]) / (100 if kind == "relative" else 1)
    return Tolerance(**given)


NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:,\d{3})*(?:\.\d*)?(?:e[-+]?\d+)?", re.I)
EMBEDDED = re.compile(r"data:(image/\w+|application/octet-stream);base64,([A-Za-z0-9+/=\s]+)")


def agrees(a: str, b: str, allowed: Tolerance = EXACT) -> bool:
    "Whether the printed number `b` agrees with the stored `a`."
    if a == b:
        return True
    first, second = float(a.replace(",", "")), float(b.replace(",", ""))
    distance = abs(first - second)
    if not allowed.exact and distance <= max(allowed.relative * abs(first), allowed.absolute):
        return True
    if not (is_decimal(a) and is_decimal(b)):
        return False
    return distance <= max(1.001 * last_place(a), 1e-4 * abs(first))


def is_decimal(number: str) -> bool:
    "Whether a printed number has a point or an exponent."
    return not {".", "e"}.isdisjoint(number.lower())


def last_place(number: str) -> float:
    "One unit in the last place of a printed number: 0.01 for 3.14."
    digits, _, exponent = number.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))


def text_fault(a: str, b: str, allowed: Tolerance = EXACT) -> str | None:
    "How the text `b` differs from the stored `a`, if it does."

    def words(s):
        return re.sub(r"\s+", " ", NUMBER.sub("#", s)).strip()

    if words(a) != words(b):
        return f"stored as\n{a[:300]}\n  now\n{b[:300]}"
    pairs = zip(NUMBER.findall(a), NUMBER.findall(b), strict=True)
    changed = [f"{x} is now {y}" for x, y in pairs if not agrees(x, y, allowed)]
    return f"{', '.join(changed[:6])} in\n{b[:300]}" if changed else None


def frames(encoded: str) -> list[np.ndarray]:
    """The pictures in a base64 file, `(h, w, 3)` in [0, 1]: one, or those of a film.

    A film stores equal frames in a row as one that stays longer, so each is repeated for as long as
    it stays: whether two frames are equal to the last digit depends on the processor.
    """
    film = Image.open(io.BytesIO(base64.b64decode(encoded)))
    found = []
    for frame in ImageSequence.Iterator(film):
        picture = np.asarray(frame.convert("RGB"), float) / 255
        found.append((picture, frame.info.get("duration") or 1))  # known after it is decoded
    shortest = min(stays for _, stays in found)
    return [picture for picture, stays in found for _ in range(max(1, round(stays / shortest)))]


def picture_fault(a: str, b: str, allowed: Tolerance = EXACT) -> str | None:
    "How the picture or film `b` differs from the stored `a`, if it does."
    first, second = frames(a), frames(b)
    if [f.shape for f in first] != [f.shape for f in second]:
        return f"{len(first)} pictures of {first[0].shape}, now {len(second)} of {second[0].shape}"
    worst = max(np.mean((p - q) ** 2) for p, q in zip(first, second))
    found = math.inf if worst == 0 else -10 * math.log10(worst)
    if found < allowed.decibels:
        return f"a picture agrees to {found:.1f} dB, not {allowed.decibels:.0f}"


def weights_fault(a: str, b: str) -> str | None:
    "How names, shapes and types of the arrays in two safetensors files differ, if they do."

    def layout(encoded):
        arrays = safetensors.load(base64.b64decode(encoded))
        return {name: (array.shape, array.dtype) for name, array in arrays.items()}

    if layout(a) != layout(b):
        return f"weights {layout(a)}, now {layout(b)}"


def output_fault(kind: str, a: str, b: str, allowed: Tolerance = EXACT) -> str | None:
    "How one output of a cell differs from the stored one, if it does."
    if kind == "image/svg+xml":  # the same figure as the PNG beside it
        return None
    if kind.startswith("image/"):
        return picture_fault(a, b, allowed)
    stored, fresh = EMBEDDED.findall(a), EMBEDDED.findall(b)
    if [k for k, _ in stored] != [k for k, _ in fresh]:
        return "other files are embedded"
    for (embedded, x), (_, y) in zip(stored, fresh):
        image = embedded.startswith("image/")
        fault = picture_fault(x, y, allowed) if image else weights_fault(x, y)
        if fault:
            return fault
    return text_fault(EMBEDDED.sub("", a), EMBEDDED.sub("", b), allowed)


def shown(cell: dict) -> Iterator[tuple[str, str]]:
    "The outputs of a cell, as (kind, content)."
    for output in cell["outputs"]:
        data = dict(output.get("data", {}))
        if "text" in output:
            data[output["name"]] = output["text"]
        for kind, value in sorted(data.items()):
            yield kind, text(value)


def differences(stored: dict, fresh: dict) -> list[str]:
    "What `fresh` shows that `stored` does not, a line an output."
    found = []
    executed = {cell["id"]: cell for cell in fresh["cells"] if cell["cell_type"] == "code"}
    for cell in stored["cells"]:
        if cell["cell_type"] != "code":
            continue
        if cell["id"] in executed:
            faults = cell_faults(cell, executed[cell["id"]])
        elif cell["outputs"]:
            faults = ["is not there any more, and has stored outputs"]
        else:
            faults = []  # a download leaves cells for nbdev out
        found += [f"cell {cell['id']}: {fault}" for fault in faults]
    return found


def cell_faults(stored: dict, fresh: dict) -> list[str]:
    "How the outputs of a cell differ from the stored ones, a line an output."
    before, now = list(shown(stored)), list(shown(fresh))
    kinds, kinds_now = ([kind for kind, _ in outputs] for outputs in (before, now))
    if kinds != kinds_now:
        return [f"stored outputs are {kinds}, now {kinds_now}"]
    allowed = tolerance(text(stored["source"]))
    found = []
    for (kind, a), (_, b) in zip(before, now):
        fault = output_fault(kind, a, b, allowed)
        if fault:
            found.append(f"{kind} {fault}")
    return found


# ------------------------------------------------------------------------------ the command


def tolerances(paths: list[Path]) -> Iterator[str]:
    "Each cell that says how far its outputs may differ, a line a cell."
    for path in paths:
        for cell in read(path)["cells"]:
            found = DIRECTIVE.search(text(cell["source"]))
            if cell["cell_type"] == "code" and found:
                yield f"{name(path)} {cell['id']}: {found[1]}"


def store(path: Path, kernel: str = "python3") -> list[str]:
    "Execute a page and store it. What went wrong, if anything did, is returned."
    fresh = execute(path, kernel)
    if fresh != path.read_text(encoding="utf-8"):
        path.write_text(fresh, encoding="utf-8")
    return []


def compare(path: Path, kernel: str, as_download: bool) -> list[str]:
    "Execute a page, store nothing, and say what differs from what is stored."
    fresh = execute_download(path, kernel) if as_download else execute(path, kernel)
    return stale(path) + differences(read(path), json.loads(fresh))


def examine(paths: list[Path], look: Callable[[Path], list[str]], workers: int = 2) -> int:
    "Look at pages, `workers` at a time, and print what is found; how many have a fault."
    n_faults = 0

    def timed(path):
        began = time.time()
        return look(path), time.time() - began

    with ThreadPoolExecutor(workers) as pool:
        for path, (found, seconds) in zip(paths, pool.map(timed, paths)):
            n_faults += bool(found)
            line = f"{name(path)}: {'differs' if found else 'ok'} ({seconds:.0f} s)"
            print(line, *found, sep="\n  ", flush=True)
    return n_faults


def arguments() -> argparse.Namespace:
    "What the command line says."
    formatter = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    args.add_argument("page", nargs="*", help="the start of a page's name, such as 01")
    args.add_argument("--check", action="store_true", help="compare with what is stored")
    args.add_argument("--stamps", action="store_true", help="look at the stamps only")
    args.add_argument("--tolerances", action="store_true", help="list what may differ, and how far")
    args.add_argument("--workers", type=int, default=2, help="pages that run at a time (2)")
    args.add_argument("--downloads", action="store_true", help="with --check: what readers get")
    args.add_argument("--kernel", default="python3", help="the Jupyter kernel to run in (python3)")
    return args.parse_args()


def main() -> int:
    args = arguments()
    os.chdir(ROOT)  # nbdev looks for settings.ini from here
    if args.downloads and not args.check:
        raise Stop("--downloads is for --check: nothing is stored of them")
    chosen = pages(args.page)
    if args.tolerances:
        print(*tolerances(chosen), sep="\n")
        return 0
    if args.stamps:
        n_faults = examine(chosen, stale, 1)
    elif args.check:
        look = functools.partial(compare, kernel=args.kernel, as_download=args.downloads)
        n_faults = examine(chosen, look, args.workers)
    else:
        n_faults = examine(chosen, functools.partial(store, kernel=args.kernel), args.workers)
    compared = args.check or args.stamps
    print(f"{n_faults} of {len(chosen)} pages differ" if compared else "stored")
    return 1 if n_faults else 0


if __name__ == "__main__":
    sys.exit(main())
