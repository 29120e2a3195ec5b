"""Execute the notebooks in reading order and store their outputs, or check the stored ones.

    python tools/notebooks.py               execute every page and store its outputs
    python tools/notebooks.py 01 08         only the pages whose names start so
    python tools/notebooks.py --check       execute, store nothing, and compare with what is stored
    python tools/notebooks.py --stamps      no execution: were the stored outputs made by this tool from these cells?

Each page runs in a fresh kernel, in its own folder. Cells that `nbdev_test` skips are skipped here too (`#| eval: false`,
the `tst_flags` of settings.ini, `skip_exec: true`) and keep what they have. A page that writes to stderr has a fault.

The stamp is a digest of the code cells with their outputs, kept in the notebook's metadata: it finds a number edited by hand, or code
that changed after it ran, however small the change. `--check` then compares with a fresh execution, by tolerance, because another processor
rounds otherwise: whole numbers and words exactly, decimals within 2 % or one unit in the last place, pictures at 35 dB, and of embedded
weights only the names and shapes, since rounding grows with every step of training.
"""
from __future__ import annotations

import argparse, base64, hashlib, io, json, os, re, sys, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAMP = "outputs_from"
os.chdir(ROOT)

import numpy as np
from execnb.nbio import nb2str, read_nb
from nbdev.clean import _nbdev_clean
from nbdev.config import get_config
from nbdev.frontmatter import FrontmatterProc
from nbdev.process import NBProcessor
from PIL import Image, ImageSequence
from safetensors import numpy as safetensors


def pages(names: list[str]) -> list[Path]:
    "The notebooks in reading order (index last, as it shows the result of all pages), or those whose names start with one of `names`."
    found = sorted((ROOT/"nbs").glob("[!_.]*.ipynb"), key=lambda p: (not p.name[0].isdigit(), p.name))
    unknown = [n for n in names if not any(p.name.startswith(n) for p in found)]
    if unknown: raise SystemExit(f"no page starts with {', '.join(unknown)}")
    return [p for p in found if not names or p.name.startswith(tuple(names))]


def skipped(path: Path) -> set[str]:
    "Ids of the code cells that nbdev's directives say not to run."
    flags = set(get_config().tst_flags.split())
    nb = NBProcessor(path, procs=FrontmatterProc, process=True).nb
    whole = str(getattr(nb, "frontmatter_", {}).get("skip_exec", "")).lower() in ("true", "1")
    def skip(cell):
        found = getattr(cell, "directives_", {}) or {}
        return whole or "nbdev_export(" in cell.source or found.get("eval:", [""])[0].lower() == "false" or bool(flags & found.keys())
    return {c.id for c in nb.cells if c.cell_type == "code" and skip(c)}


def execute(path: Path) -> str:
    "The text of the notebook at `path` as it is after a run from a clean kernel."
    import nbformat
    from nbclient import NotebookClient
    skip = skipped(path)

    class Client(NotebookClient):
        async def async_execute_cell(self, cell, cell_index, **kwargs):
            if cell.get("id") in skip: return cell
            return await super().async_execute_cell(cell, cell_index, **kwargs)

    nb = nbformat.read(path, 4)
    for cell in nb.cells:
        if cell.cell_type == "code" and cell["id"] not in skip: cell["outputs"] = []
    Client(nb, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}},
           extra_arguments=["--log-level=ERROR"], store_widget_state=False, record_timing=False, coalesce_streams=True).execute()
    tmp = path.with_name(f"_{path.name}")
    try:
        nbformat.write(nb, tmp)
        clean = read_nb(tmp)
    finally: tmp.unlink(missing_ok=True)
    _nbdev_clean(clean)
    noise = [o["text"] for c in clean.cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    if noise: raise SystemExit(f"{path.name} writes to stderr: {''.join(noise[0])[:400]}")
    clean["metadata"][STAMP] = stamp(clean)
    return nb2str(clean)


def text(x) -> str: return "".join(x) if isinstance(x, list) else x


def stamp(nb) -> str:
    "A digest of the code cells and their outputs."
    content = [(text(c["source"]), [[o.get("name"), text(o.get("text", "")), {k: text(v) for k, v in sorted(o.get("data", {}).items())}]
                                    for o in c["outputs"]]) for c in nb["cells"] if c["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?", re.I)
EMBEDDED = re.compile(r"data:(image/\w+|application/octet-stream);base64,([A-Za-z0-9+/=\s]+)")


def near(a: str, b: str) -> bool:
    "Are two printed numbers the same: whole numbers exactly, decimals within 2 % or one unit in the last place?"
    if a == b: return True
    if not ({".", "e"} & set(a.lower()) and {".", "e"} & set(b.lower())): return False
    digits, _, exponent = a.lower().partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    return abs(float(a) - float(b)) <= max(.02*abs(float(a)), 1.001*unit)


def same_text(a: str, b: str) -> bool:
    "Same words, and numbers that are near."
    words = lambda s: re.sub(r"\s+", " ", NUMBER.sub("#", s))
    return words(a) == words(b) and all(map(near, NUMBER.findall(a), NUMBER.findall(b)))


def same_picture(a: str, b: str) -> bool:
    "Same size, same number of frames, and no frame under 35 dB."
    frames = [[np.asarray(f.convert("RGB"), float)/255 for f in ImageSequence.Iterator(Image.open(io.BytesIO(base64.b64decode(x))))] for x in (a, b)]
    if len(frames[0]) != len(frames[1]): return False
    return all(p.shape == q.shape and np.mean((p - q)**2) <= 10**-3.5 for p, q in zip(*frames))


def same_weights(a: str, b: str) -> bool:
    "The same arrays in two safetensors files, whatever is in them?"
    shapes = [{name: (array.shape, array.dtype) for name, array in safetensors.load(base64.b64decode(x)).items()} for x in (a, b)]
    return shapes[0] == shapes[1]


def same_embedded(a: tuple[str, str], b: tuple[str, str]) -> bool:
    return a[0] == b[0] and (same_picture if a[0].startswith("image/") else same_weights)(a[1], b[1])


def same_output(kind: str, a: str, b: str) -> bool:
    if kind.startswith("image/") and "svg" not in kind: return same_picture(a, b)
    found = [EMBEDDED.findall(s) for s in (a, b)]
    if len(found[0]) != len(found[1]) or not all(map(same_embedded, *found)): return False
    return same_text(EMBEDDED.sub("", a), EMBEDDED.sub("", b))


def differences(stored: dict, fresh: dict) -> list[str]:
    "What `fresh` shows that `stored` does not, a line a cell."
    found = []
    for old, new in zip(stored["cells"], fresh["cells"], strict=True):
        if old["cell_type"] != "code": continue
        flat = [[(k, text(v)) for o in c["outputs"] for k, v in sorted({**o.get("data", {}), **({o["name"]: o["text"]} if "text" in o else {})}.items())]
                for c in (old, new)]
        if [k for k, _ in flat[0]] != [k for k, _ in flat[1]]:
            found.append(f"cell {old['id']}: stored outputs are {[k for k, _ in flat[0]]}, now {[k for k, _ in flat[1]]}")
        else: found += [f"cell {old['id']}: {k} stored as\n{a[:300]}\n  now\n{b[:300]}" for (k, a), (_, b) in zip(*flat) if not same_output(k, a, b)]
    return found


def stale(path: Path) -> list[str]:
    nb = json.loads(path.read_text())
    return [] if nb["metadata"].get(STAMP) == stamp(nb) else ["the stored outputs are not what this tool made from these cells: execute the page again"]


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("page", nargs="*", help="the start of a page's name, such as 01")
    args.add_argument("--check", action="store_true", help="compare with what is stored")
    args.add_argument("--stamps", action="store_true", help="only look whether the stored outputs were made from these cells")
    args = args.parse_args()
    faults = 0
    for path in pages(args.page):
        began, found = time.time(), stale(path) if args.check or args.stamps else []
        if not args.stamps:
            fresh = execute(path)
            if args.check: found += differences(json.loads(path.read_text()), json.loads(fresh))
            elif fresh != path.read_text(): path.write_text(fresh)
        faults += bool(found)
        print(f"{path.name}: {'differs' if found else 'ok'} ({time.time() - began:.0f} s)", *found, sep="\n  ", flush=True)
    print(f"{faults} of {len(pages(args.page))} pages differ" if args.check or args.stamps else "stored")
    return 1 if faults else 0


if __name__ == "__main__": sys.exit(main())
