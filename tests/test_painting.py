"Any picture can be painted, and a painting is what it says."
from functools import partial

import jax
import numpy as np
import pytest
from skimage import data

import cadl_flax
from cadl_flax.networks import MLP
from cadl_flax.painting import NETWORKS, paint, paint_chunks
from cadl_flax.pictures import psnr, read_image, shrink

PHOTO = shrink(data.astronaut(), 24)
RAMP = np.linspace(0, 1, 24*24*3).reshape(24, 24, 3)


@pytest.mark.parametrize("image", [PHOTO, PHOTO[..., 0], PHOTO[..., :1], PHOTO[..., :2], np.dstack([PHOTO, PHOTO[..., 0]]), PHOTO.astype(np.uint16)*257, RAMP,
                                   RAMP.astype(np.float32), PHOTO[..., 0] > 99, PHOTO[:3], PHOTO[:1], PHOTO[:, :1], PHOTO[:1, :1]],
                         ids=lambda im: f"{im.shape}-{im.dtype}")
def test_every_layout_is_painted(image):
    painting = paint(image, n_epochs=2, batch_size=64)
    assert painting.render().shape == image.shape and painting.render().dtype == np.float32
    assert painting.progress == 1 and len(painting.frames) >= 1


@pytest.mark.parametrize("image, saved", [(PHOTO, (24, 24, 3)), (PHOTO[..., 0], (24, 24)), (PHOTO[..., :1], (24, 24)), (PHOTO[:1], (1, 24, 3)), (PHOTO[:, :1], (24, 1, 3)),
                                          (PHOTO[:1, :1], (1, 1, 3)), (PHOTO[:1, :1, 0], (1, 1)), (np.dstack([PHOTO, PHOTO[..., 0]]), (24, 24, 4))],
                         ids=lambda v: str(getattr(v, "shape", v)))
def test_what_is_saved_is_what_is_rendered(tmp_path, image, saved):
    painting = paint(image, n_epochs=2, batch_size=64)
    read = read_image(painting.save(tmp_path/"x.png")[0])
    assert read.shape == saved
    np.testing.assert_array_equal(read, (painting.render()*255).round().astype(np.uint8).reshape(saved))


def test_a_film_of_one_frame():
    painting = paint(PHOTO, n_epochs=4, n_frames=1)
    assert len(painting.frames) == 1
    np.testing.assert_array_equal(painting.frames[0], painting.render())


def test_an_unfinished_painting_is_the_last_frame_of_its_film():
    *_, (_, painting) = zip(range(17), paint_chunks(PHOTO, n_epochs=50, n_frames=4))
    assert painting.progress < 1
    np.testing.assert_array_equal(painting.film().frames[-1], painting.render())


@pytest.mark.parametrize("size, epochs, least", [(64, 100, 28.)])
def test_it_is_good(size, epochs, least): assert paint(shrink(data.astronaut(), size), n_epochs=epochs).psnr >= least


def test_the_picture_is_not_turned_or_mirrored():
    painting = paint(PHOTO, n_epochs=150, batch_size=64)
    scores = [psnr(turn(painting.render()), PHOTO) for turn in (lambda p: p, lambda p: p[::-1], lambda p: p[:, ::-1], lambda p: p.transpose(1, 0, 2))]
    assert scores[0] > 25 > max(scores[1:]) + 5


@pytest.mark.parametrize("name", NETWORKS)
def test_the_key_decides(name):
    paintings = [paint(PHOTO, network=NETWORKS[name], n_epochs=2, key=jax.random.key(k)).render() for k in (0, 0, 1)]
    assert (paintings[0] == paintings[1]).all() and (paintings[0] != paintings[2]).any()


def test_chunks_are_the_painting():
    *_, last = paint_chunks(PHOTO, n_epochs=5)
    np.testing.assert_array_equal(last.render(), paint(PHOTO, n_epochs=5).render())
    np.testing.assert_array_equal(last.frames[-1], last.render())
    assert [p.progress for p in paint_chunks(PHOTO, n_epochs=4)] == [.25, .5, .75, 1]


def test_large_pictures_have_short_epochs_and_small_frames():
    chunk = next(paint_chunks(np.zeros((1200, 900, 3), np.uint8), network=partial(MLP, width=8, depth=1), n_epochs=50))
    assert chunk.run.losses.size == 128 and chunk.run.batch_size == 512
    assert chunk.frames[-1].shape == (256, 192, 3)
    assert chunk.render(h=30).shape == (30, 22, 3)


def test_stable_names_are_imported_from_the_top():
    assert cadl_flax.paint is paint and set(cadl_flax.__all__) == {"paint", "Painting", "fit", "Run"} <= set(dir(cadl_flax))
    with pytest.raises(AttributeError): cadl_flax.sculpt


def test_a_network_is_made_anew_for_every_painting():
    "A function that reads a name from outside, as in a notebook, and the name changes between two paintings."
    width = 8
    def network(in_features, out_features, *, rngs): return MLP(in_features, out_features, width=width, depth=1, rngs=rngs)
    image = np.zeros((8, 8, 3))
    narrow = paint(image, network=network, n_epochs=1)
    width = 16
    assert paint(image, network=network, n_epochs=1).n_parameters > narrow.n_parameters
