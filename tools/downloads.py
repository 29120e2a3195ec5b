"""Make of a notebook the one that the site offers for download: it runs alone, in an empty folder.

    python tools/downloads.py FOLDER          write the downloads of all pages into FOLDER
    python tools/downloads.py FOLDER 02 08    only of the pages whose names start so

A download installs or asks for what it needs, has no cells for nbdev, and brings the files that its
cells read. It shows the outputs that are stored. `--url` says where the project is published, as
`git_url` in settings.ini does.
"""

from __future__ import annotations

import argparse
import ast
import base64
import html
import json
import re
import sys
import textwrap
import zlib
from collections.abc import Iterator
from pathlib import Path

NBS = Path(__file__).resolve().parents[1] / "nbs"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # for Colab, and for Jupyter

NOTE = """\
*This notebook needs the package `cadl_flax`, and a few more that only its pages use. In a checkout
of the project, `pip install '.[pages]'` installs them.*"""

CHECK = """\
from importlib.util import find_spec
missing = [name for name in ("cadl_flax", "fastcore") if not find_spec(name)]
if missing:
    raise ModuleNotFoundError(f"{' and '.join(missing)} cannot be imported: in a checkout of"
                              " cadl_flax, pip install '.[pages]', and restart the kernel")"""

INSTALL = """\
#@title First: install what this notebook needs
import importlib, sys
from importlib.metadata import version
from importlib.util import find_spec
if not (find_spec("cadl_flax") and find_spec("fastcore")):
    %pip install -q "cadl_flax[pages] @ git+{url}"
    importlib.invalidate_caches()
    loaded = sorted({"numpy", "scipy", "matplotlib", "jax", "flax"} & sys.modules.keys())
    changed = [name for name in loaded if sys.modules[name].__version__ != version(name)]
    if changed:
        raise RuntimeError(f"{', '.join(changed)} had been loaded in another version: restart the"
                           " session or kernel, and run all cells again")"""

UNPACK = """\
#@title The files that this notebook reads
import base64, os, tempfile, zlib
from pathlib import Path

def unpack(files):
    "Write each of the files that is not there yet."
    for name, packed in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(zlib.decompress(base64.b64decode(packed)))

"""

ELSEWHERE = """\
# these are pages without their outputs: kept apart, so that they never pass for yours
os.chdir(tempfile.mkdtemp())
"""


def text(source: str | list[str]) -> str:
    "The source of a cell, which a notebook stores as lines."
    return "".join(source)


def new_cell(kind: str, name: str, source: str, metadata: dict | None = None) -> dict:
    "A cell of a notebook; `name` is its id."
    cell = {"cell_type": kind, "id": name, "metadata": metadata or {}, "source": source}
    return cell | {"execution_count": None, "outputs": []} if kind == "code" else cell


# ------------------------------------------------------------------------------ cells


def uses_nbdev(statement: ast.stmt) -> bool:
    "Whether a statement imports or calls nbdev."
    return bool(re.match(r"(import|from) nbdev\b|nbdev\.|nbdev_export\(", ast.unparse(statement)))


def is_for_nbdev(source: str) -> bool:
    "Whether a code cell has directives only, or does nothing but call nbdev."
    code = re.sub(r"^#\|.*$", "", source, flags=re.M).strip()
    statements = ast.parse(code).body
    return not code or bool(statements) and all(map(uses_nbdev, statements))


def converted(cell: dict) -> dict | None:
    "A cell as the download has it; none for cells that only nbdev needs."
    source = text(cell["source"])
    if cell["cell_type"] != "code":
        return cell
    if is_for_nbdev(source):
        return None
    nodes = ast.walk(ast.parse(source))
    imports = (node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)))
    if any(map(uses_nbdev, imports)):
        raise ValueError(f"cell {cell['id']} uses nbdev besides something else: give that a cell")
    if re.search(r"^#\| *eval: *false", source, re.M):  # Jupyter would run it: shown as text
        code = re.sub(r"^#\|.*\n", "", source, flags=re.M)
        return new_cell("markdown", cell["id"], f"```python\n{code}\n```")
    return cell


# ------------------------------------------------------------------------------ files


def named_paths(tree: ast.AST) -> Iterator[str]:
    "The strings in code that may be relative paths: with a slash or a suffix, or given to `Path`."
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Path":
            yield from filter(None, map(string_in, node.args))
        value = string_in(node)
        if value and re.fullmatch(r"\w[\w-]*([./][\w-]+)*[./]\w*", value):
            yield value


def string_in(node: ast.AST) -> str | None:
    "The string that a node is, if it is one."
    is_string = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_string else None


def files_read(cells: list[dict], folder: Path) -> dict[str, Path]:
    """The files of `folder` that code cells name, by name; of a folder they name, all its files.

    A notebook that reads a page reads those it links to as well. A name below `data/` that is not
    there is an error. A name from the root of the disk is of no file of the project.
    """
    code = [ast.parse(text(c["source"])) for c in cells if c["cell_type"] == "code"]
    names = {name for tree in code for name in named_paths(tree) if not name.startswith("/")}
    if any(name.endswith(".ipynb") and (folder / name).is_file() for name in names):
        prose = " ".join(text(c["source"]) for c in cells if c["cell_type"] == "markdown")
        names |= set(re.findall(r"\]\((\w+\.ipynb)\b", prose))
    found = {}
    for path in (folder / name for name in sorted(names)):
        inside = path.rglob("*") if path.is_dir() else [path]
        found |= {p.relative_to(folder).as_posix(): p for p in sorted(inside) if p.is_file()}
        if not path.exists() and path.relative_to(folder).parts[0] == "data":
            raise ValueError(f"{path.relative_to(folder)} is read, and is not in {folder}")
    return found


def without_outputs(page: str) -> str:
    "A page for a notebook that reads it: its cells, and how many outputs they had."
    cells = []
    for cell in json.loads(page)["cells"]:
        kept = {"cell_type": cell["cell_type"], "source": text(cell["source"])}
        if cell["cell_type"] == "code":
            kept["outputs"] = [{}] * len(cell["outputs"])
        cells.append(kept)
    return json.dumps({"cells": cells}, ensure_ascii=False)


def packed(path: Path) -> str:
    "The content of a file, compressed, as lines of letters."
    content = path.read_bytes()
    if path.suffix == ".ipynb":
        content = without_outputs(content.decode("utf-8")).encode("utf-8")
    return textwrap.fill(base64.b64encode(zlib.compress(content, 9)).decode(), 96)


def files_cell(files: dict[str, Path]) -> dict:
    "A cell that writes files beside the notebook, or in a temporary folder if there are pages."
    has_pages = any(name.endswith(".ipynb") for name in files)
    content = "".join(f'    "{name}": """\n{packed(path)}""",\n' for name, path in files.items())
    source = UNPACK + ELSEWHERE * has_pages + f"unpack({{\n{content}}})"
    return new_cell("code", "files", source, FOLDED)


# ------------------------------------------------------------------------------ the download


def first_cells(url: str) -> list[dict]:
    "Cells that install what is needed from `url`, or without one say what to install."
    if url:
        return [new_cell("code", "install", INSTALL.replace("{url}", url))]
    return [new_cell("markdown", "note", NOTE), new_cell("code", "check", CHECK)]


def download(
    path: Path,  # a notebook in nbs/
    url: str = "",  # the address of the repository, if it is published
) -> str:  # JSON
    "The text of the notebook that is offered for download."
    nb = json.loads(path.read_text(encoding="utf-8"))
    try:
        cells = [new for cell in nb["cells"] if (new := converted(cell))]
        files = files_read(cells, path.parent)
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{path.name} cannot be offered for download: {error}") from error
    if files:
        cells = [files_cell(files), *cells]
    nb["cells"] = first_cells(url) + cells
    nb["metadata"] = {"kernelspec": KERNEL}
    return json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def in_colab(url: str, folder: str = "nbs") -> str:
    "What stands beside a link that opens a page of `folder` in Colab: cells to run first."
    name = url.rsplit("/", 1)[1]
    lines = [
        f"!git clone -q --depth 1 {url}",
        f"%pip install -q './{name}[pages]'",
        f"%cd {name}/{folder}",
    ]
    shown = (html.escape(line, quote=False) for line in lines)
    return f"(first: {', '.join(f'<code>{line}</code>' for line in shown)})"


def main() -> int:
    formatter = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    args.add_argument("folder", type=Path, help="where to write them")
    args.add_argument("page", nargs="*", default=[""], help="the start of its name, such as 01")
    args.add_argument("--url", default="", help="the address of the repository")
    args = args.parse_args()
    places = (path.relative_to(NBS) for path in sorted(NBS.rglob("[!_.]*.ipynb")))
    chosen = [place for place in places if place.as_posix().startswith(tuple(args.page))]
    for place in chosen:
        target = args.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(download(NBS / place, args.url), encoding="utf-8")
    return 0 if chosen else 1


if __name__ == "__main__":
    sys.exit(main())
