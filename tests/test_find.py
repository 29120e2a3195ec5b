"""Things are found: by topic in the sidebar, by name in the reference, by any words in the search.

The tests of the site (tests/test_site.py) ask the search of both renderers' pages for one word.
"""

import ast
import functools
import html
import re

import pytest
import yaml
from conftest import ROOT, installed
from site_helpers import NBS, page, served, visible, visit

from website.pages import list_pages, listed
from website.reference import public_names, sentence
from website.search import synonyms

CONFIG = yaml.safe_load((ROOT / "_quarto.yml").read_text())
PAGES = list_pages(CONFIG, NBS)
LARGEST_REFERENCE = 900_000  # bytes
LARGEST_SCRIPT = 10_000


# ------------------------------------------------------------------------------ the sidebar


def sidebar(built, name):
    return page(built, name).split('id="quarto-sidebar"')[1].split("</nav>")[0]


def test_the_sidebar_has_the_topics_of_the_configuration(built):
    shown = re.findall(r'class="menu-text">(.*?)</span>', sidebar(built, "index"))
    shown = [html.unescape(words).removesuffix(" ●") for words in shown]
    parts = [part["section"] for part in CONFIG["website"]["sidebar"]["contents"]]
    assert parts == "Start,Session 2,Beyond,Play,Library,Reference,Appendix".split(",")
    assert set(shown) == {*parts, *(page.topic for page in PAGES)}


def test_a_lesson_has_a_topic_that_is_no_question():
    for source, _, topic in listed(CONFIG["website"]["sidebar"]["contents"]):
        if source[0].isdigit():
            assert re.fullmatch(rf"{source[:2]} [A-Z][\w -]+", topic), source


LINES = """
    [...document.querySelectorAll("#quarto-sidebar .sidebar-item-text")].map(link => {
        const style = getComputedStyle(link), words = document.createRange();
        words.selectNodeContents(link);
        const lines = new Set([...words.getClientRects()].filter(r => r.width).map(r => Math.round(r.bottom / 8)));
        return [link.textContent.trim(), lines.size, link.getBoundingClientRect().height];
    })"""


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_each_entry_of_the_sidebar_takes_one_line(browser, built, width):
    tab, noise = visit(browser, built.as_uri(), width=width)
    tab.goto(f"{built.as_uri()}/index.html")
    if width < 992:
        tab.click(".quarto-btn-toggle")
    entries = tab.evaluate(LINES)
    parts = CONFIG["website"]["sidebar"]["contents"]
    assert len(entries) == len(PAGES) + len(parts)
    for words, n_lines, height in entries:
        assert n_lines == 1, words
        assert 0 < height < 36, words
    assert noise == []
    tab.context.close()


# ------------------------------------------------------------------------------ the reference

MODULES = sorted(path.stem for path in (ROOT / "cadl_flax").glob("*.py"))


def exported(module):
    "What a module exports, by its `__all__`."
    source = (ROOT / f"cadl_flax/{module}.py").read_text()
    found = re.search(r"^__all__ = (\[.*?\])$", source, re.M | re.S)
    return ast.literal_eval(found[1]) if found else []


@functools.cache
def names():
    return public_names(PAGES)


@pytest.fixture(scope="module")
def documented(built):
    "What the reference says of each name, as HTML, by its place."
    shown = page(built, "reference")
    blocks = re.split(
        r'<div class="documented">', shown[shown.index("<main") : shown.index("</main>")]
    )
    found = {re.search(r'<h3 id="([^"]+)"', block)[1]: block for block in blocks[1:]}
    assert len(found) == len(blocks) - 1
    return found


@pytest.mark.parametrize("module", MODULES)
def test_the_reference_has_every_public_name(documented, module):
    for name in exported(module):
        block = documented[name.lower()]
        assert re.search(rf"<h3[^>]*>\s*{name}\s*<", block), name
        signature = visible(re.search(r"<pre.*?</pre>", block, re.S)[0])
        assert re.match(rf"\s*(class )?\b{name}\b|[\w, ]*\b{name}\b[\w, ]*(:.*)? = ", signature), (
            name
        )


def test_the_reference_has_no_other_name(built, documented):
    every = {name.lower() for module in MODULES for name in exported(module)}
    assert {place for place in documented if not place.startswith("cadl-flax-")} == every
    modules = re.findall(r'<section id="module-(\w+)"', page(built, "reference"))
    assert modules == [module.strip("_") for module in names()]


def test_every_name_has_a_sentence_and_a_way_to_its_page(built, documented):
    for name in (name for found in names().values() for name in found):
        block = documented[name.name.lower()]
        assert sentence(name)
        goal = f"{name.page.name}.html" + (f"#{name.place}" if name.place else "")
        assert f'href="{goal}"' in block, name.name
        assert not name.place or f'id="{name.place}"' in page(built, name.page.name), goal


def test_the_stable_names_come_first(documented):
    assert list(documented)[:5] == ["paint", "painting", "inpaint", "fit", "run"]


def test_arguments_are_open_and_source_is_folded(documented):
    block = documented["fit"]
    assert re.search(r'<details class="arguments" open(="")?>', block)
    assert '<details class="code-fold">' in block
    said = visible(block)
    assert "Train a model on a table of inputs and targets" in said
    source = re.search(
        r"^def fit\(.*?(?=^\S(?!\) ->))", (ROOT / "cadl_flax/training.py").read_text(), re.M | re.S
    )
    assert source[0].splitlines()[-2].strip() in said


def test_the_reference_has_every_option(documented):
    import click

    from cadl_flax import __main__ as program

    group = next(value for value in vars(program).values() if isinstance(value, click.Group))
    assert len(group.commands) == 6
    for name, command in group.commands.items():
        block = documented[f"cadl-flax-{name}"]
        assert f'href="library/command_line.html#{name}"' in block
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[0] in visible(block), f"{name} {option.opts[0]}"


def test_the_reference_is_no_larger_than_a_page_may_be(built):
    assert (built / "reference.html").stat().st_size < LARGEST_REFERENCE
    assert "### fit" in (built / "reference.md").read_text()


# ------------------------------------------------------------------------------ the search


@pytest.fixture(scope="module", params=["file", "http"])
def tab(request, browser, built):
    "The front page with the focus in the search box."
    if request.param == "file":
        yield from opened(browser, built.as_uri())
    else:
        with served(built) as address:
            yield from opened(browser, address)


def opened(browser, address):
    found, noise = visit(browser, address)
    found.goto(f"{address}/index.html")
    yield found
    assert noise == []
    found.context.close()


def hits(tab, words):
    "Where the results for some words lead, below the top of the site."
    tab.fill("input[type=search]", "")
    tab.wait_for_selector("[role=listbox]", state="hidden")
    tab.fill("input[type=search]", words)
    tab.wait_for_selector("[role=option]")
    links = tab.eval_on_selector_all("[role=option]", "links => links.map(link => link.href)")
    top = tab.evaluate("new URL('.', location).href")
    return [link.removeprefix(top) for link in links]


QUERIES = {  # what is typed, and the pages that answer it, or a place on one
    "remove scratches from a photo": "inpainting.html#a-scratched-photo",
    "API reference": "reference.html",
    "positional encoding": "input_representation.html#give-it-waves",
    "save and load": "library/tracking.html",
    "upscale": "library/enlarging.html",
    "enlarge": "library/enlarging.html",
    "nerf": "input_representation.html#give-it-waves",
    "learning rate too high": "gradient_descent.html#too-slow-right-too-fast",
    "overfitting": "training_and_testing.html#the-network-that-learned-too-long",
    "gpu": "index.html#install",
    "16 bit tiff": "library/formats.html",
    "mask": "library/masks.html",
    "resume training": "tracking.html#a-run-goes-on",
    "vanishing gradient": "going_deeper.html#small-weights-fade-large-ones-explode",
    "batch size": "minibatches.html",
    "install": "index.html#install",
    "tensorflow": "rosetta.html",
    "super resolution": "library/enlarging.html",
    "fourier features": "input_representation.html#give-it-waves",
    "denoise": "inpainting.html#four-of-five-pixels-are-gone",
    "cite": "index.html#where-it-comes-from",
    # other forms of words, an error, words in a sentence, what stands in no list of synonyms
    "scratched photos": "inpainting.html#a-scratched-photo",
    "overfiting": "training_and_testing.html#the-network-that-learned-too-long",
    "how do I save and then load a model?": "library/tracking.html",
    "color profile": "library/formats.html",
    "gradient descent": "gradient_descent.html",
    "decibel": "glossary.html#decibel",
    "fit_chunks": "library/training.html#fit_chunks",
    "kaleidoscope": "gallery.html#bend-the-question",
}


@pytest.mark.parametrize("words, goal", QUERIES.items())
def test_the_search_finds_what_people_type(tab, words, goal):
    found = hits(tab, words)
    assert any(hit == goal or hit.split("#")[0] == goal for hit in found[:2]), found[:4]


def test_a_scratched_photo_finds_its_command(browser, built):
    "From the front page: typed, Enter, and the command is in sight."
    tab, noise = visit(browser, built.as_uri())
    tab.goto(f"{built.as_uri()}/index.html")
    tab.keyboard.press("/")
    tab.keyboard.type("a scratched photo")
    tab.wait_for_selector("[role=option]")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/inpainting.html#a-scratched-photo")
    tab.wait_for_load_state("load")
    line = tab.locator("pre", has_text="cadl-flax inpaint photo.png mask.png").first
    tab.wait_for_function("scrollY > 0")
    box = line.bounding_box()
    assert 0 < box["y"] < 600
    assert noise == []
    tab.context.close()


def test_nothing_of_the_search_is_loaded_before_it_is_wanted(browser, built):
    loaded = "performance.getEntriesByType('resource').map(e => e.name.split('/').pop())"
    with served(built) as address:
        for place, entries in [(address, "search.json"), (built.as_uri(), "search_entries.js")]:
            tab, _ = visit(browser, place)
            asked = []
            tab.on("request", lambda request, asked=asked: asked.append(request.url.split("/")[-1]))
            tab.goto(f"{place}/index.html")
            late = {"search.json", "search_entries.js", "search_rank.js"}
            assert not late & {*tab.evaluate(loaded), *asked}
            tab.focus("input[type=search]")
            tab.wait_for_function("!!window.searchRank")
            tab.wait_for_timeout(100)
            assert late & set(asked) == {entries, "search_rank.js"}
            tab.context.close()


def test_results_are_walked_with_the_keyboard(tab):
    box = tab.locator("input[type=search]")
    found = hits(tab, "mask")
    assert box.get_attribute("aria-expanded") == "true"
    assert box.get_attribute("aria-activedescendant") is None
    chosen = "[role=option][aria-selected=true]"
    for key, number in [("ArrowDown", 0), ("ArrowDown", 1), ("ArrowUp", 0), ("ArrowUp", -1)]:
        tab.keyboard.press(key)
        assert tab.locator(chosen).count() == 1
        assert tab.get_attribute(chosen, "href").endswith(found[number])
        assert box.get_attribute("aria-activedescendant") == tab.get_attribute(chosen, "id")
        assert tab.locator(chosen).is_visible()
    tab.keyboard.press("Escape")
    assert box.get_attribute("aria-expanded") == "false"
    assert not tab.is_visible("[role=listbox]")
    assert box.input_value() == "mask"
    tab.keyboard.press("Escape")
    assert box.input_value() == ""


def test_the_number_of_results_is_said(tab):
    n = len(hits(tab, "safetensors"))
    status = tab.locator("#quarto-search [role=status]")
    assert status.inner_text() == f"{n} results"
    tab.fill("input[type=search]", "xylophonist")
    tab.wait_for_function("document.querySelector('[role=status]').textContent == 'Nothing found'")
    assert not tab.is_visible("[role=listbox]")
    assert tab.is_visible("text=Nothing found")


def test_results_show_words_as_words(tab):
    "What is in a page's text is no HTML of the result."
    hits(tab, "</script>")
    assert tab.locator("[role=option] :is(script, img)").count() == 0


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_results_are_accessible(browser, built, mode):
    axe = installed("axe_playwright_python.sync_playwright").Axe()
    tab, _ = visit(browser, built.as_uri(), mode)
    tab.goto(f"{built.as_uri()}/library/checks.html")
    tab.fill("input[type=search]", "positional encoding")
    tab.wait_for_selector("[role=option]")
    tab.keyboard.press("ArrowDown")
    found = axe.run(tab, context="#quarto-search").response["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in found] == []
    tab.context.close()


def test_synonyms_lead_to_places_that_are_there(built):
    by_source = {page.source: page for page in PAGES}
    for place, words in synonyms(NBS / "synonyms.yml").items():
        source, _, fragment = place.partition("#")
        assert not fragment or f'id="{fragment}"' in page(built, by_source[source].name), place
        assert len(words) == len(set(words)), place


@pytest.mark.parametrize("name", ["search.js", "search_rank.js"])
def test_the_scripts_of_the_search_are_short(name):
    script = (NBS / name).read_text()
    assert len(script.encode()) < LARGEST_SCRIPT
    assert max(map(len, script.splitlines())) <= 120
