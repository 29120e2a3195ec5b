"Notebooks and configuration as a renderer wants them: nbdev's processors, and what nbdev lacks."

import ast
import html
import platform
import posixpath
import re
import shutil
import subprocess
from functools import partial
from importlib.metadata import version
from pathlib import Path

import yaml

from website.api import DOCUMENTED, documentation
from website.experiments import FOLDER, with_experiments
from website.figures import show_drawings
from website.lessons import (
    ON_PATH,
    ROW,
    SHORT_PATH,
    astronauts,
    is_folded,
    minutes,
    next_cell,
    number_captions,
    path_words,
    strip_cell,
    strip_source,
)
from website.markdown import is_shown
from website.pages import (
    Page,
    directives,
    exported_module,
    list_pages,
    published,
    published_names,
    text,
)
from website.project import ROOT, Stop, address
from website.reference import with_reference

# ------------------------------------------------------------------------------ nbdev's processors


def exported_nodes(cell) -> list[ast.FunctionDef | ast.ClassDef]:
    "The public functions and classes that a cell exports and shows."
    names = cell.directives_.keys()
    if cell.cell_type != "code" or "hide" in names or not {"export", "exports"} & names:
        return []
    defined = [n for n in cell.parsed_() if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return [node for node in defined if node.name[0] != "_"]


def with_documentation(cells: list) -> list:
    "The cells, with documentation of public names before the exported cell with their source."
    from execnb.nbio import mk_cell

    found, module = [], ""
    for cell in cells:
        module = (cell.directives_.get("default_exp") or [module])[0]
        for node in exported_nodes(cell):
            words = documentation(node, cell.source, module, is_open=is_folded(cell))
            found.append(mk_cell(words, "markdown"))
        found.append(cell)
    return found


LINK = re.compile(r"(\[[^\[\]]*`[^\[\]]*\]\([^()]*\))")  # with a name in backticks in its text


def lookup(up: str):
    """nbdev's links of names to where they are defined, from a page that `up` leads up from.

    A command is not the function that it is named after.
    """
    from nbdev.config import get_config
    from nbdev.doclinks import NbdevLookup

    class Lookup(NbdevLookup):
        def link_line(self, line: str) -> str:
            parts = LINK.split(line)
            # every second part is a link already
            parts[::2] = map(super().link_line, parts[::2])
            return "".join(parts)

    lib = get_config().lib_name
    links = Lookup(skip_mods=(f"{lib}.__main__",))
    own = links.entries[lib]
    # nbdev writes the address out, or `/` for none, and a copy on disk would link away from itself
    away = address(own["settings"]) or "/"
    places = {place for names in own["syms"].values() for place in names.values()}

    def relative(place: tuple) -> tuple:
        return (up + place[0].removeprefix(away), *place[1:]) if place in places else place

    links.syms = {name: relative(place) for name, place in links.syms.items()}
    return links


def linker(up: str):
    "A processor that links backticked names to where they are defined."
    links = lookup(up)

    def link(cell):
        if cell.cell_type == "markdown":
            cell.source = links.linkify(cell.source)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/markdown" in data:
                data["text/markdown"] = links.linkify(text(data["text/markdown"]))

    return link


def fold(cell):
    """Put exported source into a fold; `#| open` leaves it open, where a lesson teaches it.

    `code-fold` would do, but nbdev writes what has a colon into the module.
    """
    if cell.cell_type != "code" or "exports" not in cell.directives_:
        return
    imports = all(isinstance(n, (ast.Import, ast.ImportFrom)) for n in cell.parsed_())
    names = ", ".join(node.name for node in exported_nodes(cell))
    summary = f"source of {names}" if names else "source"
    wanted = {
        "code-fold": "show" if "open" in cell.directives_ else "true",
        "code-summary": "imports" if imports else summary,
    }
    cell.source = "".join(f"#| {key}: {value}\n" for key, value in wanted.items()) + cell.source


def processors(page: Page):
    "nbdev's notebook processors for a page, with our own documentation of exported names."
    from nbdev import processors as nbdev

    class Documented(nbdev.Processor):
        def begin(self):
            self.nb.cells = with_documentation(self.nb.cells)

    ours = {
        nbdev.add_show_docs: Documented,
        nbdev.add_links: linker(page.up),
        nbdev.add_fold: fold,
    }
    without = {nbdev.insert_warning, nbdev.clean_show_doc, nbdev.exec_show_docs, nbdev.mv_exports}

    class Procs(nbdev.FilterDefaults):
        def base_procs(self):
            return [ours.get(p, p) for p in super().base_procs() if p not in without]

    return Procs()


# ------------------------------------------------------------------------------ what nbdev lacks


def relink(source: str, page: Page, names: dict[str, str]) -> str:
    "Links to notebooks by the names they are published under, and no links to private names."

    def by_name(m):
        return f"{m[1]}{published(m[2], page, names) or posixpath.normpath(m[2])}.html"

    source = re.sub(r'(\]\(|href=")([\w./-]+)\.(?:ipynb|html)(?=[)#"])', by_name, source)
    return re.sub(r"\[(`[^`\]]+`)\]\([^()]*#(?:\w+\.)?_(?!_call__)[^()]*\)", r"\1", source)


def documented_places(cells: list[dict]) -> set[str]:
    "The places on a page that its documented names take."
    heading = re.compile(DOCUMENTED + r"\n\n### .* \{#(\S+) ")
    found = (heading.match(text(cell["source"])) for cell in cells)
    return {m[1] for m in found if m}


def finish_outputs(cell: dict, page: Page, names: dict[str, str]):
    "Give the outputs of a cell links by published name, and their pictures the alternative text."
    alt = directives(cell["source"]).get("fig-alt") if cell["cell_type"] == "code" else None
    show_drawings(cell, alt)
    for data in (o["data"] for o in cell.get("outputs", []) if "data" in o):
        for kind in {"text/html", "text/markdown"} & data.keys():
            data[kind] = relink(text(data[kind]), page, names)
        if alt and "text/html" in data:
            film = re.sub(r'(<img\b[^>]*?) alt="[^"]*"', r"\1", data["text/html"])
            data["text/html"] = film.replace("<img", f'<img alt="{html.escape(alt)}"')


def finish_notebook(nb: dict, time: int, page: Page, pages: list[Page], row: list[dict]) -> dict:
    """What a page needs besides: links by published name, headings apart from names, reading time.

    `time` is in minutes. `row` is of what all pages make of the same picture.
    """
    names = published_names(pages)
    documented = documented_places(nb["cells"])

    def rename(m):
        return f"{m[0]} {{#on-{m[1].lower()}}}" if m[1].lower() in documented else m[0]

    for cell in nb["cells"]:
        source = text(cell["source"])
        if cell["cell_type"] == "raw":
            source = re.sub(r"^output-file: .*\n", "", source, flags=re.M)
        if cell["cell_type"] == "markdown":
            source = re.sub(r"^##+ +(\w+) *$", rename, relink(source, page, names), flags=re.M)
            source = source.replace(ROW, strip_source(page, row))
        cell["source"] = source
        finish_outputs(cell, page, names)
    number = f"Page {page.number} · " if page.number else ""
    module = exported_module(page.path)
    place = f"\n\nModule `cadl_flax.{module}`" if module else ""
    source = f"::: {{.minutes}}\n{number}{time} min{path_words(page)}{place}\n:::"
    under_title = [dict(cell_type="markdown", id="minutes", metadata={}, source=source)]
    numbers = number_captions(nb["cells"])
    nb["cells"] = with_experiments(nb["cells"], numbers)
    under_title += filter(None, [strip_cell(page, row)])
    nb["cells"][1:1] = under_title
    nb["cells"] += filter(None, [next_cell(page, pages)])
    return nb


# ------------------------------------------------------------------------------ the configuration


def colophon() -> str:
    "The state of the project and the versions that the site is built with."
    from nbdev.config import get_config

    describe = ["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(describe, capture_output=True, text=True).stdout.strip()
    url, source = get_config().git_url, ""
    if commit:
        is_published = url and "-" not in commit
        shown = f"[{commit}]({url}/tree/{commit})" if is_published else commit
        source = f"commit {shown}, "
    names = ("jax", "flax", "optax", "numpy", "scikit-image")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    project = f"{get_config().lib_name} {get_config().version}"
    return f"{project}, {source}built with Python {platform.python_version()}, {packages}"


def staged_settings(settings: dict) -> dict:
    "nbdev's part of the configuration, with no links to addresses that are not known."
    from nbdev.config import get_config

    website = settings["website"] | {"page-footer": {"center": colophon()}}
    unknown = [] if get_config().doc_host else ["site-url"]
    unknown += [] if get_config().git_url else ["repo-url", "repo-branch"]
    website = {key: value for key, value in website.items() if key not in unknown}
    return settings | {"project": settings["project"] | {"output-dir": "_site"}, "website": website}


def named_published(contents: list, pages: dict[str, Page]) -> list:
    """Entries of the sidebar that lead to what the pages are published under.

    In the project, and so in `pages`, they are called by their notebooks.
    """
    found = []
    for entry in contents:
        if isinstance(entry, dict) and "section" in entry:
            found.append(entry | {"contents": named_published(entry["contents"], pages)})
            continue
        page = pages[entry if isinstance(entry, str) else entry["file"]]
        mark = f" {ON_PATH}" if page.number and page.source in SHORT_PATH else ""
        found.append({"text": page.topic + mark, "file": f"{page.name}.ipynb"})
    return found


def stage(folder: Path) -> tuple[Path, list[Page]]:
    """Write processed notebooks and the configuration below `folder`, and list the pages.

    A renderer finds there what it would find in the project.
    """
    from nbdev.config import get_config
    from nbdev.doclinks import NbdevLookup
    from nbdev.quarto import refresh_quarto_yml

    lib = get_config().lib_name
    if lib not in NbdevLookup().entries:
        raise Stop(f"{lib} is not installed, so names would have no links: pip install -e '.[dev]'")
    refresh_quarto_yml()
    nbs, into = get_config().nbs_path, folder / "nbs"
    config = yaml.safe_load((ROOT / "_quarto.yml").read_text(encoding="utf-8"))
    settings = yaml.safe_load((nbs / "nbdev.yml").read_text(encoding="utf-8"))
    pages = list_pages(config, nbs)
    stage_notebooks(pages, into)
    for path in nbs.iterdir():
        left_out = path.suffix == ".ipynb" or path.name == "nbdev.yml" or path.name[0] == "."
        if path.is_file() and not left_out:
            shutil.copy(path, into)
    # pages may link to a script
    shutil.copytree(nbs / FOLDER, into / FOLDER, dirs_exist_ok=True)
    sidebar = config["website"]["sidebar"]
    sidebar["contents"] = named_published(sidebar["contents"], {p.source: p for p in pages})
    settings = yaml.safe_dump(staged_settings(settings), sort_keys=False)
    (into / "nbdev.yml").write_text(settings, encoding="utf-8")
    config = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (folder / "_quarto.yml").write_text(config, encoding="utf-8")
    return into, pages


def stage_notebooks(pages: list[Page], into: Path):
    "Write the processed notebooks of all pages into the folder `into`."
    from execnb.nbio import mk_cell, read_nb, write_nb

    row = astronauts(pages)
    for page in pages:
        nb = read_nb(page.path)
        time = minutes(list(filter(is_shown, nb.cells)))
        listed = partial(mk_cell, cell_type="markdown")
        nb.cells = with_reference(nb.cells, pages, listed, with_source=True)
        processors(page)(nb)
        path = into / f"{page.name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nb(finish_notebook(nb, time, page, pages, row), path)
