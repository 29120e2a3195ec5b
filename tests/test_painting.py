"Any picture can be painted, and a painting is what it says."

import copy
import io
import itertools
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from conftest import PEAK_MEMORY
from PIL import Image
from skimage import data
from tqdm import tqdm

import cadl_flax
import cadl_flax.painting as painting_module
from cadl_flax.networks import MLP
from cadl_flax.painting import (
    Painting,
    _batch_size,
    _early_steps,
    _epoch_length,
    _init_preset,
    _n_epochs,
    _step_of_first_epoch,
    paint,
    paint_chunks,
    progress_bar,
    small_frame,
)
from cadl_flax.presets import DEFAULT_PRESET, PRESETS
from cadl_flax.pictures import coordinates, pixels, psnr, read_image, render, shrink
from cadl_flax.regression import mae
from cadl_flax.tracking import save
from cadl_flax.regression import mse
from cadl_flax.training import begin_run

PHOTO = shrink(data.astronaut(), 24)
GRAY = PHOTO[..., 0]
RGBA = np.dstack([PHOTO, GRAY])
RAMP = np.linspace(0, 1, 24 * 24 * 3).reshape(24, 24, 3)


def shown(painting):
    "The painting as it is shown and saved, with 8 bits a channel."
    return (painting.render() * 255).round().astype(np.uint8)


LAYOUTS = {
    "RGB": PHOTO,
    "gray": GRAY,
    "one channel": PHOTO[..., :1],
    "two channels": PHOTO[..., :2],
    "RGBA": RGBA,
    "16 bits": PHOTO.astype(np.uint16) * 257,
    "float64": RAMP,
    "float32": RAMP.astype(np.float32),
    "bool": GRAY > 99,
    "three rows": PHOTO[:3],
    "one row": PHOTO[:1],
    "one column": PHOTO[:, :1],
    "one pixel": PHOTO[:1, :1],
}


@pytest.mark.parametrize("image", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_is_painted(image):
    painting = paint(image, n_epochs=2, batch_size=64)
    assert painting.render().shape == image.shape
    assert painting.render().dtype == np.float32
    assert painting.progress == 1
    assert len(painting.frames) >= 1


SAVED_SHAPES = {
    "RGB": (PHOTO, (24, 24, 3)),
    "gray": (GRAY, (24, 24)),
    "one channel": (PHOTO[..., :1], (24, 24)),
    "one row": (PHOTO[:1], (1, 24, 3)),
    "one column": (PHOTO[:, :1], (24, 1, 3)),
    "one pixel": (PHOTO[:1, :1], (1, 1, 3)),
    "one gray pixel": (GRAY[:1, :1], (1, 1)),
    "RGBA": (RGBA, (24, 24, 4)),
}


@pytest.mark.parametrize("image, shape", SAVED_SHAPES.values(), ids=SAVED_SHAPES)
def test_what_is_saved_is_what_is_rendered(tmp_path, image, shape):
    painting = paint(image, n_epochs=2, batch_size=64)
    path, *_ = painting.save(tmp_path / "x.png")
    saved = read_image(path)
    assert saved.shape == shape
    np.testing.assert_array_equal(saved, shown(painting).reshape(shape))


def test_a_film_of_one_frame():
    painting = paint(PHOTO, n_epochs=4, n_frames=1)
    assert len(painting.frames) == 1
    np.testing.assert_array_equal(painting.frames[0], shown(painting))


def test_an_unfinished_painting_is_the_last_frame_of_its_film():
    chunks = paint_chunks(PHOTO, n_epochs=50, n_frames=4)
    *_, painting = itertools.islice(chunks, 17)
    assert painting.progress < 1
    np.testing.assert_array_equal(painting.film().frames[-1], shown(painting))


@pytest.mark.parametrize("size, n_epochs, least_psnr", [(64, 100, 28.0)])
def test_it_is_good(size, n_epochs, least_psnr):
    assert paint(shrink(data.astronaut(), size), n_epochs=n_epochs).psnr >= least_psnr


def test_the_picture_is_not_turned_or_mirrored():
    rendered = paint(PHOTO, n_epochs=150, batch_size=64).render()
    turned = [rendered[::-1], rendered[:, ::-1], rendered.transpose(1, 0, 2)]
    assert psnr(rendered, PHOTO) > 25
    assert 25 > max(psnr(picture, PHOTO) for picture in turned) + 5


@pytest.mark.parametrize("name", PRESETS)
def test_the_key_decides(name):
    def rendered(seed):
        key = jax.random.key(seed)
        return paint(PHOTO, network=name, n_epochs=2, key=key).render()

    first = rendered(0)
    assert (first == rendered(0)).all()
    assert (first != rendered(1)).any()


def test_chunks_are_the_painting():
    *_, last = paint_chunks(PHOTO, n_epochs=5)
    np.testing.assert_array_equal(last.render(), paint(PHOTO, n_epochs=5).render())
    np.testing.assert_array_equal(last.frames[-1], shown(last))
    assert [p.progress for p in paint_chunks(PHOTO, n_epochs=4)] == [0.25, 0.5, 0.75, 1]


def test_large_pictures_have_short_epochs_and_small_frames():
    image = np.zeros((1200, 900, 3), np.uint8)
    chunks = paint_chunks(image, network=partial(MLP, width=8, depth=1), n_epochs=50)
    chunk = next(chunks)
    batch_size = 1200 * 900 // 192
    assert chunk.run.batch_size == batch_size
    assert chunk.run.losses.size == 1200 * 900 // 12 // batch_size == 16
    assert chunk.frames[-1].shape == (256, 192, 3)
    assert chunk.render(h=30).shape == (30, 22, 3)


def test_stable_names_are_imported_from_the_top():
    assert cadl_flax.paint is paint
    assert set(cadl_flax.__all__) == {"paint", "Painting", "inpaint", "enlarge", "fit", "Run"}
    assert set(cadl_flax.__all__) <= set(dir(cadl_flax))
    with pytest.raises(AttributeError):
        cadl_flax.sculpt


def test_a_network_is_made_anew_for_every_painting():
    "Even by a function that reads an outer name, as in notebooks, after the name has changed."
    width = 8

    def network(in_features, out_features, *, rngs):
        return MLP(in_features, out_features, width=width, depth=1, rngs=rngs)

    image = np.zeros((8, 8, 3))
    narrow = paint(image, network=network, n_epochs=1)
    width = 16
    assert paint(image, network=network, n_epochs=1).n_parameters > narrow.n_parameters


def test_going_on_is_not_stopping():
    chunks = paint_chunks(PHOTO, n_epochs=7)
    for stopped in chunks:
        if stopped.run.epoch == 3:
            break
    went_on, straight = paint(stopped), paint(PHOTO, n_epochs=7)
    np.testing.assert_array_equal(went_on.render(), straight.render())
    assert went_on.losses == straight.losses
    assert len(went_on.frames) == len(straight.frames)
    assert went_on.progress == 1
    assert stopped.run.epoch == 3
    assert stopped.progress < 1


def test_a_finished_painting_takes_a_new_order():
    first = paint(PHOTO, n_epochs=10)
    second = paint(first, n_epochs=100, learning_rate=2e-3, batch_size=64)
    assert second.run.epoch == 110
    assert second.run.batch_size == 64
    assert first.run.epoch == 10
    assert second.psnr > first.psnr
    assert second.losses[:10] == first.losses
    assert len(second.film().frames) <= 60
    assert paint(first, n_epochs=4, n_frames=2).progress == 1


def test_a_target_stops_the_painting():
    far = paint(PHOTO, target_psnr=20.0, n_epochs=3000)
    near = paint(PHOTO, target_psnr=30.0, n_epochs=3000)
    assert 20 <= far.psnr < 30 <= near.psnr
    assert far.run.epoch < near.run.epoch < 3000
    assert far.progress == near.progress == 1
    np.testing.assert_array_equal(far.frames[-1], shown(far))


def test_a_target_stops_the_painting_whatever_its_loss():
    painting = paint(PHOTO, target_psnr=20.0, n_epochs=3000, loss=mae)
    assert 20 <= painting.psnr
    assert painting.run.epoch < 3000


def test_a_time_limit_can_go_on():
    for stopped in paint_chunks(PHOTO, seconds=3):
        if stopped.progress > 0.3:
            break
    assert paint(stopped).run.epoch > stopped.run.epoch


def test_a_grid_learns_by_heart_and_a_half_grid_is_smaller():
    half = paint(PHOTO, network="half-grid", n_epochs=200, batch_size=128)
    whole = paint(PHOTO, network="grid", n_epochs=200, batch_size=128)
    assert half.n_parameters < whole.n_parameters
    assert half.psnr + 5 < whole.psnr


@pytest.mark.parametrize(
    "options, error, message",
    [
        (
            dict(network="oil"),
            ValueError,
            "network='oil'.*full-grid, half-grid, grid, siren, fourier, mlp",
        ),
        (dict(network=3), TypeError, "network=3"),
        (dict(target_psnr=-1), ValueError, "target_psnr=-1"),
        (dict(target_psnr=float("nan")), ValueError, "target_psnr=nan"),
        (dict(seconds=float("inf")), ValueError, "seconds=inf"),
        (dict(learning_rate=0), ValueError, "learning_rate=0"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_at_once(options, error, message):
    with pytest.raises(error, match=message):
        paint_chunks(PHOTO, **options)


@pytest.mark.parametrize(
    "options", [dict(network="siren"), dict(key=jax.random.key(1))], ids=["network", "key"]
)
def test_a_painting_keeps_its_network_and_key(options):
    painting = paint(PHOTO, n_epochs=1)
    with pytest.raises(ValueError, match="the painting's own"):
        paint_chunks(painting, **options)


def compiled(image, network="half-grid", **settings):
    "Paint once, so that all programs are compiled, then again."
    paint(image, network=network, n_epochs=1, n_frames=1)
    return paint(image, network=network, **settings)


@pytest.mark.slow
def test_the_lectures_cost_within_a_second():
    image = shrink(data.astronaut(), 64)
    painting = compiled(image, seconds=1.0)
    assert 255 * abs(painting.render() - image / 255).sum(2).mean() < 41.1


@pytest.mark.slow
def test_forty_decibels_within_fifteen_seconds():
    assert compiled(shrink(data.astronaut(), 64), network="grid", seconds=15.0).psnr >= 40


@pytest.mark.slow
@pytest.mark.parametrize("name, at, between", [("half-grid", 30, 29), ("full-grid", 42, 30.5)])
def test_decibels_at_the_pixels_and_between_in_fifteen_seconds(name, at, between):
    painting = compiled(shrink(data.astronaut(), 256), network=name, seconds=15.0)
    assert painting.psnr >= at
    assert psnr(painting.render(512, 512), data.astronaut()) >= between


PAINT_TWELVE_MEGAPIXELS = """
import sys
import numpy as np
from skimage import data
from cadl_flax import paint
photo = np.tile(data.astronaut(), (6, 8, 1))[:3000, :4000]
painting = paint(photo, seconds=20)
painting.save(sys.argv[1])
assert painting.render().shape == (3000, 4000, 3)
print(peak_memory())
"""


@pytest.mark.slow
def test_twelve_megapixels_fit_into_three_gibibytes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY + PAINT_TWELVE_MEGAPIXELS, tmp_path / "large.png"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) / 2**20 < 3
    assert read_image(tmp_path / "large.png").shape == (3000, 4000, 3)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.tif"])
def test_a_painting_is_written_in_the_format_of_its_name(tmp_path, name):
    painting = paint(PHOTO, n_epochs=1, network="mlp")
    picture, film = painting.save(tmp_path / name)
    assert (picture.name, film.name) == (name, "x.gif")
    written = read_image(picture).astype(float)
    assert abs(written - painting.render() * 255).mean() < (4 if name == "x.jpg" else 0.6)


@pytest.mark.parametrize("name", ["x.gif", "x.bmp", "x"])
def test_other_names_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="must end in .png"):
        paint(PHOTO, n_epochs=1).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_target_met_by_rounding_is_met():
    black_or_white = GRAY > 99
    assert paint(black_or_white, target_psnr=60.0, n_epochs=3000).run.epoch < 500


def test_a_flat_picture_has_a_smaller_grid():
    flat = paint(np.zeros((8, 128, 3), np.uint8), n_epochs=1, batch_size=16)
    square = paint(np.zeros((128, 128, 3), np.uint8), n_epochs=1, batch_size=16)
    assert flat.n_parameters < 0.5 * square.n_parameters


def test_a_painting_of_a_run_alone_can_go_on():
    painting = paint(PHOTO, n_epochs=1)
    assert paint(Painting(painting.run, PHOTO), n_epochs=2).run.epoch == 3


def test_sizes_of_nothing_are_refused():
    with pytest.raises(ValueError, match="h=0"):
        paint(PHOTO, n_epochs=1).render(0)


def learning_rate(painting):
    "The rate that the last step was taken at."
    return float(painting.run.state.opt_state.hyperparams["learning_rate"])


def test_the_learning_rate_falls_along_a_cosine():
    chunks = paint_chunks(PHOTO, n_epochs=8, learning_rate=0.004, n_frames=1)
    rates = [learning_rate(painting) for painting in chunks]
    shares = 0.51 + 0.49 * np.cos(np.pi * np.arange(8) / 8)
    np.testing.assert_allclose(rates, 0.004 * shares, rtol=1e-5)


def times_left(shown):
    "The times left, as texts, of all states of a bar."
    states = [state for state in shown.split("\r") if "<" in state]
    return [state.split("<")[1].split()[0].rstrip(",") for state in states]


def test_a_bar_tells_the_time_left_from_the_epochs_it_has_seen(monkeypatch):
    "If a painting goes on at 90 %, its new epochs say how long the rest takes, not the 90 %."
    clock = itertools.count(100, 0.5)
    monkeypatch.setattr(tqdm, "_time", lambda self: next(clock), raising=False)
    monkeypatch.setattr("tqdm.std.time", lambda: next(clock))
    run = SimpleNamespace(loss=mse)
    paintings = [
        SimpleNamespace(progress=progress, history=[0.1], run=run)
        for progress in np.linspace(0.9, 0.91, 11)
    ]
    screen = io.StringIO()
    assert list(progress_bar(paintings, file=screen, mininterval=0)) == paintings
    left = times_left(screen.getvalue())
    assert left[:2] == ["?", "?"]  # nothing is known before the second one
    minutes, seconds = map(int, left[-1].split(":"))
    # nine times what ten steps of half a second or more took
    assert 30 < 60 * minutes + seconds < 300


@pytest.mark.parametrize("window", [(0, 0, 1), (0, 0, 1, 1, 1), ()], ids=str)
def test_a_window_of_other_than_four_numbers_is_named(window):
    painting = paint(PHOTO, network="mlp", n_epochs=1)
    message = f"window={window} must be four numbers, (top, left, bottom, right)"
    with pytest.raises(ValueError, match=re.escape(message)):
        painting.render(4, 4, window=window)
    assert painting.render(4, 4, window=np.array([-1, -1, 1, 1.0])).shape == (4, 4, 3)


def test_a_missing_folder_is_named_with_the_file_that_was_asked_for(tmp_path):
    painting = paint(PHOTO, network="mlp", n_epochs=1)
    path = tmp_path / "nowhere" / "x.png"
    for write in (painting.save, painting.film().save, partial(save, painting)):
        with pytest.raises(FileNotFoundError) as caught:
            write(path)
        assert caught.value.filename == str(path)
        assert caught.value.filename2 is None


def test_a_folder_of_the_name_is_named_and_stays_alone(tmp_path):
    painting = paint(PHOTO, network="mlp", n_epochs=1)
    taken = tmp_path / "taken.png"
    taken.mkdir()
    with pytest.raises(OSError) as caught:
        painting.save(taken)
    assert caught.value.filename == str(taken)
    assert list(tmp_path.iterdir()) == [taken]


def test_an_exact_copy_is_called_one():
    "No error is left to measure, so its decibels would be infinite."
    flat = np.full((4, 4), 128, np.uint8)
    painting = paint(flat, n_epochs=300)
    assert painting.psnr == float("inf")
    assert "exact copy" in painting._repr_html_()
    assert "inf" not in painting._repr_html_()


@pytest.mark.parametrize(
    "n_frames, n_batches", [(40, 32), (40, 8), (60, 128), (2, 32), (1, 32), (41, 1)]
)
def test_half_of_the_frames_are_of_the_first_epoch(n_frames, n_batches):
    steps = _early_steps(n_frames, n_batches)
    assert len(steps) == min(n_frames // 2, n_batches)
    assert steps == sorted(set(steps))
    if steps:
        assert steps[0] == 0
        assert steps[-1] < n_batches


LARGER = shrink(data.astronaut(), 64)


def begun(batch_size):
    "The run that a painting of `LARGER` with the default key starts from, and its table."
    h, w, channels = LARGER.shape
    x, y = map(jax.numpy.asarray, pixels(LARGER))
    run = _init_preset(
        jax.random.key(0),
        name=DEFAULT_PRESET,
        h=h,
        w=w,
        n_channels=channels,
        batch_size=batch_size,
        n_batches=len(x) // batch_size,
        loss=None,
        offsets=tuple(itertools.product((-1 / 128, 1 / 128), repeat=2)),  # a pixel is 1 / 32 wide
    )
    return begin_run(run, x, y, learning_rate=5e-3), x, y


def test_the_film_begins_before_the_first_step_and_is_half_formation():
    frames = paint(LARGER, n_epochs=60, batch_size=128).frames
    untrained = small_frame(begun(128)[0].model, LARGER)
    assert (frames[0] == untrained).all()
    assert 30 < len(frames) <= 40
    distances = np.array([psnr(frame, frames[-1]) for frame in frames[:-1]])
    assert np.mean(distances < 25) >= 0.5


def test_nobody_waits_for_the_frames_of_the_first_epoch():
    "But who reads them after it; a painting that goes on from there has them too."
    first, second, *_ = paint_chunks(LARGER, n_epochs=3, batch_size=128)
    steps = _early_steps(40, 32)
    assert "frames" not in vars(first)
    assert len(first.frames) == len(steps) + 1
    assert psnr(first.frames[-1], small_frame(first.run.model, LARGER)) > 60
    assert all((a == b).all() for a, b in zip(first.frames, second.frames))
    for again in (copy.copy(first), replace(first, network=None)):
        assert len(again.frames) == len(first.frames)
    only = paint(LARGER, n_epochs=1, batch_size=128)
    assert len(only.frames) == len(steps) + 1
    assert (only.frames[0] == second.frames[0]).all()


def test_a_preset_is_compiled_while_it_is_made():
    "What was compiled ahead is what runs, and what the frames need comes later."
    compiled = []

    def note(event, _, fun_name="", **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(fun_name)

    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        next(paint_chunks(LARGER, batch_size=100, n_frames=1))
    finally:
        jax.monitoring.clear_event_listeners()
    assert compiled.count("jit(_init_preset)") == compiled.count("jit(_train)") == 1
    assert not {"jit(_step_of_first_epoch)", "jit(_call)"} & set(compiled)


def test_a_frame_of_the_first_epoch_is_the_painting_after_so_many_steps():
    "All steps of the first epoch, taken one by one, give the painting after that epoch."
    run, x, y = begun(128)
    settings = dict(
        loss=run.loss,
        optimizer=run.optimizer,
        batch_size=run.batch_size,
        n_batches=run.n_batches,
        offsets=run.offsets,
    )
    state = run.state
    for step in range(run.n_batches):
        state = _step_of_first_epoch(state, x, y, run.key, step, **settings)
    first = next(paint_chunks(LARGER, batch_size=128, n_frames=1))
    assert run.n_batches == 32
    assert psnr(render(state.model, 64, 64, supersample=2), first.render()) > 50


def test_progress_is_what_all_processes_agree_on(monkeypatch):
    "Their clocks differ; a process that takes its own word would stop at another epoch."
    monkeypatch.setattr(painting_module, "agree", lambda value: type(value)(0.5))
    first = next(paint_chunks(PHOTO, n_epochs=50, n_frames=1))
    assert first.progress == 0.5


def test_a_pixel_is_the_mean_of_places_in_it():
    "Drawn as it was trained: the mean of the colours at the centres of its quarters."
    painting = paint(PHOTO, n_epochs=20, n_frames=1)
    h, w = PHOTO.shape[:2]
    places = coordinates(2 * h, 2 * w)
    colours = np.asarray(painting.run.model(places)).reshape(h, 2, w, 2, 3).mean((1, 3))
    np.testing.assert_allclose(painting.render(), colours.clip(0, 1), atol=1e-5)
    assert painting.supersample == 2
    before = paint(PHOTO, n_epochs=1, supersample=1)
    assert before.supersample == 1 and before.run.offsets is None
    centres = render(before.run.model, h, w)
    np.testing.assert_array_equal(before.render(), centres)


def test_going_on_can_change_what_a_pixel_is():
    painting = paint(PHOTO, n_epochs=1)
    centres = paint(painting, n_epochs=1, supersample=1)
    assert (centres.supersample, paint(centres, n_epochs=1).supersample) == (1, 1)
    assert paint(centres, n_epochs=1, supersample=3).supersample == 3


def test_between_its_pixels_it_is_ahead_of_lanczos():
    truth = data.astronaut()[:256, 100:356]
    small = np.uint8(np.rint(truth.reshape(128, 2, 128, 2, 3).mean((1, 3))))
    lanczos = Image.fromarray(small).resize((256, 256), Image.Resampling.LANCZOS)
    painting = paint(small, n_epochs=30, n_frames=1)
    assert psnr(painting.render(256, 256), truth) > psnr(np.asarray(lanczos), truth) + 0.2


@pytest.mark.parametrize("n", [1, 100, 2**12, 2**16, 2**18, 10**6, 12 * 10**6, 5 * 10**7])
def test_steps_show_every_pixel_of_a_picture_of_any_size(n):
    size = _batch_size(n)
    length = _epoch_length(n, size)
    n_epochs = _n_epochs(n, 2)
    assert 1 <= size <= n and length * size <= n
    assert 40 <= n_epochs <= 100
    assert n_epochs * length * size >= 2.5 * n
    if n >= 10**6:  # as many steps, so time and memory grow with the pixels
        assert 600 <= n_epochs * length <= 700


def test_passes_count_how_often_a_pixel_was_shown():
    assert paint(PHOTO, n_epochs=3).passes == pytest.approx(3 * (24 * 24 // 512) * 512 / 24**2)
