"What a rendered page lacks: formulas, downloads, Markdown twins, and work without a network."

import base64
import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from downloads import download, in_colab

from website.experiments import FOLDER, printed_data, script_tags, write_scripts
from website.lessons import astronauts, strip_place
from website.markdown import llms, twin
from website.pages import Page
from website.project import ROOT, Stop, repository
from website.reach import drop_icons, reachable
from website.search import OTHERS, write_search

# web fonts of the themes, however they are asked for: @import url(https://…), @import"https://…"
FONTS = re.compile(r"""@import\s*(?:url\(\s*)?(["']?)(?:https?:)?//[^"')]*\1\s*\)?[^;{}]*;?""")
REMOTE = re.compile(r'<(?:link|script)\b[^>]*(?:href|src)="(?:https?:)?//[^>]*>(?:\s*</script>)?')
# Quarto hands jQuery from the network to require.js from the network; without them this is an error
DEFINE = re.compile(r"""<script\b[^>]*>\s*define\(\s*['"]jquery['"].*?</script>""", re.S)
# its header hides on the way down, and with it the search and the switch to dark
HEADROOM = re.compile(r'<script\b[^>]*src="[^"]*/headroom\.min\.js"[^>]*></script>')
# its formulas and tables stand bare, where smalldocs' stand in boxes that scroll
BARE = re.compile(r'(?<!<span class="math display">)<math\b[^>]*\bdisplay="block".*?</math>', re.S)
BOX = '<div class="sd-table">'
TABLE = re.compile(rf"(?<!{BOX})(?<!{BOX}\n)<table\b.*?</table>", re.S)
# each of its lines of code begins with an empty link to itself, which nobody can see or click
LINE = re.compile(r'<a href="#cb\d+-\d+" aria-hidden="true" tabindex="-1"></a>')
FORMULA = re.compile(r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>', re.S)
MODULE = re.compile(r'<script(?=[^>]*\btype="module")[^>]*\bsrc="([^":]+)"[^>]*></script>')
IMPORTED = re.compile(r"""(\b(?:from|import)\s*(["']))(\.\.?/[^"']+)\2""")
HEAD = (
    """<script src="{0}site.js" defer></script>"""
    """<script src="{0}search.js" defer></script>"""
)


# ------------------------------------------------------------------------------ formulas


def mathml(formulas: list[tuple[str, str]]) -> list[str]:
    "MathML for each (inline or display, TeX), in one call of pandoc."
    import pypandoc

    if not formulas:
        return []
    marks = {"inline": "$", "display": "$$"}
    tex = "\n\n".join(f"{marks[kind]}{x.strip()}{marks[kind]}" for kind, x in formulas)
    page = pypandoc.convert_text(tex, "html", "markdown", ["--mathml", "--wrap=none"])
    # a space after the name of a function: "tanh s", not "tanhs"
    applied = r"(<mo>&#8289;</mo>)(?=</mrow>(?!<mo[^>]*>\(|<mspace))"
    space = r'\1<mspace width="0.167em"></mspace>'
    found = [re.sub(applied, space, f) for f in re.findall(r"<p>(.*?)</p>", page, re.S)]
    bad = [x for (_, x), m in zip(formulas, found, strict=True) if "<math" not in m]
    if bad:
        raise Stop(f"not a formula that pandoc reads: {bad[0]}")
    return found


def all_formulas(pages: list[str]) -> Iterator[str]:
    "MathML for the formulas of all pages, in order."
    found = [m for page in pages for m in FORMULA.finditer(page)]
    return iter(mathml([(m[1], html.unescape(m[2])) for m in found]))


# ------------------------------------------------------------------------------ from disk


def module_content(path: Path) -> str:
    "A JavaScript module with what it imports as addresses that hold the imported content."

    def address(m):
        content = module_content(path.parent / m[3]).encode()
        return f"{m[1]}data:text/javascript;base64,{base64.b64encode(content).decode()}{m[2]}"

    return IMPORTED.sub(address, path.read_text(encoding="utf-8"))


def inline_modules(page: str, folder: Path) -> str:
    "Put the modules that a page in `folder` loads into the page: from disk a browser loads none."

    def script(m):
        content = module_content(folder / m[1]).replace("</script", "<\\/script")
        return f'<script type="module">{content}</script>'

    return MODULE.sub(script, page)


def self_contained(page: str, formulas: Iterator[str]) -> str:
    "A page whose formulas are drawn and whose wide parts scroll, without network or hidden links."
    page = FORMULA.sub(lambda m: f'<span class="math {m[1]}">{next(formulas)}</span>', page)
    page = BARE.sub(r'<span class="math display">\g<0></span>', page)
    page = TABLE.sub(rf"{BOX}\g<0></div>", page)
    page = LINE.sub("", OTHERS.sub("", page))
    return HEADROOM.sub("", DEFINE.sub("", REMOTE.sub("", page)))


# ------------------------------------------------------------------------------ downloads


def colab(page: Page) -> str:
    'A link that opens a page of a published project in Colab, and what to run there first; or "".'
    from nbdev.config import get_config

    url = repository()
    project = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", url)
    if not project:
        return ""
    notebook = page.path.relative_to(ROOT)
    place = f"{project[1]}/blob/{get_config().branch}/{notebook.as_posix()}"
    goal = f"https://colab.research.google.com/github/{place}"
    return f'<a href="{goal}">Open in Colab</a> {in_colab(url, notebook.parent.as_posix())}'


def offer(page: Page, site: Path, pages: list[Page]) -> str:
    "Put the notebook of a page and its Markdown twin into the site; links to them."
    notebook, markdown = f"notebooks/{page.source}", f"{page.name}.md"
    (site / notebook).parent.mkdir(parents=True, exist_ok=True)
    (site / notebook).write_text(download(page.path, repository()), encoding="utf-8")
    (site / markdown).write_text(twin(page, pages), encoding="utf-8")
    links = [
        f'<a href="{page.up}{notebook}" download>Download this notebook</a>',
        f'<a href="{Path(markdown).name}">Markdown</a>',
        colab(page),
    ]
    return "".join(f" · {link}" for link in links if link)


# ------------------------------------------------------------------------------ all of a site


def finish_page(path: Path, page: str, site: Path, links: str, data: dict[str, object]) -> str:
    """A page with `links` beside its reading minutes, and the scripts that make it work from disk.

    `data` are those of all experiments, by name.
    """
    head = ""
    if links:
        head = f'<link rel="alternate" type="text/markdown" href="{path.stem}.md">'
        beside = re.compile(r'class="minutes">\s*<p>[^<]*')
        page = beside.sub(lambda m: m[0].rstrip() + links, page, count=1)
    up = "../" * (len(path.relative_to(site).parts) - 1)
    page = inline_modules(page, path.parent)
    experiments = script_tags(page, up, ROOT / "nbs" / FOLDER, data)
    return page.replace("</head>", head + HEAD.format(up) + experiments + "</head>", 1)


def finish_site(site: Path, pages: list[Page]):
    "Make pages and search work without a network; add downloads, twins, astronauts and llms.txt."
    rendered = {path: path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))}
    formulas = all_formulas(list(rendered.values()))
    known = {page.name: page for page in pages}
    data = printed_data(pages)
    for path, content in rendered.items():
        name = path.relative_to(site).with_suffix("").as_posix()
        links = offer(known[name], site, pages) if name in known else ""
        page = finish_page(path, self_contained(content, formulas), site, links, data)
        path.write_text(reachable(page), encoding="utf-8")
    drop_icons(site)
    for path in site.rglob("*.css"):
        path.write_text(FONTS.sub("", path.read_text(encoding="utf-8")))
    write_search(site, ROOT / "nbs", pages)
    for path in (ROOT / "nbs").iterdir():
        if path.suffix in (".js", ".woff2", ".txt"):
            shutil.copy(path, site)
    write_scripts(ROOT / "nbs", site, data)
    for one in astronauts(pages):
        path = site / strip_place(one["page"])
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(one["picture"])
    (site / "llms.txt").write_text(llms(pages), encoding="utf-8")
