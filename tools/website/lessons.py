"What helps readers along: minutes, numbered captions, the short path, and the row of astronauts."

import base64
import html
import posixpath
import re

from website.api import DOCUMENTED
from website.pages import Page, directives, text

SHORT_PATH = [  # the notebooks that somebody short of time reads, in order
    "index.ipynb",
    "01_gradient_descent.ipynb",
    "02_linear_regression.ipynb",
    "04_minibatches.ipynb",
    "05_input_representation.ipynb",
    "06_activation_functions.ipynb",
    "08_painting.ipynb",
]
ON_PATH = "●"  # marks them in the sidebar
WORDS_A_MINUTE = 200
SECONDS_A_LINE = 8  # of code that is not folded
SECONDS_A_FIGURE = 20


# ------------------------------------------------------------------------------ reading time


def is_folded(cell: dict) -> bool:
    "Whether the code of a cell is closed until the reader opens it, as exported code is."
    own = directives(text(cell["source"]))
    return own.get("code-fold", "exports" in own and "open" not in own) is True


def pictures(cell: dict) -> list[str]:
    "The outputs of a cell that show a picture."
    kinds = [output.get("data", {}) for output in cell.get("outputs", [])]
    return [
        kind
        for kind in kinds
        if any(name.startswith("image/") for name in kind)
        or re.search(r"<img\b|<svg\b[^>]*\brole=.img", text(kind.get("text/html", "")))
    ]


def code_lines(cell: dict) -> list[str]:
    "The lines of a code cell that a reader reads."
    if directives(text(cell["source"])).get("echo") is False:
        return []
    lines = text(cell["source"]).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#|")]


def minutes(cells: list[dict]) -> int:
    """Reading time of what a page shows, at least a minute.

    Documentation of names is left out, and so is what is folded.
    """
    prose = [text(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    code = [c for c in cells if c["cell_type"] == "code"]
    n_words = sum(len(source.split()) for source in prose if not source.startswith(DOCUMENTED))
    n_lines = sum(len(code_lines(cell)) for cell in code if not is_folded(cell))
    n_figures = sum(len(pictures(cell)) for cell in code)
    seconds = SECONDS_A_LINE * n_lines + SECONDS_A_FIGURE * n_figures
    return max(1, round(n_words / WORDS_A_MINUTE + seconds / 60))


# ------------------------------------------------------------------------------ captions


def number_captions(cells: list[dict]) -> dict[str, int]:
    """Put the number of each figure before its caption, and a caption under films too.

    Returns the numbers by the id of the cell.
    """
    number, numbers = 0, {}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        caption = directives(text(cell["source"])).get("fig-cap")
        if not caption or not pictures(cell):
            continue
        number += 1
        numbers[cell.get("id")] = number
        caption = f"Figure {number}. {caption}".replace("`", "")  # a caption is plain text
        quoted = '"' + caption.replace("\\", "\\\\").replace('"', '\\"') + '"'
        line = re.compile(r"^#\| *fig-cap:.*$", re.M)
        cell["source"] = line.sub(lambda m: f"#| fig-cap: {quoted}", text(cell["source"]), count=1)
        for data in pictures(cell):
            if "text/html" in data:
                data["text/html"] = with_caption(text(data["text/html"]), caption)
    return numbers


def with_caption(film: str, caption: str) -> str:
    "HTML that shows a picture, with a caption before what may stand under it already."
    words = html.escape(caption)
    if "<figcaption>" in film:
        return film.replace("<figcaption>", f"<figcaption>{words} ", 1)
    return f'<figure class="figure">\n{film}\n<figcaption>{words}</figcaption>\n</figure>'


# ------------------------------------------------------------------------------ the short path


def next_on_path(source: str) -> str | None:
    "The notebook that follows on the short path, if there is one."
    if source not in SHORT_PATH[:-1]:
        return None
    return SHORT_PATH[SHORT_PATH.index(source) + 1]


def path_words(page: Page) -> str:
    "What stands beside the minutes of a page on the short path."
    if page.source not in SHORT_PATH[1:]:
        return ""
    at = SHORT_PATH.index(page.source)
    return f" · {at} of {len(SHORT_PATH) - 1} on the short path"


def next_cell(page: Page, pages: list[Page]) -> dict | None:
    "The link at the end of a page to what follows on the short path."
    source = next_on_path(page.source)
    following = next((other for other in pages if other.source == source), None)
    if following is None:
        return None
    words = f"{following.number} {following.title}"
    link = f"::: {{.next}}\nNext on the short path: [{words}]({following.name}.html)\n:::"
    return dict(cell_type="markdown", id="next", metadata={}, source=link)


# ------------------------------------------------------------------------------ astronauts

ROW = "<!-- the row of astronauts -->"  # where a page that is no lesson shows it


def astronaut(page: Page, cells: list[dict]) -> dict | None:
    "The picture, the words and the score in the cell of a page that has `#| strip`."
    for cell in cells:
        words = (
            directives(text(cell["source"])).get("strip") if cell["cell_type"] == "code" else None
        )
        if words is None:
            continue
        printed = "".join(text(output.get("text", "")) for output in cell["outputs"])
        shown = [
            o["data"]["image/png"] for o in cell["outputs"] if "image/png" in o.get("data", {})
        ]
        if len(shown) == 1 and printed.strip():
            picture = base64.b64decode(text(shown[0]))
            return dict(page=page, words=words, score=printed.strip(), picture=picture)
    return None


def astronauts(pages: list[Page]) -> list[dict]:
    "What each page makes of the same picture, in the order of the pages."
    from execnb.nbio import read_nb

    found = [astronaut(page, read_nb(page.path).cells) for page in pages if page.number]
    return [one for one in found if one]


def strip_place(page: Page) -> str:
    "The file of a page's astronaut, from the top of the site."
    return posixpath.join("strip", f"{page.number}.png")


def strip_source(page: Page, row: list[dict]) -> str:
    "The row of astronauts, each a link to its page, with this page's framed."
    items = []
    for one in row:
        other = one["page"]
        here = ' aria-current="page"' if other.source == page.source else ""
        alt = html.escape(f"The astronaut of page {other.number}, {one['words']}")
        items.append(
            f'<li><a href="{page.up}{other.name}.html"{here}>'
            f'<img src="{page.up}{strip_place(other)}" alt="{alt}" width="64" height="64">'
            f"<span>{other.number} · {html.escape(one['score'])}</span>"
            f"<span>{html.escape(one['words'])}</span></a></li>"
        )
    label = "The same picture on the pages that paint it"
    return f'<nav class="strip" aria-label="{label}"><ol>{"".join(items)}</ol></nav>'


def strip_cell(page: Page, row: list[dict]) -> dict | None:
    "The row of astronauts under the title of a lesson."
    if not row or not page.number:
        return None
    return dict(cell_type="markdown", id="strip", metadata={}, source=strip_source(page, row))
