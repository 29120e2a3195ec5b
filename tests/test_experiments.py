"""The figures that are experiments: how all of them behave on a page.

What each computes is compared with the package in a file of its own, `test_experiment_*.py`.
CADL_FLAX_SITE names a folder with a site that is built already.
"""

import base64
import re

import pytest
from experiment_helpers import open_page, place
from site_helpers import NBS, NOTEBOOKS, cells, name_of

from website.pages import directives

SCRIPTS = sorted((NBS / "experiments").glob("*.js"))
FOUND = [
    (name_of(path), own["experiment"])
    for path in NOTEBOOKS
    for source, _ in cells(path)
    if "experiment" in (own := directives(source))
]
every_experiment = pytest.mark.parametrize("page_name, name", FOUND)
LARGEST = 25_000  # bytes of a script


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_small_and_narrow(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.encode()) <= LARGEST
    assert max(map(len, source.splitlines())) <= 120
    assert '"use strict";' in source


def test_each_script_is_used():
    needed = set(
        re.findall(
            r"[\w-]+",
            " ".join(
                words
                for path in SCRIPTS
                for words in re.findall(r"^// needs: (.+)$", path.read_text(encoding="utf-8"), re.M)
            ),
        )
    )
    needed -= {f"{name}-data" for name in printed()}
    assert {path.stem for path in SCRIPTS} == needed | {name for _, name in FOUND}


@pytest.fixture(scope="module")
def pages(browser, built):
    "Each page with an experiment is opened once, and its noise kept, for all tests of this file."
    opened = {}

    def tab_of(page_name):
        if page_name not in opened:
            opened[page_name] = open_page(browser, built, page_name)
        return opened[page_name]

    yield tab_of
    for tab, _ in opened.values():
        tab.context.close()


def figure_behind(tab, name):
    return place(tab, name).locator("xpath=preceding-sibling::*[1]").locator("img, svg").first


def printed():
    "The names of what hidden cells print for experiments."
    own = [directives(source) for path in NOTEBOOKS for source, _ in cells(path)]
    return {found["experiment-data"] for found in own if "experiment-data" in found}


def test_weights_are_marked_as_files():
    "Trained weights differ between processors: those in `data:` addresses are compared by layout."
    found = 0
    for path in NOTEBOOKS:
        for source, cell in cells(path):
            if "experiment-data" not in directives(source):
                continue
            words = "".join("".join(output.get("text", "")) for output in cell["outputs"])
            for string in re.findall(r'"([^"]{200,})"', words):
                address, _, content = string.rpartition(",")
                length = int.from_bytes(base64.b64decode(content[:12])[:8], "little")
                is_file = length < len(content) and b'{"' in base64.b64decode(content[:16])[8:]
                found += is_file
                assert not is_file or address == "data:application/octet-stream;base64", path.name
    assert found >= 4


def test_data_that_several_scripts_need_are_loaded_once(browser, built):
    tab, noise = open_page(browser, built, "live")
    sources = tab.evaluate("[...document.scripts].map(script => script.getAttribute('src'))")
    experiments = [src.split("/")[-1] for src in sources if src and "experiments/" in src]
    assert experiments == ["kit.js", "network.js", "painting-data.js", "live.js", "look.js"]
    assert noise == []
    tab.context.close()


@every_experiment
def test_an_experiment_takes_the_place_of_its_figure(pages, page_name, name):
    tab, noise = pages(page_name)
    assert place(tab, name).is_visible() and not figure_behind(tab, name).is_visible()
    tab.emulate_media(media="print")
    assert not place(tab, name).is_visible() and figure_behind(tab, name).is_visible()
    tab.emulate_media(media="screen")
    assert noise == []


@every_experiment
def test_the_figure_stays_where_there_is_no_javascript(browser, built, page_name, name):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{built.as_uri()}/{page_name}.html")
    assert not place(tab, name).is_visible() and figure_behind(tab, name).is_visible()
    context.close()


INSIDE = """place => [...place.querySelectorAll("svg, canvas, button, select, input, label")].every(
    e => e.getBoundingClientRect().right <= place.getBoundingClientRect().right + 1)"""


@pytest.mark.parametrize("width", [390, 1280, 1920])
@every_experiment
def test_an_experiment_fits_its_column(pages, page_name, name, width):
    tab, noise = pages(page_name)
    tab.set_viewport_size(dict(width=width, height=844))
    for mode in ("light", "dark"):
        tab.emulate_media(color_scheme=mode)
        tab.wait_for_timeout(50)
        box, column = place(tab, name).bounding_box(), tab.locator("main").bounding_box()
        assert column["x"] - 1 <= box["x"]
        assert box["x"] + box["width"] <= column["x"] + column["width"] + 1
        assert place(tab, name).evaluate(INSIDE)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert noise == []


NAMED = """e => (e.getAttribute("aria-label") || e.textContent
    || e.closest("label")?.textContent || "").trim() !== "" """


@every_experiment
def test_controls_are_large_enough_to_touch_and_have_names(pages, page_name, name):
    "24 pixels high, WCAG 2.5.8; a handle on axes is a circle of 18."
    tab, _ = pages(page_name)
    tab.set_viewport_size(dict(width=390, height=844))
    controls = place(tab, name).locator("button, select, input, canvas[tabindex], [role=slider]")
    assert controls.count()
    for control in controls.all():
        if control.is_visible():
            least = 18 if control.get_attribute("role") == "slider" else 24
            assert control.bounding_box()["height"] >= least
        assert control.evaluate(NAMED)


@every_experiment
def test_sliders_move_by_keyboard(pages, page_name, name):
    "Each slider of an experiment answers to an arrow key, and says its value in words."
    tab, noise = pages(page_name)
    for slider in place(tab, name).locator("input[type=range]:visible:not(:disabled)").all():
        before = slider.input_value()
        slider.focus()
        slider.press("ArrowLeft" if before == slider.get_attribute("max") else "ArrowRight")
        assert slider.input_value() != before
        assert slider.get_attribute("aria-valuetext")
    assert noise == []


@every_experiment
def test_axe_finds_nothing(pages, page_name, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab, _ = pages(page_name)
    tab.set_viewport_size(dict(width=1280, height=844))
    for mode in ("light", "dark"):
        tab.emulate_media(color_scheme=mode)
        found = axe.run(tab, context=f'[data-experiment="{name}"]').response["violations"]
        heavy = [v for v in found if v["impact"] in ("critical", "serious", "moderate")]
        assert [v["id"] for v in heavy] == [], mode


def test_pages_say_what_to_do_with_an_experiment():
    for path in NOTEBOOKS:
        for source, _ in cells(path):
            own = directives(source)
            if "experiment" in own:
                assert own["experiment-cap"] and own["fig-alt"] and own["fig-cap"], path.name
