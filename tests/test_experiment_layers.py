"What goes through a network at a place, on page 08 in the browser, against the package."

import re

import numpy as np
import pytest
from experiment_helpers import astronaut, page_fixture, place, put, unpack
from flax import nnx
from site_helpers import NBS, cells

from website.pages import text
from cadl_flax.grids import Grid
from cadl_flax.networks import MLP
from cadl_flax.pictures import pixels, psnr

NAME = "layers"
KINDS = dict(grids=2, bare=6)  # hidden layers
PRINTED = dict(
    grids=r"the painting: (\d+\.\d) dB\n", bare=r"falling rate +(\d+) dB\n"
)  # on the page


def printed_decibels(kind):
    outputs = [o for _, c in cells(NBS / "08_painting.ipynb") for o in c["outputs"]]
    words = [text(output.get("text")) for output in outputs]
    found = re.findall(f"^{PRINTED[kind]}", "".join(words), re.M)
    return float(found[-1])


tab = page_fixture("painting")


@pytest.fixture(scope="module", name="picture")
def small_picture():
    return astronaut()


def stages_of(kind, parameters, places):
    "What goes through the network of the package with these parameters."
    depth = KINDS[kind]
    columns = [places]
    if kind == "grids":
        grid = Grid(2, n_levels=4, finest=32, n_features=4, rngs=nnx.Rngs(0))
        for table, numbers in zip(grid.tables, parameters):
            table[...] = numbers
        parameters = parameters[len(grid.tables) :]
        columns.append(grid(places))
    mlp = MLP(columns[-1].shape[1], 3, width=64, depth=depth, rngs=nnx.Rngs(0))
    put(mlp, parameters)
    for layer in [*mlp.hidden, mlp.out]:
        columns.append(layer(columns[-1]))
    return [np.asarray(column) for column in columns]


def choose(tab, kind):
    "Show a network, and what the package says of it at all places."
    place(tab, NAME).get_by_label("network").select_option(kind)
    parameters = unpack(tab.evaluate(f"kit.data.{NAME}.weights.{kind}"))
    picture = astronaut()
    return stages_of(kind, parameters, pixels(picture)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_that_of_the_package(tab, kind):
    "Activations and colours at 50 places."
    stages = choose(tab, kind)
    some = np.random.default_rng(0).choice(4096, 50, replace=False)
    for s, values in enumerate(stages):
        theirs = tab.evaluate(
            """([s, n, some]) => some.map(p =>
                [...kit.running.layers.stages[s].values.slice(p * n, (p + 1) * n)])""",
            [s, values.shape[1], some.tolist()],
        )
        np.testing.assert_allclose(theirs, values[some], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_numbers_cost_little(tab, picture, kind):
    "The paintings are those of the page to 0.2 dB, or what another processor makes of training."
    painting = choose(tab, kind)[-1].clip(0, 1).reshape(picture.shape)
    found = psnr(painting, picture)
    assert found == pytest.approx(printed_decibels(kind), abs=0.7)
    assert f"the painting, {found:.1f} dB" in place(tab, NAME).inner_text()


def changes(values):
    "How much all numbers change from a pixel to the next below and to the right."
    grid = values.astype(float).reshape(64, 64, -1)
    down, right = np.diff(grid, axis=0)[:, :-1], np.diff(grid, axis=1)[:-1]
    return np.sqrt((down**2 + right**2).sum(-1)).ravel()


@pytest.mark.parametrize("kind", KINDS)
def test_edges_are_correlations_of_changes(tab, picture, kind):
    "Bare coordinates know nothing of outlines, and each layer more than the one before it."
    outlines = changes(pixels(picture)[1])
    stages = choose(tab, kind)[1:]
    found = tab.evaluate("kit.running.layers.stages.map(stage => stage.edges)")[1:]
    expected = [np.corrcoef(changes(values), outlines)[0, 1] for values in stages]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert (np.diff(found) > 0).all()
    assert (found[0] > 0.5) == (kind == "grids")


def strip_cells(tab, strip):
    rects = place(tab, NAME).locator(".layers-table svg").nth(strip).locator("rect")
    return rects.evaluate_all("all => all.map(r => Number(r.style.fillOpacity))")


def test_strips_show_the_numbers_at_the_place(tab):
    values = choose(tab, "grids")[2]
    row, col, _ = place(tab, NAME).locator("input").all()
    row.fill("9")
    col.fill("33")
    expected = np.minimum(1, 2 * values[9 * 64 + 33] / values.max())
    np.testing.assert_allclose(strip_cells(tab, 2), expected, atol=1e-4)


def test_a_mouse_chooses_the_place_without_a_press(tab, picture):
    canvas = place(tab, NAME).locator("canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tab.mouse.move(box["x"] + box["width"] * 40.5 / 64, box["y"] + box["height"] * 12.5 / 64)
    text = place(tab, NAME).inner_text()
    assert "Row 12, column 40" in text
    red, green, blue = picture[12, 40] / 255
    assert f"red {red:.2f}, green {green:.2f}, blue {blue:.2f}" in text
    tab.mouse.down()
    tab.mouse.up()
    tab.mouse.move(box["x"] + 10, box["y"] + 10)
    assert "Row 12, column 40, held" in place(tab, NAME).inner_text()


def test_a_press_on_a_cell_paints_its_neuron(tab):
    values = choose(tab, "bare")[3]
    strip = place(tab, NAME).locator(".layers-table svg").nth(3)
    strip.scroll_into_view_if_needed()
    box = strip.bounding_box()
    tab.mouse.click(box["x"] + box["width"] * 20.5 / 64, box["y"] + box["height"] / 2)
    assert "layer 3, number 21" in place(tab, NAME).inner_text()
    theirs = (
        place(tab, NAME)
        .locator("canvas")
        .nth(2)
        .evaluate("c => [...c.getContext('2d').getImageData(0, 0, 64, 64).data]")
    )
    own = values[:, 20]
    greys = 255 * (own - own.min()) / max(np.ptp(own), 1e-9)
    np.testing.assert_allclose(np.reshape(theirs, (4096, 4))[:, 0], greys, atol=1)


def test_a_neuron_is_chosen_by_keyboard(tab):
    place(tab, NAME).get_by_label("picture of").select_option("1")
    number = place(tab, NAME).get_by_label("number")
    number.focus()
    number.press("End")
    assert "grids, number 16" in place(tab, NAME).inner_text()
    assert tab.evaluate("kit.running.layers.chosen") == dict(stage=1, neuron=15)


def test_a_finger_chooses_the_place(browser, built):
    context = browser.new_context(has_touch=True, viewport=dict(width=390, height=844))
    tab = context.new_page()
    tab.goto(f"{built.as_uri()}/painting.html")
    canvas = place(tab, NAME).locator("canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tab.touchscreen.tap(box["x"] + 0.26 * box["width"], box["y"] + 0.51 * box["height"])
    assert "Row 32, column 16" in place(tab, NAME).inner_text()
    context.close()
