"""Figures that are experiments: where they stand on a page, their scripts, and their data.

A notebook says `#| experiment: NAME` in the cell of a figure, and what to do with it in
`#| experiment-cap`. The page then loads `nbs/experiments/NAME.js`, which builds itself behind that
figure and puts it away; the figure stays where there is no JavaScript, in print, in Jupyter and on
GitHub. The first lines of a script name what it `needs:`. What an experiment computes with, such as
weights or a photograph, is printed as JSON by a hidden cell with `#| experiment-data: NAME` on any
page: a script opened from disk may read no file, so the data become one, NAME-data.js. It is loaded
for the experiment of that name, and for any script that needs NAME-data.
"""

import html
import json
import re
import shutil
from collections.abc import Container, Iterator
from pathlib import Path

from website.pages import Page, directives, text
from website.project import Stop

FOLDER = "experiments"  # in nbs/ and in the site
NEEDS = re.compile(r"^// needs: (.+)$", re.M)
PLACE = re.compile(r'data-experiment="([\w-]+)"')


def own(cell: dict) -> dict[str, object]:
    "The directives of a code cell."
    return directives(text(cell["source"])) if cell["cell_type"] == "code" else {}


def experiment_cell(cell: dict, number: int) -> dict | None:
    "The place of the experiment that belongs to the figure `number` of a page, if it has one."
    found = own(cell)
    if "experiment" not in found:
        return None
    name, caption = found["experiment"], found.get("experiment-cap")
    if not caption:
        raise Stop(f"the experiment {name} has no experiment-cap that says what to do with it")
    words = html.escape(f"Figure {number}, to play with. {caption}")
    source = (
        f'<div class="experiment" data-experiment="{name}" role="group" aria-label="Experiment"'
        f' hidden>\n<div class="experiment-stage"></div>\n'
        f'<p class="experiment-caption">{words}</p>\n</div>'
    )
    return dict(cell_type="markdown", id=f"experiment-{name}", metadata={}, source=source)


def with_experiments(cells: list[dict], numbers: dict[str, int]) -> list[dict]:
    "The cells, with a place for each experiment behind its figure; `numbers` are by id of a cell."
    found = []
    for cell in cells:
        found.append(cell)
        found += filter(None, [experiment_cell(cell, numbers.get(cell.get("id"), 0))])
    return found


def printed_data(pages: list[Page]) -> dict[str, object]:
    "What the hidden cells of all pages print for their experiments, by name."
    found = {}
    for page in pages:
        for cell in json.loads(page.path.read_text(encoding="utf-8"))["cells"]:
            name = own(cell).get("experiment-data")
            if name:
                printed = "".join(text(output.get("text")) for output in cell["outputs"])
                found[name] = json.loads(printed)
    return found


def scripts(name: str, folder: Path, data: Container[str]) -> Iterator[str]:
    "The scripts that the experiment needs, in order, and its own, without their suffix."
    if name.endswith("-data") and name.removesuffix("-data") in data:
        yield name
        return
    path = folder / f"{name}.js"
    if not path.is_file():
        raise Stop(f"there is no {FOLDER}/{name}.js")
    for needed in NEEDS.findall(path.read_text(encoding="utf-8")):
        for other in needed.split():
            yield from scripts(other, folder, data)
    yield name


def script_tags(page: str, up: str, folder: Path, data: dict[str, object]) -> str:
    "The elements that load the experiments of a page, and what they need."
    names = []
    for name in PLACE.findall(page):
        *needed, last = scripts(name, folder, data)
        names += needed
        names += [f"{name}-data"] if name in data else []
        names.append(last)
    sources = [f"{up}{FOLDER}/{name}.js" for name in dict.fromkeys(names)]
    return "".join(f'<script src="{source}" defer></script>' for source in sources)


def write_scripts(nbs: Path, site: Path, data: dict[str, object]):
    "Put the scripts of all experiments and their data into the site."
    folder = site / FOLDER
    folder.mkdir(exist_ok=True)
    for path in (nbs / FOLDER).glob("*.js"):
        shutil.copy(path, folder)
    for name, value in data.items():
        source = json.dumps(value, separators=(",", ":"))
        content = f"kit.data[{json.dumps(name)}] = {source};\n"
        (folder / f"{name}-data.js").write_text(content, encoding="utf-8")
