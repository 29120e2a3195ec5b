"Which notebooks are pages, in which order, and under which names they are published."

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from website.project import Stop


def text(source: str | list[str] | None) -> str:
    "The text of a cell or an output, which notebooks store as lines or as one string."
    return "".join(source or "")


def directives(source: str) -> dict[str, object]:
    """The lines `#| key: value` of a cell, read as Quarto reads them: as YAML.

    A bare word such as `#| hide`, which is nbdev's, has the value None.
    """
    import yaml

    found = {}
    for line in re.findall(r"^#\| *(.+?) *$", source, re.M):
        try:
            value = yaml.safe_load(line)
        except yaml.YAMLError as error:
            raise Stop(f"#| {line}\n  is no YAML: quote its text ({error})") from error
        found.update(value if isinstance(value, dict) else {line.split()[0]: None})
    return found


def notebooks(nbs: Path) -> list[Path]:
    "The notebooks that are pages: all but those with a `_` or `.` before their or a folder's name."
    found = sorted(nbs.rglob("*.ipynb"))
    return [p for p in found if not any(n[0] in "_." for n in p.relative_to(nbs).parts)]


def page_name(path: PurePath) -> str:
    """The name a notebook is published under, without its suffix; `path` is relative to nbs/.

    nbdev's links leave out the number.
    """
    return path.with_name(re.sub(r"^\d+[a-zA-Z0-9]*_", "", path.stem)).as_posix()


def exported_module(path: Path) -> str:
    "The module that a notebook is exported to; none for most pages of the appendix."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names = re.findall(
        r"^#\| *default_exp +(\S+)", "\n".join(text(c["source"]) for c in cells), re.M
    )
    return names[0] if names and names[0] != "__init__" else ""


@dataclass(frozen=True)
class Page:
    "A notebook, and what the site and its sidebar say of it."

    path: Path  # of the notebook
    source: str  # the same relative to nbs/, such as `library/checks.ipynb`
    name: str  # what it is published under, such as `library/checks`
    section: str  # of the sidebar
    topic: str  # what the sidebar calls it, such as `04 Mini-batches`
    number: str  # of the lesson, such as `04`
    title: str
    summary: str

    @property
    def up(self) -> str:
        "The way from the page to the top of the site."
        return "../" * self.name.count("/")


def read_page(nbs: Path, source: str, section: str, topic: str) -> Page:
    """The page made from the notebook `source`, which is relative to `nbs`.

    A page without a topic is called by its title.
    """
    path = nbs / source
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    head = next((text(c["source"]) for c in cells if c["cell_type"] == "markdown"), "")
    first = {sign: re.search(rf"^{sign} +(.+)", head, re.M) for sign in "#>"}
    title, summary = (found[1].strip() if found else "" for found in first.values())
    number = re.match(r"\d*", path.stem)[0]
    topic = topic or f"{number} {title}".strip()
    return Page(path, source, page_name(PurePath(source)), section, topic, number, title, summary)


def listed(contents: list, section: str = "") -> Iterator[tuple[str, str, str]]:
    "The notebook, section and topic of each entry of the sidebar, a topic only where it has one."
    for entry in contents:
        if isinstance(entry, str):
            yield entry, section, ""
        elif "section" in entry:
            yield from listed(entry["contents"], entry["section"])
        else:
            yield entry["file"], section, entry.get("text", "")


def list_pages(config: dict, nbs: Path) -> list[Page]:
    "The pages in the order of the sidebar, which must name each notebook once."
    entries = list(listed(config["website"]["sidebar"]["contents"]))
    named = {source for source, _, _ in entries}
    there = {path.relative_to(nbs).as_posix() for path in notebooks(nbs)}
    if lost := named - there:
        raise Stop(f"_quarto.yml lists {', '.join(sorted(lost))}, not found in {nbs.name}")
    if lost := there - named:
        raise Stop(f"{', '.join(sorted(lost))} would have no link: _quarto.yml does not list it")
    return [read_page(nbs, *entry) for entry in entries]


def published_names(pages: list[Page]) -> dict[str, str]:
    "The name that each notebook is published under, by its path in nbs/ without the suffix."
    return {page.source.removesuffix(".ipynb"): page.name for page in pages}


def published(link: str, page: Page, names: dict[str, str]) -> str | None:
    "Where `link`, the path of a notebook without its suffix, leads from `page`; None if nowhere."
    folder = posixpath.dirname(page.name)
    name = names.get(posixpath.normpath(posixpath.join(folder, link)))
    return name and posixpath.relpath(name, folder or ".")
