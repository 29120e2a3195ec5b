"""A built site as Quarto would have written it: the pages' content in the frame that Quarto 1.10 puts around it.

No Quarto is needed. The frame in `quarto_frame/` is written after what Quarto writes: its sheets
for light and dark under one id, its scripts, and whatever of either has broken a page here.
`write` gives what comes out of the renderer, so `finish_site` and the checks have their work to do.
"""
import json
import re
import shutil
from pathlib import Path
from string import Template

FRAME = Path(__file__).with_name("quarto_frame")

LIGHT = dict(
    paper="#ffffff", ink="#343a40", line="#dee2e6", muted="#595959", faint="#6c757d", accent="#2780e3",
    code_paper="#f8f9fa", code_ink="#7d12ba", code_block="rgba(233,236,239,.65)", bar="#f8f9fa",
    bar_ink="#545555", side="#ffffff", crumbs="transparent", box="#ffffff", box_ink="#343a40",
)
# inline code is as Quarto 1.8 and newer leave it in the dark: light gray on light gray
DARK = dict(
    paper="#222222", ink="#ffffff", line="#444444", muted="#bfbfbf", faint="#6c757d", accent="#00bc8c",
    code_paper="#f8f9fa", code_ink="#dee2e6", code_block="rgba(68,68,68,.65)", bar="#adb5bd",
    bar_ink="#222222", side="#222222", crumbs="#444444", box="#ffffff", box_ink="#303030",
)
CODE = dict(
    text="#003B4F", comment="#5E5E5E", string="#20794D", number="#AD0000", word="#003B4F",
    function="#4758AB", operator="#5E5E5E", constant="#8f5902", error="#AD0000",
)
CODE_DARK = dict(
    text="#e1e4e8", comment="#959da5", string="#9ecbff", number="#79b8ff", word="#f97583",
    function="#b392f0", operator="#e1e4e8", constant="#79b8ff", error="#f97583",
)
# what pages with HTML outputs load besides
WIDGETS = """<script src="https://cdn.jsdelivr.net/npm/requirejs@2.3.6/require.min.js" integrity="sha384-c9c+" crossorigin="anonymous"></script>
<script src="https://cdn.jsdelivr.net/npm/jquery@3.5.1/dist/jquery.min.js" integrity="sha384-ZvpU" crossorigin="anonymous" data-relocate-top="true"></script>
<script type="application/javascript">define('jquery', [],function() {return window.jQuery;})</script>"""


def between(page: str, start: str, end: str) -> str:
    "What stands between two strings, without them."
    _, _, rest = page.partition(start)
    return rest.partition(end)[0]


def element(page: str, start: str, end: str) -> str: return start + between(page, start, end) + end


DOCUMENTED = re.compile(
    r'<div class="documented">\s*<h3 id="([^"]+)" class="anchored api"(.*?)</div>', re.S)
SECTION = (r'<div class="documented">\n<section id="\1" class="level3 api">'
           r'<h3 class="api anchored"\2</section></div>')


def lines(m) -> str:
    "The lines of a block of code, each in a span with a place to link to."
    number, code = m[2], m[4].split("\n")
    ids = (f"cb{number}-{i + 1}" for i in range(len(code)))
    anchored = (f'<span id="{i}"><a href="#{i}" aria-hidden="true" tabindex="-1"></a>{line}</span>'
                for i, line in zip(ids, code, strict=True))
    return m[1] + m[3] + "\n".join(anchored) + "</code>"


CODE_BLOCK = re.compile(
    r'(<div class="sourceCode" id="cb(\d+)">)(<pre[^>]*><code class="sourceCode[^>]*>)(.*?)</code>', re.S)


def content(page: str) -> str:
    "The content of a page as Quarto writes it: formulas and tables bare, and nothing of `finish_site`."
    main = between(page, '<main class="content" id="quarto-document-content">', "</main>")
    main = re.sub(r'<nav class="page-navigation">.*?</nav>', "", main, flags=re.S)
    main = re.sub(r'(class="minutes">\s*<p>[^<]*?) · <a.*?</p>', r"\1</p>", main, flags=re.S)
    main = re.sub(r'<span class="math (?:inline|display)">(<math.*?</math>)</span>', r"\1", main, flags=re.S)
    main = re.sub(r'<div class="sd-table">\s*(<table.*?</table>)\s*</div>', r"\1", main, flags=re.S)
    return CODE_BLOCK.sub(lines, DOCUMENTED.sub(SECTION, main))


def shaped(page: str, frame: Template, scheme: str) -> str:
    "A page of the built site in Quarto's frame."
    main = content(page)
    toc = element(page, '<nav id="TOC"', "</nav>") if '<nav id="TOC"' in page else ""
    toc = re.sub(r'(<a href="(#[^"]+)")', r'\1 data-scroll-target="\2"', toc.replace('<nav id="TOC"', '<nav id="TOC" role="doc-toc"', 1))
    return frame.substitute(
        title=between(page, "<title>", "</title>"), site="cadl_flax",
        description=between(page, '<meta name="description" content="', '"'),
        widgets=WIDGETS if "cell-output-display" in main else "", scheme=scheme,
        crumbs=element(page, '<ol class="breadcrumb">', "</ol>"),
        sidebar=element(page, '<nav id="quarto-sidebar"', "</nav>"), toc=toc, main=main,
        navigation=element(page, '<nav class="page-navigation">', "</nav>"),
        footer=between(page, '<div class="nav-footer-center">', "</div>"),
    )


def write(built: Path, out: Path):
    "Write the site in `built`, which smalldocs has rendered, into the new folder `out` as Quarto would have."
    libs, frame = out/"site_libs", Template((FRAME/"page.html").read_text())
    for name in ("bootstrap", "quarto-nav", "quarto-search", "quarto-html/tabsets"):
        (libs/name).mkdir(parents=True)
    scheme = (FRAME/"scheme.js").read_text()
    for path in built.glob("*.html"):
        (out/path.name).write_text(shaped(path.read_text(), frame, scheme))
    for name in ("search.json", "favicon.svg", "styles.css"):
        shutil.copy(built/name, out)

    sheet, code = Template((FRAME/"frame.css").read_text()), Template((FRAME/"highlighting.css").read_text())
    for suffix, theme, colours, words in (("", "default", LIGHT, CODE), ("-dark", "darkly", DARK, CODE_DARK)):
        base = (built/f"site_libs/themes/{theme}.min.css").read_text()
        (libs/f"bootstrap/bootstrap{suffix}-1.min.css").write_text(sheet.substitute(colours).replace("\n", base, 1))
        (libs/f"quarto-html/quarto-syntax-highlighting{suffix}-1.css").write_text(code.substitute(words))
    icons = built/"site_libs/bootstrap-icons"
    shutil.copytree(icons, libs/"bootstrap", dirs_exist_ok=True)
    (libs/"bootstrap/bootstrap-icons.min.css").rename(libs/"bootstrap/bootstrap-icons.css")
    shutil.copy(built/"site_libs/bootstrap/bootstrap.bundle.min.js", libs/"bootstrap/bootstrap.min.js")
    for folder, name in (("quarto-nav", "quarto-nav.js"), ("quarto-nav", "headroom.min.js"),
                         ("quarto-search", "quarto-search.js"), ("quarto-search", "autocomplete.umd.js"),
                         ("quarto-html", "quarto.js"), ("quarto-html/tabsets", "tabsets.js")):
        shutil.copy(FRAME/name, libs/folder)
    assert len(json.loads((out/"search.json").read_text())) > 20
