"""Notebooks as Markdown, by nbconvert: twins of the pages, llms.txt, and README.md.

All three show what a page shows: what is hidden is left out, and outputs stand under their code.
"""

import base64
import html
import json
import re
from collections.abc import Callable
from pathlib import Path, PurePath

import nbformat

from website.pages import Page, directives, page_name, published, published_names, text
from website.project import ROOT, address
from website.reference import with_reference

# every part ends with an empty line
TEMPLATE = """
{%- extends 'null.j2' -%}
{%- macro fence(content, language='') %}```{{ language }}
{{ content }}
```

{% endmacro -%}
{%- block markdowncell %}{{ cell.source }}

{% endblock markdowncell -%}
{%- block input -%}
{%- if cell.source and cell.metadata.summary %}<details>
<summary>{{ cell.metadata.summary }}</summary>

{{ fence(cell.source, 'python') }}</details>

{% elif cell.source %}{{ fence(cell.source, 'python') }}{% endif -%}
{%- endblock input -%}
{%- block stream %}{{ fence(output.text.rstrip()) }}{% endblock stream -%}
{%- block execute_result %}{{ self.display_data() }}{% endblock execute_result -%}
{%- block display_data -%}
  {%- if 'text/markdown' in output.data %}{{ output.data['text/markdown'].strip() }}

{% else %}{{ fence(output.data['text/plain'].rstrip()) }}{% endif -%}
{%- endblock display_data -%}
"""


def is_shown(cell) -> bool:
    "Whether a cell appears on its page."
    if cell.cell_type != "code":
        return cell.cell_type == "markdown" and bool(cell.source.strip())
    options = directives(cell.source)
    hidden = {"hide", "export", "exporti", "default_exp"} & options.keys()
    return not hidden and options.get("include") is not False


def is_picture(data: dict) -> bool:
    return any(kind == "text/html" or kind.startswith("image/") for kind in data)


def prepare_prose(cell, relink: Callable[[str], str]):
    "Change the targets of links, and leave out Quarto's fences."
    links = r"(\]\(|href=\")([^)\"#\s]+)"
    source = re.sub(links, lambda m: m[1] + relink(m[2]), cell.source)
    cell.source = re.sub(r"^:::.*\n?", "", source, flags=re.M).strip()


def prepare_code(cell, figure: Callable[[dict, dict, str], str]):
    "Leave out what the directives of the cell say, and put Markdown in place of its pictures."
    options = directives(cell.source)
    code = re.sub(r"^#\|.*\n?", "", cell.source, flags=re.M).strip()
    cell.source = "" if options.get("echo") is False else code
    if options.get("code-fold") is True:
        cell.metadata["summary"] = html.escape(str(options.get("code-summary", "code")))
    if options.get("output") is False:
        cell.outputs = []
    for output in cell.outputs:
        data = output.get("data", {})
        if is_picture(data):
            shown = figure(cell, data, options.get("fig-alt", ""))
            caption = options.get("fig-cap", "")
            output.data = {"text/markdown": "\n\n".join(filter(None, [shown, caption]))}
    cell.outputs = [o for o in cell.outputs if o.get("data", {}).get("text/markdown") != ""]


def markdown(path: Path, relink: Callable[[str], str], figure, pages: list[Page] = ()) -> str:
    """The notebook at `path` as Markdown.

    `relink` changes the target of a link. `figure` gives Markdown for an output with pictures, from
    the cell, the output's data and the alternative text. The list of public names is of `pages`.
    """
    from nbconvert import MarkdownExporter

    nb = nbformat.read(path, 4)
    nb.cells = with_reference(nb.cells, pages, nbformat.v4.new_markdown_cell, with_source=False)
    nb.cells = [cell for cell in nb.cells if is_shown(cell)]
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            prepare_prose(cell, relink)
        else:
            prepare_code(cell, figure)
    page, _ = MarkdownExporter(raw_template=TEMPLATE).from_notebook_node(nb)
    return page.strip() + "\n"


# ---------------------------------------------------------------------- for reading machines


def described(cell: dict, data: dict, alt: str) -> str:
    "What a picture shows, in words."
    page = data.get("text/html", "")
    alts = [alt] if alt else map(html.unescape, re.findall(r'<img[^>]*\balt="([^"]+)"', page))
    figures = [f"*Figure: {a}*" for a in dict.fromkeys(alts)]
    shown = re.sub(r"<(style|script|svg).*?</\1>|<[^>]+>", " ", page, flags=re.S)
    words = " ".join(html.unescape(shown).split())
    return "\n\n".join(filter(None, [*figures, words]))


def twin(page: Page, pages: list[Page]) -> str:
    "The Markdown twin of a page: links lead to other twins, and pictures are in words."

    names = published_names(pages)

    def relink(target: str) -> str:
        stem = target.removesuffix(".ipynb")
        found = published(stem, page, names) if stem != target else None
        return f"{found}.md" if found else target

    return markdown(page.path, relink, described, pages)


def llms(pages: list[Page]) -> str:
    "`llms.txt`: what the project is, and a link to the twin of each page with what it says."
    from nbdev.config import get_config

    what = "notebook; these are their texts, code and printed results as Markdown."
    parts = [f"# {get_config().title}", f"> {get_config().description}"]
    parts.append(f"Each page of the course is a {what}")
    for section in dict.fromkeys(page.section for page in pages):
        parts.append(f"## {section or 'Start'}")
        entries = [
            f"- [{f'{page.number} {page.title}'.strip()}]({page.name}.md): {page.summary}"
            for page in pages
            if page.section == section
        ]
        parts.append("\n".join(entries))
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------------- README.md


class Pictures:
    "The pictures of a notebook as files."

    def __init__(self, folder: str):
        self.folder, self.files = folder, {}

    def keep(self, cell: dict, kind: str, data: str) -> str:
        "Keep a picture, and return its path."
        suffix = {"jpeg": "jpg", "svg+xml": "svg"}.get(kind, kind)
        path = f"{self.folder}/{cell['id']}-{len(self.files)}.{suffix}"
        is_text = suffix == "svg" and "<svg" in data
        self.files[path] = data.encode() if is_text else base64.b64decode(data)
        return path

    def figure(self, cell: dict, data: dict, alt: str) -> str:
        "Markdown that shows an output with pictures from files."
        embedded = r"data:image/([\w+.-]+);base64,([A-Za-z0-9+/=\s]+)"
        if "text/html" in data:
            return re.sub(embedded, lambda m: self.keep(cell, m[1], m[2]), data["text/html"])
        kind = "image/png" if "image/png" in data else next(k for k in data if "image/" in k)
        return f"![{alt}]({self.keep(cell, kind.removeprefix('image/'), data[kind])})"


def is_played(path: Path) -> bool:
    "Whether all that a notebook shows of its code are figures that are experiments."
    content = path.read_text(encoding="utf-8")
    cells = json.loads(content).get("cells", []) if content else []
    found = [directives(text(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    shown = [own for own in found if "hide" not in own]
    return bool(shown) and all("experiment" in own for own in shown)


def lead_to_scripts(page: str, root: Path = ROOT) -> str:
    """Links to notebooks that are there to be played with lead to the site, where their scripts run.

    GitHub shows notebooks, and runs no script in them. A project that is published nowhere says
    how to build the site.
    """
    from nbdev.config import get_config

    home = address(get_config()).rstrip("/")

    def lead(m):
        words, target = m["words"] or m["button"], m["target"] or m["behind"]
        notebook = root / target
        if not notebook.is_file() or not is_played(notebook):
            return m[0]
        name = page_name(PurePath(target).relative_to("nbs"))
        if home:
            return f"[{words}]({home}/{name}.html)"
        how = f"`python tools/site.py`, then open `_docs/{name}.html`"
        return f"{words} (on the built site: {how})"

    target = r"nbs/[\w/]+\.ipynb"
    link = rf"\[(?P<words>[^\[\]]+)\]\((?P<target>{target})[^)]*\)"
    button = rf'<a class="button[^"]*" href="(?P<behind>{target})">(?P<button>[^<]+)</a>'
    return re.sub(f"{link}|{button}", lead, page)


def readme(root: Path = ROOT) -> dict[str, bytes]:
    "README.md and its pictures, by path, as nbs/index.ipynb gives them."

    def relink(target: str) -> str:
        # README.md stands in the folder above the notebook's
        return f"nbs/{target}" if (root / "nbs" / target).is_file() else target

    pictures = Pictures("README_files")
    page = markdown(root / "nbs/index.ipynb", relink, pictures.figure)
    return {"README.md": lead_to_scripts(page, root).encode(), **pictures.files}


def write_readme(check: bool, root: Path = ROOT) -> list[str]:
    """Write what `readme` gives and remove other pictures; the names of the files that differ.

    With `check`, nothing is written.
    """
    files = readme(root)
    stored = [root / "README.md", *(root / "README_files").rglob("*")]
    there = {p.relative_to(root).as_posix(): p.read_bytes() for p in stored if p.is_file()}
    differ = sorted(p for p in there | files if there.get(p) != files.get(p))
    for path in () if check else differ:
        if path not in files:
            (root / path).unlink()
        else:
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_bytes(files[path])
    return differ
