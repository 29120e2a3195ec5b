"The batches of page 04 in the browser, against the package."

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from experiment_helpers import astronaut, page_fixture, place
from flax import nnx

from cadl_flax.pictures import pixels, psnr
from cadl_flax.regression import mse
from cadl_flax.sgd import TrainState, train_step

NAME = "batches"
PARAMETERS = "net => net.layers.map(layer => [layer.kernel, layer.bias].map(a => Array.from(a)))"
STATE = f"""({{size, rate, steps, seen, path, painting, net}}) => (
    {{size, rate, steps, seen, path, painting: Array.from(painting), layers: ({PARAMETERS})(net)}})"""


tab = page_fixture("minibatches")


@pytest.fixture(scope="module", name="image")
def small_picture():
    return astronaut()


def model_of(layers):
    "The network of the page with these numbers."
    parts = []
    for kernel, bias in layers:
        outputs = len(bias)
        linear = nnx.Linear(len(kernel) // outputs, outputs, rngs=nnx.Rngs(0))
        linear.kernel = nnx.Param(jnp.array(kernel, jnp.float32).reshape(-1, outputs))
        linear.bias = nnx.Param(jnp.array(bias, jnp.float32))
        parts += [linear, nnx.relu]
    return nnx.Sequential(*parts[:-1])


def begin(tab, size, rate=0.2):
    return tab.evaluate_handle(f"kit.running.batches.begin({size}, {rate})")


def state(tab, training=None):
    if training is None:
        training = tab.evaluate_handle("kit.running.batches.training")
    return training.evaluate(STATE)


def control(tab, name):
    return place(tab, NAME).get_by_label(name, exact=False).first


def train(tab):
    return place(tab, NAME).get_by_role("button")


def wait_for_steps(tab, n):
    tab.wait_for_function(f"kit.running.batches.training.steps >= {n}")


def test_the_network_is_that_of_the_page(tab):
    model = model_of(state(tab)["layers"])
    assert sum(leaf.size for leaf in jax.tree.leaves(model)) == 8707
    for layer in model.layers[::2]:
        assert not layer.bias[...].any()
        spread = float(layer.kernel[...].std()) * np.sqrt(layer.kernel.shape[0])
        assert 0.8 < spread < 1.2  # the size of Flax's own start


@pytest.mark.parametrize("size", [1, 64, 4096])
def test_an_epoch_has_each_pixel_once(tab, size):
    epochs = tab.evaluate(
        """size => {
          const {begin, nextBatch} = kit.running.batches;
          const training = begin(size, .2);
          return [0, 1].map(() => Array.from({length: 4096 / size}, () => {
            const rows = Array.from(nextBatch(training));
            training.seen += size;
            return rows;
          }).flat());
        }""",
        size,
    )
    for rows in epochs:
        assert sorted(rows) == list(range(4096))
    assert epochs[0] != epochs[1]
    assert epochs[0] == tab.evaluate("Array.from(kit.running.batches.order(0))")


@pytest.mark.parametrize("size", [1, 8, 64, 4096])
def test_steps_are_those_of_the_package(tab, image, size):
    x, y = map(jnp.asarray, pixels(image))
    training, optimizer = begin(tab, size), optax.sgd(0.2)
    model = model_of(state(tab, training)["layers"])
    ours = TrainState(model, optimizer.init(model))
    for _ in range(3):
        rows = jnp.array(training.evaluate("t => Array.from(kit.running.batches.nextBatch(t))"))
        assert rows.shape == (size,)
        training.evaluate("kit.running.batches.takeStep")
        ours, _ = train_step(ours, x[rows], y[rows], mse, optimizer)
    theirs = state(tab, training)
    assert (theirs["steps"], theirs["seen"]) == (3, 3 * size)
    for mine, their in zip(
        jax.tree.leaves(ours.model), jax.tree.leaves(model_of(theirs["layers"]))
    ):
        np.testing.assert_allclose(their, mine, atol=1e-5)


def test_what_is_shown_is_what_jax_measures(tab, image):
    x, y = pixels(image)
    train(tab).click()
    wait_for_steps(tab, 70)
    train(tab).click()
    tab.evaluate("kit.running.batches.look(kit.running.batches.training)")
    shown = state(tab)
    model = model_of(shown["layers"])
    np.testing.assert_allclose(shown["painting"], np.ravel(model(x)), atol=1e-5)
    epochs, steps, loss = shown["path"][-1]
    assert (epochs * 4096 / 64, steps) == (shown["steps"], shown["steps"])
    np.testing.assert_allclose(loss, mse(model(x), y), rtol=1e-4)
    decibels = tab.evaluate("kit.running.batches.decibels(kit.running.batches.training)")
    painting = np.clip(model(x), 0, 1).reshape(64, 64, 3)
    assert decibels == pytest.approx(psnr(painting, image), abs=0.01)


def test_it_trains_between_two_presses_of_a_key(tab):
    assert state(tab)["steps"] == 0
    train(tab).focus()
    tab.keyboard.press("Enter")
    wait_for_steps(tab, 5)
    tab.keyboard.press("Enter")
    steps = state(tab)["steps"]
    tab.wait_for_timeout(200)
    assert state(tab)["steps"] == steps
    assert train(tab).inner_text() == "Train"


def test_another_batch_begins_again_and_the_curve_before_stays(tab):
    train(tab).click()
    wait_for_steps(tab, 130)
    control(tab, "batch").press("ArrowLeft")
    now = state(tab)
    assert (now["size"], now["steps"], len(now["path"])) == (32, 0, 1)
    assert place(tab, NAME).locator("svg:visible path.faint").count() == 1
    assert "before: 64 pixels" in place(tab, NAME).inner_text()


def test_all_pixels_a_step_end_where_page_04_says(tab):
    control(tab, "batch").fill("12")
    train(tab).click()
    tab.wait_for_function("kit.running.batches.ends.length == 1", timeout=120_000)
    [[power, decibels, rate]] = tab.evaluate("kit.running.batches.ends")
    assert (power, rate) == (12, 0.2)
    assert 12 < decibels < 13  # as for each key of its figure
    assert "40 steps" in place(tab, NAME).inner_text()
    assert train(tab).inner_text() == "Train"


def test_too_large_a_rate_is_told(tab):
    control(tab, "batch").fill("0")
    control(tab, "learning rate").fill("6")
    train(tab).click()
    place(tab, NAME).get_by_text("flown off").wait_for(timeout=60_000)
    assert tab.evaluate("kit.running.batches.ends") == []


def test_a_finger_starts_it_and_chooses_steps(browser, built):
    context = browser.new_context(has_touch=True, viewport=dict(width=390, height=844))
    tab = context.new_page()
    tab.goto(f"{built.as_uri()}/minibatches.html")
    train(tab).tap()
    wait_for_steps(tab, 2)
    train(tab).tap()
    control(tab, "loss against").select_option("steps")
    # axes that come into view are drawn by the next frame
    place(tab, NAME).locator("svg:visible").first.get_by_text("32,768").wait_for()
    context.close()
