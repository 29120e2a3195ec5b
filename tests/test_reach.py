"""How the site is reached: by keyboard, on phones, on paper, without motion; and how heavy it is.

CADL_FLAX_SITE names a folder with a site that is built already.
"""

import re
from io import BytesIO

import numpy as np
import pytest
from conftest import installed
from PIL import Image
from site_helpers import visit
from skimage import data

from cadl_flax import paint
from cadl_flax.painting import _decibels, _evenly
from cadl_flax.pictures import shrink

# ---------------------------------------------------------------------- what films show


def levels(painting):
    "The decibels of all frames that were kept, and of those that the film shows."
    kept = [_decibels(frame, painting.image) for frame in painting.frames]
    return np.array(kept), np.array([_decibels(f, painting.image) for f in painting.film().frames])


@pytest.mark.parametrize("side", [32, 64])
def test_each_frame_of_a_film_adds_about_as_much(side):
    "All that were kept have steps of up to 2.8 times the mean, and at 128 pixels of five times."
    kept, shown = levels(paint(shrink(data.astronaut(), side)))
    steps = np.abs(np.diff(shown))
    assert steps.max() <= 2.3 * steps.mean()
    assert steps.max() <= np.abs(np.diff(kept)).max() + 1e-9
    assert 12 <= len(shown) <= 60
    assert (shown[0], shown[-1]) == (kept[0], kept[-1])


def test_a_film_has_at_most_sixty_frames_and_both_its_ends():
    generator = np.random.default_rng(0)
    for n in (1, 2, 3, 60, 1000):
        shown = _evenly(generator.uniform(0, 50, n))
        assert len(shown) <= 60 and shown == sorted(set(shown))
        assert (shown[0], shown[-1]) == (0, n - 1)
    assert _evenly([7.0] * 9) == [0, 8]


def test_rising_levels_are_spaced_within_four_times_the_mean():
    generator = np.random.default_rng(1)
    for _ in range(100):
        rising = np.cumsum(generator.exponential(size=40))
        steps = np.diff(rising[_evenly(rising)])
        assert steps.max() <= 4.5 * steps.mean()
        assert steps.max() <= max(np.diff(rising).max(), (rising[-1] - rising[0]) / 29) + 1e-9


# ---------------------------------------------------------------------- by keyboard

FOCUSED = """() => {
    const e = document.activeElement;
    return [e.tagName, e.textContent.trim(), !!e.closest("main")];
}"""


def open_page(browser, site, name, *how):
    tab, noise = visit(browser, site.as_uri(), *how)
    tab.goto(f"{site.as_uri()}/{name}.html")
    return tab, noise


def walk_to_the_text(tab):
    "Tab stops until the focus is in the text of a page, by the first stop's way past the frame."
    tab.keyboard.press("Tab")
    tag, words, _ = tab.evaluate(FOCUSED)
    assert (tag, words) == ("A", "Skip to the text")
    assert tab.locator(".skip").bounding_box()["x"] >= 0
    tab.keyboard.press("Enter")
    for n in range(2, 10):
        tab.keyboard.press("Tab")
        if tab.evaluate(FOCUSED)[2]:
            return n
    raise AssertionError("not in the text after nine stops")


def follow(tab, name):
    "Go with Tab to a link to the page, and along it."
    for _ in range(20):
        if f"{name}.html" in (tab.evaluate("document.activeElement.href") or ""):
            tab.keyboard.press("Enter")
            tab.wait_for_url(re.compile(f"/{name}.html"))
            return
        tab.keyboard.press("Tab")
    raise AssertionError(f"no link to {name} within twenty stops")


@pytest.mark.parametrize("name", ["gradient_descent", "live"])
def test_a_walk_by_keyboard(browser, site, name):
    "From the front page to a lesson, or to the page that paints in the browser, without a mouse."
    tab, noise = open_page(browser, site, "index")
    assert walk_to_the_text(tab) < 10
    follow(tab, name)
    assert walk_to_the_text(tab) < 10
    assert noise == []
    tab.context.close()


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_sections_of_the_sidebar_open_by_keyboard(browser, site, key):
    tab, _ = open_page(browser, site, "gradient_descent")
    section = tab.locator("#quarto-sidebar button", has_text="Library")
    inside = tab.locator('#quarto-sidebar a[href*="library/checks.html"]')
    assert section.get_attribute("aria-expanded") == "true" and inside.is_visible()
    section.focus()
    tab.keyboard.press(key)
    inside.wait_for(state="hidden")
    assert section.get_attribute("aria-expanded") == "false"
    tab.keyboard.press(key)
    inside.wait_for(state="visible")
    tab.context.close()


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_switch_to_dark_is_a_button(browser, site, key):
    tab, _ = open_page(browser, site, "gradient_descent")
    switch = tab.locator("button.quarto-color-scheme-toggle")
    assert switch.get_attribute("aria-label") == "Toggle dark mode"
    switch.focus()
    tab.keyboard.press(key)
    tab.wait_for_function("!!document.querySelector('html.quarto-dark, body.quarto-dark')")
    tab.context.close()


def test_no_link_is_without_a_goal(site):
    for path in site.rglob("*.html"):
        shown = re.sub(r"<script.*?</script>", "", path.read_text(), flags=re.S)
        for attributes in re.findall(r"<a\b([^>]*)>", shown):
            assert re.search(r'\bhref="[^"]', attributes), f"{path.name}: <a{attributes}>"


def test_the_sidebar_of_a_phone_closes_with_escape(browser, site):
    tab, _ = open_page(browser, site, "gradient_descent", "light", 390)
    button = tab.locator(".quarto-btn-toggle")
    assert button.get_attribute("aria-expanded") == "false"
    button.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#quarto-sidebar a >> visible=true")
    tab.wait_for_function("document.querySelector('#quarto-sidebar').classList.contains('show')")
    assert button.get_attribute("aria-expanded") == "true"
    tab.keyboard.press("Escape")
    tab.wait_for_selector("#quarto-sidebar", state="hidden")
    assert button.get_attribute("aria-expanded") == "false"
    tab.context.close()


def test_no_stop_is_off_the_screen_of_a_phone(browser, site):
    tab, _ = open_page(browser, site, "glossary", "light", 390)
    for _ in range(15):
        tab.keyboard.press("Tab")
        box = tab.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
        assert box["right"] > 0 and box["left"] < 390
    tab.context.close()


@pytest.mark.parametrize("height, stays", [(450, False), (844, True)])
def test_the_header_of_a_low_window_goes_away(browser, site, height, stays):
    tab, _ = open_page(browser, site, "errata")
    tab.set_viewport_size(dict(width=640, height=height))
    tab.evaluate("scrollTo(0, 2000)")
    box = tab.locator("#quarto-header").bounding_box()
    assert (box["y"] + box["height"] > 0) == stays
    tab.context.close()


def test_nothing_glides(browser, site):
    context = browser.new_context(reduced_motion="no-preference")
    tab = context.new_page()
    tab.goto(f"{site.as_uri()}/errata.html")
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert tab.evaluate(behaviour) == "auto"
    context.close()


def test_what_changes_by_itself_is_not_read_aloud(site):
    "An <output> is a live region, and the live page's would be read four times a second."
    for path in site.rglob("*.html"):
        for output in re.findall(r"<output\b[^>]*>", path.read_text()):
            assert 'aria-live="off"' in output


# ---------------------------------------------------------------------- films

FILMS = ["index", "pictures", "minibatches", "painting", "many_pictures", "gallery"]
SHOWN = """() => [...document.querySelectorAll(".film")].map(film => {
    const [moving, still] = ["picture:not(.still) img", ".still img"].map(p => film.querySelector(p));
    return [moving.checkVisibility(), still.checkVisibility(), moving.currentSrc != still.currentSrc];
})"""
MOVES, STANDS = [True, False, True], [False, True, True]


@pytest.fixture
def moving(browser, site):
    "Opens pages for a reader who has nothing against motion."
    opened = []

    def visited(name, mode="light", **more):
        context = browser.new_context(color_scheme=mode, reduced_motion="no-preference", **more)
        opened.append(context)
        tab = context.new_page()
        tab.goto(f"{site.as_uri()}/{name}.html")
        return tab

    yield visited
    for context in opened:
        context.close()


def wait_until(tab, i, state):
    tab.wait_for_function(f"state => String(({SHOWN})()[{i}]) == String(state)", arg=state)


def test_pages_with_films_are_known(site):
    with_films = {p.stem for p in site.glob("*.html") if "<picture><source media=" in p.read_text()}
    assert with_films == set(FILMS)


@pytest.mark.parametrize("name", FILMS)
def test_each_film_can_be_stopped_by_keyboard(moving, name):
    tab = moving(name, "dark" if name == "index" else "light")
    for i, film in enumerate(tab.locator(".film").all()):
        button = film.locator("button")
        button.focus()
        wait_until(tab, i, MOVES)
        assert button.get_attribute("aria-label") == "Stop the film"
        tab.keyboard.press("Space")
        wait_until(tab, i, STANDS)
        assert button.inner_text() == "Play"
        tab.keyboard.press("Enter")
        wait_until(tab, i, MOVES)


def test_a_film_plays_only_in_sight(moving):
    tab = moving("index")
    wait_until(tab, 0, MOVES)
    tab.evaluate("scrollTo(0, 3000)")
    wait_until(tab, 0, STANDS)
    assert tab.locator(".film button").first.inner_text() == "Stop"
    tab.evaluate("scrollTo(0, 0)")
    wait_until(tab, 0, MOVES)


def test_a_film_stands_still_on_paper(moving):
    tab = moving("index")
    wait_until(tab, 0, MOVES)
    tab.emulate_media(media="print")
    assert tab.evaluate(SHOWN)[0][:2] == STANDS[:2]
    assert not tab.locator(".film button").first.is_visible()


def test_a_film_can_be_played_where_motion_is_not_wanted_at_first(browser, site):
    tab, noise = open_page(browser, site, "index")
    assert tab.evaluate(SHOWN)[0][:2] == STANDS[:2]
    tab.click(".film button")
    wait_until(tab, 0, MOVES)
    assert noise == []
    tab.context.close()


def test_a_film_without_javascript_is_as_it_was(moving):
    tab = moving("index", java_script_enabled=False)
    assert tab.locator("main picture img").first.is_visible()
    assert tab.locator(".film").count() == 0


# ---------------------------------------------------------------------- on phones


@pytest.mark.parametrize(
    "name", ["gradient_descent", "input_representation", "painting", "gallery"]
)
def test_figures_are_whole_on_a_phone(browser, site, name):
    "Cut, a figure hides its finding; and who wants it larger gets it, scrolling."
    tab, _ = open_page(browser, site, name, "light", 390)
    width = "[...document.querySelectorAll('.cell-output-display')].every(e => e.scrollWidth <= e.clientWidth)"
    assert tab.evaluate(width)
    button = tab.locator(".larger-button:visible").first
    button.focus()
    tab.keyboard.press("Enter")
    assert button.inner_text() == "Smaller"
    assert not tab.evaluate(width)
    tab.keyboard.press("Enter")
    assert tab.evaluate(width)
    tab.context.close()


def test_a_wide_screen_offers_nothing_larger(browser, site):
    tab, _ = open_page(browser, site, "gradient_descent")
    assert tab.locator(".larger-button:visible").count() == 0
    tab.context.close()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_shadow_says_that_code_goes_on(browser, site, mode):
    "It lies at the right edge until one has scrolled there, and then at the left."
    tab, _ = open_page(browser, site, "gradient_descent", mode, 390)
    tab.evaluate("document.querySelectorAll('main details').forEach(d => d.open = true)")
    code = next(
        e
        for e in tab.locator("main pre.sourceCode").all()
        if e.evaluate("e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 60")
    )
    code.scroll_into_view_if_needed()

    def edges():
        shown = np.asarray(Image.open(BytesIO(code.screenshot())).convert("L")).astype(float)
        rows = shown[3:9]  # above the first line
        middle = np.median(rows[:, 100:-100])
        return np.abs(np.median(rows[:, 1:4]) - middle), np.abs(np.median(rows[:, -5:-2]) - middle)

    left, right = edges()
    assert right > 8 > 3 > left
    code.evaluate("e => e.scrollLeft = 1e6")
    left, right = edges()
    assert left > 8 > 3 > right
    tab.context.close()


# ---------------------------------------------------------------------- how heavy it is

LARGEST_PAGE = 750_000  # bytes


def test_pages_are_light(site):
    for path in site.rglob("*.html"):
        assert path.stat().st_size <= LARGEST_PAGE, path.name


def test_lines_of_code_have_no_links_that_nobody_sees(browser, site):
    tab, _ = open_page(browser, site, "gradient_descent")
    assert tab.locator("main pre code").count() > 10
    empty = "e => e.textContent.trim() === '' && !e.querySelector('i, img, svg')"
    assert tab.locator("main pre a").evaluate_all(f"all => all.filter({empty}).length") == 0
    tab.context.close()


def test_icons_are_drawn_and_not_loaded(browser, site):
    assert list(site.rglob("*bootstrap-icons*")) == []
    for path in site.rglob("*.html"):
        assert "bootstrap-icons" not in re.sub(r"<code.*?</code>", "", path.read_text(), flags=re.S)
    tab, noise = open_page(browser, site, "gradient_descent")
    drawn = """[...document.querySelectorAll("i.bi")].filter(e => e.checkVisibility()).map(e => {
        const style = getComputedStyle(e, "::before");
        return style.maskImage.startsWith('url("data:image/svg') && parseFloat(style.width) >= 10;
    })"""
    found = tab.evaluate(drawn)
    assert len(found) > 5 and all(found)
    assert noise == []
    tab.context.close()


# ---------------------------------------------------------------------- axe

KINDS = ["index", "gradient_descent", "live", "gallery", "errata", "glossary", "benchmarks"]
KINDS += ["library/plotting", "library/command_line"]


@pytest.mark.parametrize("mode, width", [("light", 390), ("dark", 1280)])
def test_axe_finds_nothing_on_any_kind_of_page(browser, site, mode, width):
    axe = installed("axe_playwright_python.sync_playwright").Axe()
    tab, _ = visit(browser, site.as_uri(), mode, width)
    found = set()
    for name in KINDS:
        tab.goto(f"{site.as_uri()}/{name}.html")
        for fault in axe.run(tab).response["violations"]:
            if fault["impact"] in ("moderate", "serious", "critical"):
                found.add((name, fault["id"], fault["nodes"][0]["html"][:160]))
    assert found == set()
    tab.context.close()
