"""The built site: pages, links, documentation, mathematics, and how it does in a browser.

All of it is asked of two sites: the one that is built here, and the same in the shape that Quarto
gives it. CADL_FLAX_SITE names a folder with a site that is built already.
"""

import html
import json
import os
import re
import shutil
import unicodedata
from pathlib import Path

import pytest
from conftest import installed
from site_helpers import (
    NOTEBOOKS,
    cells,
    listed_notebooks,
    name_of,
    page,
    run,
    served,
    source_of,
    up,
    visible,
    visit,
)

from downloads import download
from website.check import faults
from website.pages import directives, page_name, text
from website.project import repository

every_page = pytest.mark.parametrize("path", NOTEBOOKS, ids=source_of)


def test_no_faults(site):
    assert faults(site) == []


# ---------------------------------------------------------------------- Quarto


def test_what_quarto_writes_is_not_fit_to_publish(raw):
    "The recorded shape holds what `finish_site` is for: without it, this would be published."
    found = faults(raw)
    assert any("requirejs" in fault for fault in found)
    assert any("jquery" in fault for fault in found)
    fonts = "https://fonts.googleapis.com/css2 is loaded from the network"
    sheets = {f"site_libs/bootstrap/bootstrap{mode}-1.min.css: {fonts}" for mode in ("", "-dark")}
    assert {fault for fault in found if "googleapis" in fault} == sheets
    assert len(json.loads((raw / "search.json").read_text())) > 20
    formulas = page(raw, "linear_regression")
    assert '<p><math display="block"' in formulas.replace("\n", "")


def test_one_id_for_three_sheets_is_no_fault(raw):
    assert page(raw, "input_representation").count('id="quarto-bootstrap"') == 3
    found = faults(raw)
    assert not [f for f in found if "quarto-bootstrap" in f or "highlighting-styles" in f]


@pytest.fixture
def quarto(tmp_path):
    "A program `quarto` that runs the given lines, and the PATH that finds it."

    def program(lines):
        path = tmp_path / "bin/quarto"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        return f"{path.parent}:{os.environ['PATH']}"

    return program


def test_the_program_quarto_is_run(raw, tmp_path, quarto):
    "All is well with a program that writes the recorded shape, and its warnings are passed on."
    path = quarto(f"""
test "$1" = render && test "$3" = --no-execute && test -f "$2/pictures.ipynb" || exit 3
echo '[ 1/23] pictures.ipynb'
echo 'WARN: Unable to resolve link target: x.py'
cp -r '{raw}' "$2/_site" """)
    done = run("--quarto", "--out", tmp_path / "site", PATH=path)
    warning, built, found = done.stdout.splitlines()
    assert (done.returncode, found) == (0, "0 faults"), done.stdout + done.stderr
    assert warning == "WARN: Unable to resolve link target: x.py"
    assert f"{len(NOTEBOOKS)} pages" in built


def test_what_quarto_says_when_it_fails_is_passed_on(tmp_path, quarto):
    path = quarto("echo 'ERROR: YAMLException'; exit 1")
    done = run("--quarto", "--out", tmp_path / "site", PATH=path)
    assert done.returncode == 2
    assert done.stderr == "site.py: quarto render failed\nERROR: YAMLException\n\n"


def test_nothing_of_the_network_is_left(site):
    "Whatever it is called: no sheet, script, font or address of a library that is fetched."
    remote = r"""(?:src|@import|\burl\(|<link[^>]*href)\s*=?\s*["'(]?\s*(?:https?:)?//"""
    fetched = r"requirejs|require\.min\.js|define\('jquery'|fonts\.googleapis"
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        loading = re.sub(r"<a\b[^>]*>|<code.*?</code>", "", path.read_text(), flags=re.S)
        assert not re.search(remote, loading), path.name
        assert not re.search(fetched, loading), path.name


# ---------------------------------------------------------------------- each page


@every_page
def test_a_page_has_its_title(site, path):
    shown = page(site, name_of(path))
    titles = (re.match(r"# (.+)", source) for source, _ in cells(path, "markdown"))
    title = next(found[1] for found in titles if found)
    assert html.unescape(re.search(r"<title>(.*?)</title>", shown)[1]).startswith(title)
    assert title in visible(re.search(r"<h1.*?</h1>", shown)[0])


@every_page
def test_a_page_offers_its_notebook(site, path):
    name = name_of(path)
    goal = f"{up(name)}notebooks/{source_of(path)}"
    minutes = r'class="minutes">\s*<p>(Page \d+ · )?\d+ min( · \d of 6 on the short path)?'
    assert re.search(rf'{minutes} · <a href="{goal}" download', page(site, name))
    offered = (site / "notebooks" / source_of(path)).read_text(encoding="utf-8")
    assert offered == download(path, repository())


@every_page
def test_the_sidebar_of_a_page_leads_to_all_pages(site, path):
    name = name_of(path)
    shown = page(site, name)
    start, end = shown.index('id="quarto-sidebar"'), shown.index('id="quarto-sidebar-glass"')
    links = re.findall(r'href="([^"#]+\.html)"', shown[start:end])
    here = (site / name).parent
    found = [(here / link).resolve().relative_to(site.resolve()).as_posix() for link in links]
    assert found == [f"{page_name(Path(source))}.html" for source in listed_notebooks()]


@every_page
def test_the_header_of_a_page_leads_home(site, path):
    name = name_of(path)
    shown = page(site, name)
    header = shown[: shown.index('id="quarto-sidebar"')]
    assert re.search(rf'href="(\./)?{up(name)}index.html"', header)


@every_page
def test_the_footer_of_a_page_says_what_built_it(site, path):
    shown = page(site, name_of(path))
    footer = visible(shown[shown.index("<footer") :])
    project = r"cadl_flax \d+\.\d+\.\d+, (commit \S+, )?"
    assert re.search(rf"{project}built with Python 3\.\d+\.\d+, jax \d", footer)


def exported(path):
    "The sources of the cells that a page exports and shows."
    shown = [s for s, _ in cells(path) if re.search(r"^#\| exports", s, re.M)]
    return [s for s in shown if not re.search(r"^#\| hide", s, re.M)]


@every_page
def test_exported_source_stands_in_folds(site, path):
    "Closed, unless the cell says that it is `open`; the summary names what is inside."
    shown = html.unescape(page(site, name_of(path)))
    for source in exported(path):
        names = re.findall(r"^(?:def|class) ([a-zA-Z]\w*)", source, re.M)
        is_open = re.search(r"^#\| open$", source, re.M)
        summary = f"source of {', '.join(names)}" if names else "(imports|source)"
        start = f"<details{' open(?:=..)?' if is_open else ''} class=.code-fold.>"
        assert re.search(rf"{start}\s*<summary>{summary}</summary>", shown), source


@every_page
def test_exported_names_have_headings(site, path):
    shown = page(site, name_of(path))
    for source in exported(path):
        for name in re.findall(r"^(?:def|class) ([a-zA-Z]\w*)", source, re.M):
            assert heading(shown, name), name


@every_page
def test_figures_have_their_words(site, path):
    shown = html.unescape(page(site, name_of(path)))
    for source, _ in cells(path):
        alt = directives(source).get("fig-alt")
        assert not alt or f'alt="{alt}"' in shown or f'aria-label="{alt}"' in shown


@every_page
def test_hidden_cells_are_not_shown(site, path):
    shown = visible(page(site, name_of(path)))
    for source, _ in cells(path):
        if re.search(r"^#\| hide$", source, re.M):
            assert max(source.splitlines(), key=len) not in shown


@every_page
def test_films_are_in_the_page(site, path):
    shown = page(site, name_of(path))
    outputs = [output for _, cell in cells(path) for output in cell["outputs"]]
    for output in outputs:
        content = text(output.get("data", {}).get("text/html"))
        film = re.search(r"data:image/\w+;base64,[A-Za-z0-9+/=]+", content)
        if film:
            assert film[0] in shown
            assert len(film[0]) < 4 / 3 * 150_000


def test_mathematics(site):
    shown = re.sub(r"<script.*?</script>", "", page(site, "gradient_descent"), flags=re.S)
    assert shown.count("<math") >= 10
    assert '<math display="block"' in shown
    for left in (r"\(", r"\[", "katex"):
        assert left not in shown


# ---------------------------------------------------------------------- documentation


def heading(page, name):
    "The heading of the documentation of `name`, which either renderer writes in its own way."
    place = rf'\bid="{name.lower()}"[^>]*\bclass="[^"]*\bapi\b'
    return re.search(rf"<(?:h3|section) [^>]*{place}", page)


def page_of(name):
    "The published name of the page that exports `name`; commands of the same name do not count."
    for path in NOTEBOOKS:
        sources = [source for source, _ in cells(path)]
        defined = any(re.search(rf"^(def|class) {name}\b", s, re.M) for s in exported(path))
        if defined and not any("default_exp __main__" in source for source in sources):
            return name_of(path)
    raise AssertionError(f"no page exports {name}")


def documentation(site, name):
    "What stands between the heading of `name` and its source, in words."
    shown = page(site, page_of(name))
    start = heading(shown, name).start()
    return " ".join(visible(shown[start : shown.index("</div>", start)]).split())


def test_modules_are_documented(site):
    "nbdev's own documentation fails on Flax modules."
    mlp, fourier = documentation(site, "MLP"), documentation(site, "FourierFeatures")
    assert "width: int = 64 neurons in each hidden layer" in mlp
    assert "* keyword-only from here" in mlp
    assert ".__call__(x)" in mlp
    assert "rngs: nnx.Rngs decides" in fourier
    assert "*args" not in mlp + fourier


def test_arguments_of_a_compiled_function_are_documented(site):
    assert "optimizer: optax.GradientTransformation such as" in documentation(site, "train_step")


def test_fields_of_a_dataclass_are_documented(site):
    fields = documentation(site, "Run")
    assert (
        "losses: Array The loss of every step of the last call of fit, (n_epochs, n_batches)"
        in fields
    )


def test_results_are_documented(site):
    words = " ".join(visible(page(site, page_of("fit"))).split())
    assert re.search(r"-> Run The trained model, run\.model ?, and the losses", words)


@pytest.mark.parametrize("name", ["fit", "paint"])  # the function `paint`, not the command
def test_names_link_to_where_they_are_defined(site, name):
    goal = re.escape(f"{page_of(name)}.html#{name}")
    link = rf'<a href="(\./)?{goal}"[^>]*><code>{name}</code>'
    assert re.search(link, page(site, "index"))


@every_page
def test_private_names_have_no_links(site, path):
    assert not re.search(r'href="[^"]*#_', page(site, name_of(path)))


# ---------------------------------------------------------------------- faults

NETWORK = "is loaded from the network"
SHEET = f"https://example.org/x.css {NETWORK}"
FAULTS = {
    '<a href="nowhere.html">x</a>': "nowhere.html is not there",
    '<a href="index.html#nowhere">x</a>': "index.html#nowhere has no such place",
    '<a href="#nowhere">x</a>': "#nowhere has no such place",
    '<a href="library/nowhere.html">x</a>': "library/nowhere.html is not there",
    '<a href="/index.html">x</a>': "starts at the root of a server",
    '<a href="../secret.html">x</a>': "leaves the site",
    '<img src="https://example.org/x.png" alt="x">': f"https://example.org/x.png {NETWORK}",
    '<script src="//example.org/x.js"></script>': f"//example.org/x.js {NETWORK}",
    f"<p>{'long' * 400_000}</p>": "is larger than 1.5 MB",
    "<style>@import url(https://example.org/x.css);</style>": SHEET,
    '<style>@import url("https://example.org/x.css");</style>': SHEET,
    '<style>@import"https://example.org/x.css";</style>': SHEET,
    "<style>@import '//example.org/x.css' screen;</style>": f"//example.org/x.css {NETWORK}",
    '<link rel="preconnect" href="https://example.org">': f"https://example.org {NETWORK}",
    '<picture><source srcset="x.png 2x"></picture>': "x.png is not there",
    '<img src="data:image/png;base64,AAAA">': "an image has no alt text",
    '<i id="install"></i>': "the id install stands 2 times",
    r"<p>The slope \(x^2\)</p>": "TeX or Markdown left",
    "<p>See [here](x.html)</p>": "TeX or Markdown left",
}


@pytest.fixture(scope="session")
def copy(site, tmp_path_factory):
    "A copy of the site to put faults into."
    folder = tmp_path_factory.mktemp("copy") / "site"
    shutil.copytree(site, folder)
    return folder


@pytest.fixture
def index(copy):
    "The front page of the copy; what is written into it is taken out again."
    path = copy / "index.html"
    sound = path.read_text()
    yield path
    path.write_text(sound)


@pytest.fixture
def sheet(copy):
    "The style sheet of the copy; what is written into it is taken out again."
    path = copy / "styles.css"
    sound = path.read_text()
    yield path
    path.write_text(sound)


def test_a_fault_in_a_page_is_found(copy, index):
    sound = index.read_text()
    for inserted, fault in FAULTS.items():
        index.write_text(sound.replace("</main>", inserted + "</main>"))
        found = faults(copy)
        assert found, inserted
        assert all(f.startswith("index.html: ") and fault in f for f in found), inserted


def test_a_page_without_a_frame_is_found(copy, index):
    sound = index.read_text().replace("sidebar-navigation", "x")
    sound = sound.replace("<title>", "<title></title><b>")
    index.write_text(sound.replace("<h1", "<h2").replace("</h1", "</h2"))
    missing = {f"index.html: no {what}" for what in ("h1", "sidebar", "title")}
    assert missing <= set(faults(copy))


def test_a_link_to_elsewhere_is_no_fault(copy, index):
    index.write_text(index.read_text() + '<a href="https://example.org">out</a>')
    assert faults(copy) == []


IMPORTS = ['@import"https://example.org/x.css"', "@import url('https://example.org/x.css')"]


@pytest.mark.parametrize("statement", IMPORTS)
def test_a_style_sheet_from_the_network_is_found(copy, sheet, statement):
    sheet.write_text(statement + ";a{}")
    assert faults(copy) == [f"styles.css: {SHEET}"]


def test_a_picture_that_a_style_sheet_lacks_is_found(copy, sheet):
    embedded = "b { background: url(data:image/png;base64,AAAA) }"
    sheet.write_text(f"a {{ background: url(lost.png) }} {embedded}")
    assert faults(copy) == ["styles.css: lost.png is not there"]
    done = run("--faults", copy)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["styles.css: lost.png is not there", "1 faults"]


# ---------------------------------------------------------------------- in a browser


@pytest.fixture(params=["file", "http"])
def address(request, site):
    if request.param == "file":
        yield site.as_uri()
    else:
        with served(site) as address:
            yield address


LOOK = Path(__file__).with_name("look.js").read_text()
# every kind of content: wide tables, formulas, films, long outputs, folds, arguments, experiments
VARIED = """
    command_line errata gallery glossary index input_representation library/plotting live
    minibatches painting tracking""".split()


def to_look_at(site, built, address):
    "The pages to look at: all of the site that is built, from disk, and else every kind."
    if site == built and address.startswith("file"):
        return sorted(site.rglob("*.html"))
    found = (site / f"{name}.html" for name in VARIED)
    return [path for path in found if path.exists()]


def is_dark(tab):
    return tab.evaluate("!!document.querySelector('html.quarto-dark, body.quarto-dark')")


@pytest.mark.parametrize("width", [390, 1280])
def test_pages(browser, address, site, built, width):
    mode = "light" if address.startswith("file") == (width == 390) else "dark"
    tab, noise = visit(browser, address, mode, width)
    for path in to_look_at(site, built, address):
        tab.goto(f"{address}/{path.relative_to(site).as_posix()}")
        tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert is_dark(tab) == (mode == "dark")
        wide = f"{path.name} is wider than {width} px"
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, wide
        assert tab.evaluate(LOOK) == [], f"{path.name}, {mode}, {width} px"
        heights = (
            "[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().height)"
        )
        assert all(tab.evaluate(heights)), f"{path.name}: a formula is not drawn"
    assert noise == []
    tab.context.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_header_stays(browser, site, width):
    "The search and the switch to dark are there on the way down, and the sidebars are below them."
    tab, _ = visit(browser, site.as_uri(), "light", width)
    tab.goto(site.as_uri() + "/errata.html")
    tab.mouse.wheel(0, 3000)
    tab.wait_for_function("scrollY > 1000")
    tab.wait_for_timeout(400)
    box = tab.locator("#quarto-header").bounding_box()
    assert box["y"] == 0
    assert tab.is_visible("#quarto-search")
    for bar in ("#quarto-sidebar", "#quarto-margin-sidebar") if width > 1000 else ():
        assert tab.locator(bar).bounding_box()["y"] >= box["height"] - 1, bar
    tab.context.close()


# ---------------------------------------------------------------------- formulas

ITALICS = {
    unicodedata.name(chr(c), ""): chr(c)
    for c in [*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C)]
}


def drawn(formula):
    "The characters of a formula; a variable of one letter is drawn in mathematical italics."
    shown = re.sub(r"<annotation.*?</annotation>", "", formula, flags=re.S)
    for letter in re.findall(r"<mi>(.)</mi>", shown):
        name = re.sub("LATIN |GREEK | LETTER", "", unicodedata.name(letter))
        yield from ITALICS.get(f"MATHEMATICAL ITALIC {name}", "")
    yield from visible(shown)


def test_the_font_has_all_that_formulas_use(site):
    "The font is a part of STIX Two Math."
    held = re.search(r"unicode-range:(.*?);", (site / "styles.css").read_text(), re.S)[1]
    ranges = [r.split("-") for r in re.findall(r"U\+([0-9A-F-]+)", held)]
    spans = [(int(ends[0], 16), int(ends[-1], 16)) for ends in ranges]
    missing = {
        (path.name, character)
        for path in site.rglob("*.html")
        for formula in re.findall(r"<math\b.*?</math>", path.read_text(), re.S)
        for character in drawn(formula)
        if not character.isspace() and not any(a <= ord(character) <= b for a, b in spans)
    }
    assert missing == set()


LOADED = """
    document.fonts.load('16px "STIX Two Math"', 'x')
        .then(found => found.length == 1 && found[0].status == 'loaded')"""
IN_THE_FONT = """
    [...document.querySelectorAll('math')]
        .every(m => getComputedStyle(m).fontFamily.startsWith('"STIX Two Math"'))"""
HANG = """() => {
    const indices = [...document.querySelectorAll('main msub')];
    const [letter, index] = indices.find(e => e.checkVisibility()).children;
    const hang = index.getBoundingClientRect().bottom - letter.getBoundingClientRect().bottom;
    return hang/parseFloat(getComputedStyle(letter).fontSize);
}"""


def test_formulas_are_drawn_in_the_font(browser, site):
    "Without a font for mathematics an exponent floats a line too high."
    tab, noise = visit(browser, site.as_uri())
    tab.goto(site.as_uri() + "/input_representation.html")
    assert tab.evaluate(LOADED)
    assert tab.evaluate(IN_THE_FONT)
    # an index hangs below the foot of its letter; without the font it stands beside it
    assert tab.evaluate(HANG) > 0.1
    assert noise == []
    tab.context.close()


# ---------------------------------------------------------------------- accessibility


def violations(axe, tab, **options):
    return axe.run(tab, options=options or None).response["violations"]


def test_accessibility(browser, built):
    "Of every page; tests/test_reach.py looks at some in other sizes and colours, and at Quarto's."
    axe = installed("axe_playwright_python.sync_playwright").Axe()
    tab, _ = visit(browser, built.as_uri())
    # contrast is looked at in every state of every page above, and faster
    rules = {"color-contrast": {"enabled": False}}
    found = set()
    for path in sorted(built.rglob("*.html")):
        tab.goto(path.as_uri())
        for fault in violations(axe, tab, resultTypes=["violations"], rules=rules):
            if fault["impact"] in ("serious", "critical"):
                found.add((path.name, fault["id"], fault["nodes"][0]["html"][:200]))
    assert found == set()
    tab.context.close()


INACCESSIBLE = """
    document.querySelector('main').insertAdjacentHTML('beforeend',
        '<p style="color: #888; background: #999">pale</p><img src="favicon.svg">')"""


def test_what_is_inaccessible_is_found(browser, built):
    axe = installed("axe_playwright_python.sync_playwright").Axe()
    tab, _ = visit(browser, built.as_uri())
    tab.goto(built.as_uri() + "/index.html")
    tab.evaluate(INACCESSIBLE)
    assert {"color-contrast", "image-alt"} <= {fault["id"] for fault in violations(axe, tab)}
    tab.context.close()


WHERE = """() => {
    const e = document.activeElement, style = getComputedStyle(e), parts = {
        ".navbar-brand": "home", ".quarto-color-scheme-toggle": "mode",
        "input": "search", "#quarto-sidebar a": "sidebar",
        "main pre": "code", "main summary": "fold", "#TOC a": "contents", "main p a": "text"};
    const where = Object.keys(parts).filter(p => e.matches(p)).map(p => parts[p]);
    return [where, style.outlineStyle != "none" || style.boxShadow != "none"];
}"""


def test_the_keyboard_reaches_everything(browser, site):
    tab, _ = visit(browser, site.as_uri())
    tab.goto(site.as_uri() + "/gradient_descent.html")
    seen = set()
    for _ in range(90):  # the sidebar comes first
        tab.keyboard.press("Tab")
        where, outlined = tab.evaluate(WHERE)
        seen |= set(where)
        assert outlined, f"nothing shows that {where} has the focus"
    assert {"home", "mode", "search", "sidebar", "fold", "text"} <= seen
    tab.context.close()


def test_the_keyboard_switches_to_dark(browser, site):
    tab, _ = visit(browser, site.as_uri())
    tab.goto(site.as_uri() + "/gradient_descent.html")
    tab.focus(".quarto-color-scheme-toggle")
    tab.keyboard.press("Enter")
    tab.wait_for_function("!!document.querySelector('html.quarto-dark, body.quarto-dark')")
    tab.context.close()


# ---------------------------------------------------------------------- search and dark mode

MODES = pytest.mark.parametrize("mode, width", [("light", 390), ("dark", 1280)])
RESULT = ".search-result"
STILL = """
    document.querySelector('picture img').currentSrc
        == document.querySelector('picture source').srcset"""


def test_films_stand_still_where_motion_is_not_wanted(browser, address):
    tab, noise = visit(browser, address)
    tab.goto(f"{address}/index.html")
    assert tab.evaluate(STILL)
    assert noise == []
    tab.context.close()


@MODES
def test_the_search_finds_a_word(browser, address, mode, width):
    tab, noise = visit(browser, address, mode, width)
    tab.goto(f"{address}/index.html")
    tab.fill("input[type=search]", "surrogate")
    tab.wait_for_selector(RESULT)
    tab.click(RESULT)
    tab.wait_for_url(re.compile(r"/(?!index)\w+\.html"))
    assert "surrogate" in tab.inner_text("main").lower()
    assert noise == []
    tab.context.close()


@MODES
def test_the_switch_to_the_other_mode_lasts(browser, address, mode, width):
    tab, noise = visit(browser, address, mode, width)
    tab.goto(f"{address}/errata.html")
    was_dark = is_dark(tab)
    tab.click(".quarto-color-scheme-toggle")
    changed = "was => !!document.querySelector('html.quarto-dark, body.quarto-dark') != was"
    tab.wait_for_function(changed, arg=was_dark)
    tab.reload()
    # Quarto remembers nothing from disk
    if address.startswith("http") or tab.evaluate("!!window.smalldocsToggleScheme"):
        assert is_dark(tab) != was_dark
    assert was_dark == (mode == "dark")
    assert noise == []
    tab.context.close()


# ---------------------------------------------------------------------- Markdown twins


def test_llms_lists_all_pages(site):
    index = (site / "llms.txt").read_text()
    assert index.startswith("# cadl_flax\n\n> ")
    sections = "Start, Session 2, Beyond, Play, Library, Reference, Appendix"
    assert ", ".join(re.findall(r"^## (.*)$", index, re.M)) == sections
    linked = re.findall(r"^- \[.+?\]\(([\w/]+\.md)\): \S", index, re.M)
    assert linked == [page_name(Path(source)) + ".md" for source in listed_notebooks()]


@every_page
def test_a_page_has_a_twin_without_pictures(site, path):
    name = name_of(path)
    twin = (site / f"{name}.md").read_text()
    assert twin.startswith("# ")
    assert len(twin) < 125_000  # the reference, which has every name
    assert not re.search("base64,[A-Za-z0-9]", twin)
    link = f'type="text/markdown" href="{Path(name).name}.md"'
    assert link in page(site, name)


@every_page
def test_the_links_of_a_twin_lead_to_twins(site, path):
    twin = site / f"{name_of(path)}.md"
    prose = re.sub(r"^```.*?^```$", "", twin.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([\w./-]+\.(?:md|ipynb))[)#]", prose):
        assert (twin.parent / target).is_file(), target


@every_page
def test_a_twin_holds_what_its_page_shows(site, path):
    twin = (site / f"{name_of(path)}.md").read_text()
    for source, _ in cells(path):
        alt = directives(source).get("fig-alt")
        assert not alt or f"*Figure: {alt}*" in twin
        if re.search(r"^#\| exports$", source, re.M):
            assert re.sub(r"^#\|.*\n", "", source, flags=re.M).strip() in twin
