"""A built site as Quarto would have written it: its pages in the frame of Quarto 1.10.

No Quarto is needed. The frame in `quarto_frame/` is written after what Quarto writes: its sheets
for light and dark under one id, its scripts, and whatever of either has broken a page here.
`write` gives what comes out of the renderer, so `finish_site` and the checks have their work to do.
"""

import json
import re
import shutil
from pathlib import Path
from string import Template

import smalldocs

FRAME = Path(__file__).with_name("quarto_frame")

LIGHT = dict(
    paper="#ffffff",
    ink="#343a40",
    line="#dee2e6",
    muted="#595959",
    faint="#6c757d",
    accent="#2780e3",
    code_paper="#f8f9fa",
    code_ink="#7d12ba",
    code_block="rgba(233,236,239,.65)",
    bar="#f8f9fa",
    bar_ink="#545555",
    side="#ffffff",
    crumbs="transparent",
    box="#ffffff",
    box_ink="#343a40",
)
# inline code is as Quarto 1.8 and newer leave it in the dark: light gray on light gray
DARK = dict(
    paper="#222222",
    ink="#ffffff",
    line="#444444",
    muted="#bfbfbf",
    faint="#6c757d",
    accent="#00bc8c",
    code_paper="#f8f9fa",
    code_ink="#dee2e6",
    code_block="rgba(68,68,68,.65)",
    bar="#adb5bd",
    bar_ink="#222222",
    side="#222222",
    crumbs="#444444",
    box="#ffffff",
    box_ink="#303030",
)
CODE = dict(
    text="#003B4F",
    comment="#5E5E5E",
    string="#20794D",
    number="#AD0000",
    word="#003B4F",
    function="#4758AB",
    operator="#5E5E5E",
    constant="#8f5902",
    error="#AD0000",
)
CODE_DARK = dict(
    text="#e1e4e8",
    comment="#959da5",
    string="#9ecbff",
    number="#79b8ff",
    word="#f97583",
    function="#b392f0",
    operator="#e1e4e8",
    constant="#79b8ff",
    error="#f97583",
)
# what pages with HTML outputs load besides
CDN = "https://cdn.jsdelivr.net/npm"
WIDGETS = f"""\
<script src="{CDN}/requirejs@2.3.6/require.min.js" integrity="sha384-c9c+" crossorigin="anonymous">\
</script>
<script src="{CDN}/jquery@3.5.1/dist/jquery.min.js" integrity="sha384-ZvpU" \
crossorigin="anonymous" data-relocate-top="true"></script>
<script type="application/javascript">\
define('jquery', [],function() {{return window.jQuery;}})</script>"""


def between(page: str, start: str, end: str) -> str:
    "What stands between two strings, without them."
    _, _, rest = page.partition(start)
    return rest.partition(end)[0]


def element(page: str, start: str, end: str) -> str:
    return start + between(page, start, end) + end


DOCUMENTED = re.compile(
    r'<div class="documented">\s*<h3 id="([^"]+)" class="anchored api"(.*?)</div>', re.S
)
SECTION = (
    r'<div class="documented">\n<section id="\1" class="level3 api">'
    r'<h3 class="api anchored"\2</section></div>'
)


def lines(m) -> str:
    "The lines of a block of code, each in a span with a place to link to."
    number, code = m[2], m[4].split("\n")
    ids = (f"cb{number}-{i + 1}" for i in range(len(code)))
    anchored = (
        f'<span id="{i}"><a href="#{i}" aria-hidden="true" tabindex="-1"></a>{line}</span>'
        for i, line in zip(ids, code, strict=True)
    )
    return m[1] + m[3] + "\n".join(anchored) + "</code>"


CODE_BLOCK = re.compile(
    r'(<div class="sourceCode" id="cb(\d+)">)(<pre[^>]*><code class="sourceCode[^>]*>)(.*?)</code>',
    re.S,
)
BOXED_FORMULA = re.compile(r'<span class="math (?:inline|display)">(<math.*?</math>)</span>', re.S)
BOXED_TABLE = re.compile(r'<div class="sd-table">\s*(<table.*?</table>)\s*</div>', re.S)


def content(page: str) -> str:
    "The content of a page as Quarto writes it: formulas and tables bare, nothing of `finish_site`."
    main = between(page, 'id="quarto-document-content" tabindex="-1">', "</main>")
    main = re.sub(r'<nav class="page-navigation"[^>]*>.*?</nav>', "", main, flags=re.S)
    main = re.sub(r'(class="minutes">\s*<p>[^<]*?) · <a.*?</p>', r"\1</p>", main, flags=re.S)
    main = BOXED_TABLE.sub(r"\1", BOXED_FORMULA.sub(r"\1", main))
    return CODE_BLOCK.sub(lines, DOCUMENTED.sub(SECTION, main))


def contents(page: str) -> str:
    "The table of contents of a page, as Quarto writes it."
    if '<nav id="TOC"' not in page:
        return ""
    toc = element(page, '<nav id="TOC"', "</nav>")
    toc = toc.replace('<nav id="TOC"', '<nav id="TOC" role="doc-toc"', 1)
    return re.sub(r'(<a href="(#[^"]+)")', r'\1 data-scroll-target="\2"', toc)


SECTION_BUTTON = re.compile(
    r'<button type="button"([^>]*\bdata-bs-toggle="collapse"[^>]*?) aria-controls="[^"]*">(.*?)</button>',
    re.S,
)
SECTION_ARROW = re.compile(
    r'<span([^>]*\bdata-bs-toggle="collapse"[^>]*?) aria-hidden="true">(.*?)</span>', re.S
)


def sidebar(page: str) -> str:
    "The sidebar, whose toggles are links that lead nowhere."
    nav = element(page, '<nav id="quarto-sidebar"', "</nav>")
    nav = SECTION_BUTTON.sub(r'<a\1 role="navigation">\2</a>', nav)
    label = 'role="navigation" aria-label="Toggle section"'
    return SECTION_ARROW.sub(rf"<a\1 {label}>\2</a>", nav)


def shaped(page: str, frame: Template, scheme: str, up: str) -> str:
    "A page of the built site in Quarto's frame; `up` leads to the top of the site."
    main = content(page)
    return frame.substitute(
        title=between(page, "<title>", "</title>"),
        site="cadl_flax",
        description=between(page, '<meta name="description" content="', '"'),
        widgets=WIDGETS if "cell-output-display" in main else "",
        scheme=scheme,
        up=up,
        offset=up or "./",
        crumbs=element(page, '<ol class="breadcrumb">', "</ol>"),
        sidebar=sidebar(page),
        toc=contents(page),
        main=main,
        navigation=element(page, '<nav class="page-navigation"', "</nav>"),
        footer=between(page, '<div class="nav-footer-center">', "</div>"),
    )


def write_pages(built: Path, out: Path):
    "Write the pages, in folders as in `built`."
    frame = Template((FRAME / "page.html").read_text())
    scheme = (FRAME / "scheme.js").read_text()
    for path in built.rglob("*.html"):
        place = path.relative_to(built)
        up = "../" * (len(place.parts) - 1)
        (out / place).parent.mkdir(parents=True, exist_ok=True)
        (out / place).write_text(shaped(path.read_text(), frame, scheme, up))


def write_sheets(built: Path, libs: Path):
    "Write the sheets for light and dark: Quarto's frame around the themes that `built` has."
    sheet = Template((FRAME / "frame.css").read_text())
    code = Template((FRAME / "highlighting.css").read_text())
    themes = [("", "default", LIGHT, CODE), ("-dark", "darkly", DARK, CODE_DARK)]
    for suffix, theme, colours, words in themes:
        base = (built / f"site_libs/themes/{theme}.min.css").read_text()
        page_sheet = sheet.substitute(colours).replace("\n", base, 1)
        (libs / f"bootstrap/bootstrap{suffix}-1.min.css").write_text(page_sheet)
        code_sheet = libs / f"quarto-html/quarto-syntax-highlighting{suffix}-1.css"
        code_sheet.write_text(code.substitute(words))


SCRIPTS = {
    "quarto-nav": ["quarto-nav.js", "headroom.min.js"],
    "quarto-search": ["quarto-search.js", "autocomplete.umd.js"],
    "quarto-html": ["quarto.js"],
    "quarto-html/tabsets": ["tabsets.js"],
}


def write(built: Path, out: Path):
    "Write the site in `built`, which smalldocs has rendered, into the new folder `out`."
    libs = out / "site_libs"
    for name in ("bootstrap", *SCRIPTS):
        (libs / name).mkdir(parents=True, exist_ok=True)
    write_pages(built, out)
    for name in ("search.json", "favicon.svg", "styles.css"):
        shutil.copy(built / name, out)
    write_sheets(built, libs)
    bootstrap, rendered = libs / "bootstrap", built / "site_libs"
    vendored = Path(smalldocs.__file__).with_name("assets") / "vendor"
    shutil.copytree(vendored / "bootstrap-icons", bootstrap, dirs_exist_ok=True)
    (bootstrap / "bootstrap-icons.min.css").rename(bootstrap / "bootstrap-icons.css")
    shutil.copy(rendered / "bootstrap/bootstrap.bundle.min.js", bootstrap / "bootstrap.min.js")
    for folder, names in SCRIPTS.items():
        for name in names:
            shutil.copy(FRAME / name, libs / folder)
    assert json.loads((out / "search.json").read_text())
