"What tests of several experiments share."

import base64

import numpy as np
import pytest
import safetensors.numpy
from site_helpers import visit
from skimage import data

from cadl_flax.pictures import shrink


def place(tab, name):
    return tab.locator(f'[data-experiment="{name}"]')


def open_page(browser, built, page_name, *how):
    tab, noise = visit(browser, built.as_uri(), *how)
    tab.goto(f"{built.as_uri()}/{page_name}.html")
    return tab, noise


def page_fixture(page_name):
    "A fixture: the page in a tab, in which nothing may go wrong."

    @pytest.fixture
    def tab(browser, built):
        tab, noise = open_page(browser, built, page_name)
        yield tab
        assert noise == []
        tab.context.close()

    return tab


def astronaut():
    "The picture that the lessons paint."
    return shrink(data.astronaut(), 64)


def unpack(encoded):
    "The parameters of a network which a page gives to an experiment, in their order."
    arrays = safetensors.numpy.load(base64.b64decode(encoded.split(",")[1]))
    numbers = sorted((name for name in arrays if "." not in name), key=int)
    return [arrays[i] * arrays.get(f"{i}.scale", np.float32(1)) for i in numbers]


def put(mlp, parameters):
    "Give the layers of `mlp` these kernels and biases."
    layers = [*mlp.hidden, mlp.out]
    for layer, kernel, bias in zip(layers, parameters[::2], parameters[1::2], strict=True):
        layer.kernel[...], layer.bias[...] = kernel, bias


def drag_by_touch(tab, element, right, down):
    "Drag an element by a finger, in the pixels of the page."
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = tab.context.new_cdp_session(tab)

    def send(kind, *points):
        found = [dict(x=x, y=y) for x, y in points]
        touch.send("Input.dispatchTouchEvent", dict(type=kind, touchPoints=found))

    send("touchStart", (x, y))
    for share in (0.25, 0.5, 0.75, 1):
        send("touchMove", (x + share * right, y + share * down))
    send("touchEnd")
