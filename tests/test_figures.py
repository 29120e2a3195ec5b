"""Drawings: what a notebook stores of a figure, and what the site makes of it.

CADL_FLAX_SITE names a folder with a site that is built already.
"""

import json
import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
from site_helpers import NOTEBOOKS, code_cell, source_of, visit, write_notebook

from cadl_flax.plotting import COLORS, print_small, print_svg, show_images, use_style
from website.figures import CONTRAST, SCHEMES, channels, contrast, drawing, in_scheme, mixed
from website.figures import readable, show_drawings
from website.lessons import number_captions, pictures
from website.markdown import write_readme
from website.pages import text

LARGEST = 160_000  # characters of a stored SVG, its pictures among them
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        use_style()
        yield
    plt.close("all")


def curves():
    "A figure with words of every kind: a turned label, two lines, a formula, a minus."
    figure, ax = plt.subplots()
    ax.plot([0, 1], [0, 1], color=COLORS["model"])
    ax.plot([0, 1], [1, 0], color=COLORS["truth"])
    ax.plot([0, 1], [0.5, 0.5], "x", color=COLORS["data"])
    ax.text(0.5, 0.5, "one\nlong line", color=COLORS["model"], ha="right")
    ax.set(ylabel="loss", title="at -0.5", xlabel="$10^{-3}$", yscale="log", ylim=(0.01, 10))
    return figure


def faces(over=False):
    "Two pictures with titles, and with a line over them."
    levels = np.random.default_rng(0).random((8, 8, 3))
    figure = show_images([levels, levels], ["one", "two"], ["1 dB", "2 dB"])
    if over:
        figure.axes[0].plot([2, 5], [2, 5], color="white")
    return figure


def parts(svg, tag):
    return list(ElementTree.fromstring(svg).iter(SVG + tag))


# ------------------------------------------------------------------------------ what is stored


def test_a_figure_is_printed_the_same_each_time_and_is_left_as_it_was():
    figure = faces()
    before = print_small(figure)
    assert print_svg(figure) == print_svg(figure)
    assert print_small(figure) == before


def test_an_empty_figure_is_not_printed():
    assert print_svg(plt.figure()) is None


def test_what_would_be_large_all_the_same_is_not_printed():
    "Of noise a file is long in every format."
    noise = np.random.default_rng(0).random((3, 500, 500, 3))
    assert print_svg(show_images(noise)) is None


def test_a_thousand_marks_are_one_mark_and_a_thousand_places():
    figure, ax = plt.subplots()
    rng = np.random.default_rng(0)
    ax.plot(rng.random(1000), rng.random(1000), "x")
    svg = print_svg(figure)
    (cross,) = parts(svg, "marker")
    path = next(p for p in parts(svg, "path") if cross.get("id") in p.get("style", ""))
    assert len(re.findall(r"[\d.]+", path.get("d"))) == 2 * 1000
    assert len(svg) < 25_000


def test_a_picture_keeps_its_pixels():
    "And has no more of them than twice what is shown."
    small, large = np.zeros((8, 8, 3)), np.linspace(0, 1, 900**2).reshape(900, 900)
    svg = print_svg(show_images([small, large]))
    first, second = parts(svg, "image")
    assert "pixelated" in first.get("style")
    assert second.get("style") is None
    assert len(first.get("href")) < 300
    assert len(svg) < LARGEST


def test_pictures_are_where_they_were():
    "The first row of a picture is its highest, or its lowest where the axes say so."
    levels = np.zeros((4, 4))
    figure, axes = plt.subplots(1, 2)
    for ax, origin in zip(axes, ("upper", "lower")):
        ax.imshow(levels, origin=origin)
    boxes = [[float(p.get(k)) for k in ("y", "height")] for p in parts(print_svg(figure), "image")]
    assert boxes[0] == pytest.approx(boxes[1], abs=0.02)


def test_what_is_too_much_to_draw_is_a_picture():
    figure, ax = plt.subplots(subplot_kw={"projection": "3d"})
    x, y = np.meshgrid(*2 * [np.linspace(-3, 3, 60)])
    ax.plot_surface(x, y, np.sin(x) * np.sin(y), rcount=60, ccount=60)
    ax.set_title("a landscape")
    svg = print_svg(figure)
    assert len(svg) < LARGEST / 2
    assert len(parts(svg, "image")) == 1
    assert any(words.text == "a landscape" for words in parts(svg, "text"))
    assert not any(artist.get_rasterized() for artist in ax.collections)


def stored(path):
    "The outputs of a notebook that hold a figure."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [o["data"] for c in cells for o in c.get("outputs", []) if "data" in o]
    return [data for data in outputs if text(data.get("text/plain")).startswith("<Figure size")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=source_of)
def test_a_figure_is_stored_twice(path):
    "A page that calls `use_style` stores each figure as SVG too, but one of many photographs."
    if "use_style()" not in path.read_text(encoding="utf-8"):
        pytest.skip("its figures are in another style")
    for data in stored(path):
        is_large = len(text(data["image/png"])) > LARGEST
        assert "image/svg+xml" in data or is_large, "run: python tools/notebooks.py"
        assert len(text(data.get("image/svg+xml"))) < LARGEST


def test_only_the_png_is_compared(notebooks_tool):
    "But a fresh run must have an SVG where one is stored."
    png = dict.fromkeys(["image/svg+xml"], "<svg>a</svg>")
    other = dict.fromkeys(["image/svg+xml"], "<svg>b</svg>")

    def cell(data):
        return code_cell("c", "draw()", dict(output_type="display_data", metadata={}, data=data))

    assert notebooks_tool.cell_faults(cell(png), cell(other)) == []
    assert notebooks_tool.cell_faults(cell(png), cell({}))
    assert notebooks_tool.cell_faults(cell({}), cell(other))


# ------------------------------------------------------------------------------ on a page


def test_a_drawing_has_the_colours_and_the_font_of_the_page():
    shown = drawing(print_svg(curves()), "Two lines.", "d")
    for own in ("#000000", "#1a1a1a", "#fbfbf8", "font-family", "<style", "DejaVu"):
        assert own not in shown, own
    assert {"currentColor", "var(--model)", "var(--data)"} <= set(
        re.findall(r"stroke: ([^;\"]+)", shown)
    )
    assert "fill: var(--model-words)" in shown
    assert 'role="img"' in shown
    assert 'aria-label="Two lines."' in shown
    assert "at −0.5" in shown


def test_names_in_a_drawing_are_its_own():
    svg = print_svg(curves())
    first, second = (drawing(svg, "x", name) for name in ("a", "b"))
    found = [re.findall(r'\bid="([^"]+)"', shown) for shown in (first, second)]
    assert found[0]
    assert len(set(found[0] + found[1])) == 2 * len(found[0])
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', first))
    assert {a or b for a, b in used} == set(found[0])


def test_words_in_another_font_stay_where_they_were_put():
    shown = drawing(print_svg(curves()), "x", "d")
    words = {"".join(part.itertext()): part for part in parts(shown, "text")}
    anchors = {
        line: re.search(r"text-anchor: (\w+)", part.get("style"))[1] for line, part in words.items()
    }
    assert anchors["loss"] == "middle"
    assert anchors["one"] == anchors["long line"] == "end"
    assert anchors["10−3"] == "middle"
    assert anchors["at −0.5"] == "start"


@pytest.mark.parametrize("over", [False, True])
def test_what_stands_on_a_picture_keeps_a_light_panel(over):
    shown = drawing(print_svg(faces(over)), "x", "d")
    assert ("on-panel" in shown) == over


@pytest.mark.parametrize("filled", [False, True])
def test_a_map_keeps_a_light_panel(filled):
    "But lines of equal height are lines."
    figure, ax = plt.subplots()
    draw = ax.contourf if filled else ax.contour
    draw(np.random.default_rng(0).random((4, 4)))
    assert ("on-panel" in drawing(print_svg(figure), "x", "d")) == filled


def levels_of(colour, scheme):
    "The colour of words that `readable` gives, in a scheme."
    paper, ink = scheme
    share = re.search(r"(\d+)%", colour)
    own = re.search(r"#\w{6}", colour)
    found = mixed(own[0], ink, int(share[1]) / 100) if own else channels(ink)
    return channels(paper), found


@pytest.mark.parametrize(
    "colour", ["#d55e00", "#b9835a", "#ffff00", "#000080", "#440154", "#777777"]
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_words_of_any_colour_can_be_read(colour, scheme):
    assert contrast(*levels_of(readable(colour), scheme)) >= CONTRAST


def test_grays_are_shares_of_the_ink():
    assert in_scheme("#cccccc", False) == "color-mix(in srgb, var(--ink) 20%, var(--paper))"
    assert in_scheme("#777777", True) == "var(--soft)"
    assert in_scheme("#ff0000", False) == "#ff0000"


def cell_of(figure, source):
    data = {"image/svg+xml": print_svg(figure), "image/png": "AAAA", "text/plain": "<Figure>"}
    return code_cell("c1", source, dict(output_type="display_data", metadata={}, data=data))


def test_a_drawing_has_one_number_and_one_caption():
    cell = cell_of(curves(), "#| fig-cap: A finding\ndraw()")
    show_drawings(cell, "Two lines.")
    assert len(pictures(cell)) == 1
    assert number_captions([cell]) == {"c1": 1}
    (output,) = cell["outputs"]
    assert "image/png" not in output["data"]
    assert output["data"]["text/html"].count("<figcaption>Figure 1. A finding") == 1


def test_without_words_the_png_stays():
    cell = cell_of(curves(), "draw()")
    show_drawings(cell, None)
    assert cell["outputs"][0]["data"].keys() == {"image/png", "text/plain"}


def test_the_readme_has_the_png(tmp_path):
    source = "#| fig-alt: Two lines.\ndraw()"
    write_notebook(tmp_path / "nbs/index.ipynb", "# Title\n\n> What", cell_of(curves(), source))
    write_readme(check=False, root=tmp_path)
    assert "![Two lines.](README_files/c1-0.png)" in (tmp_path / "README.md").read_text()


# ------------------------------------------------------------------------------ in a browser

INK = """() => {
    const words = document.querySelector("svg.drawing:not(.on-panel) text");
    return getComputedStyle(words).fill;
}"""
FITS = """() => [...document.querySelectorAll("svg.drawing")].every(e => {
    const box = e.getBoundingClientRect();
    return box.width > 100 && box.height > 50 && box.width <= e.getAttribute("width");
})"""


@pytest.fixture
def plotting(browser, built):
    tab, noise = visit(browser, built.as_uri())
    tab.goto(f"{built.as_uri()}/library/plotting.html")
    yield tab
    assert noise == []
    tab.context.close()


def test_a_drawing_follows_the_switch_to_dark(plotting):
    assert plotting.evaluate(INK) == "rgb(31, 35, 40)"
    plotting.click(".quarto-color-scheme-toggle")
    plotting.wait_for_function("document.querySelector('html.quarto-dark, body.quarto-dark')")
    assert plotting.evaluate(INK) == "rgb(221, 225, 230)"


def test_a_drawing_is_sharp_and_has_words(plotting):
    "It is drawn by the browser, at the size that it was made for or smaller."
    drawings = plotting.locator("svg.drawing")
    assert drawings.count() == 2
    assert plotting.evaluate(FITS)
    assert drawings.first.get_attribute("aria-label").startswith("The astronaut in colour")
    assert plotting.get_by_role("img", name="The astronaut in colour").count() == 1


@pytest.mark.filterwarnings("error")
def test_a_figure_that_lays_itself_out_stays_so():
    "matplotlib comes back from a tight SVG with its default layout, which moves free axes."
    figure = plt.figure(layout="none")
    figure.add_axes((0.1, 0.1, 0.2, 0.5)).plot([0, 1])
    before = print_small(figure)
    assert print_svg(figure)
    assert print_small(figure) == before
