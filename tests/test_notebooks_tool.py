"The tool that executes and compares notebooks notices what it should."

import base64
import copy
import io
import json
import time

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from safetensors import numpy as safetensors

PAGES = sorted((ROOT / "nbs").rglob("[!_.]*.ipynb"))


@pytest.fixture
def nb(root):
    return json.loads((root / "nbs" / "00_pictures.ipynb").read_text(encoding="utf-8"))


def printed(nb):
    "The first text that a cell prints."
    outputs = [o for c in nb["cells"] if c["cell_type"] == "code" for o in c["outputs"]]
    return next(o for o in outputs if o.get("name") == "stdout")


def stored(nb, folder):
    "The path of a file with this notebook."
    path = folder / "page.ipynb"
    path.write_text(json.dumps(nb), encoding="utf-8")
    return path


def test_equal_notebooks_do_not_differ(nb, notebooks_tool):
    assert notebooks_tool.differences(nb, copy.deepcopy(nb)) == []


@pytest.mark.parametrize("old, new", [("34", "35"), ("126", "125"), ("255", "256"), ("of", "in")])
def test_an_edited_output_is_found(nb, notebooks_tool, old, new):
    edited = copy.deepcopy(nb)
    out = printed(edited)
    assert old in "".join(out["text"])
    out["text"] = "".join(out["text"]).replace(old, new)
    assert notebooks_tool.differences(nb, edited)


def test_the_smallest_edit_breaks_the_stamp(nb, notebooks_tool, tmp_path):
    nb["metadata"][notebooks_tool.STAMP] = notebooks_tool.stamp(nb)
    assert notebooks_tool.stale(stored(nb, tmp_path)) == []
    out = printed(nb)
    out["text"] = "".join(out["text"]).replace("34", "33")
    assert notebooks_tool.stale(stored(nb, tmp_path))


def test_edited_code_breaks_the_stamp(nb, notebooks_tool, tmp_path):
    next(c for c in nb["cells"] if c.get("outputs"))["source"].append("\n# later")
    found = notebooks_tool.stale(stored(nb, tmp_path))
    assert found and found[0].endswith("python tools/notebooks.py page")


def test_conflict_markers_are_named_with_page_and_line(notebooks_tool, tmp_path):
    path = tmp_path / "page.ipynb"
    path.write_text('{\n<<<<<<< HEAD\n "cells": []\n=======\n}', encoding="utf-8")
    with pytest.raises(SystemExit, match=r"page.ipynb: line 2: not valid JSON.*nbdev_fix"):
        notebooks_tool.stale(path)


@pytest.mark.parametrize(
    "a, b, same",
    [
        ("30.1 dB", "30.2 dB", True),
        ("30.1 dB", "30.3 dB", False),
        ("1,234", "1,235", False),
        ("0.02", "0.03", True),
        ("0.02", "0.04", False),
        ("1e-05", "2e-05", True),
        ("1.00e-05", "1.02e-05", False),
        ("one 1.0", "two 1.0", False),
        ("[1, 2]", "[1, 3]", False),
    ],
)
def test_without_a_directive_only_the_last_place_may_differ(notebooks_tool, a, b, same):
    assert (notebooks_tool.text_fault(a, b) is None) == same


@pytest.mark.parametrize(
    "directive, a, b, same",
    [
        ("numbers within 5 %", "40.1 dB", "41.9 dB", True),
        ("numbers within 5 %", "40.1 dB", "42.4 dB", False),
        ("numbers within 5 %", "1,000 steps", "1,049 steps", True),
        ("numbers within 0.5", "-0.2", "0.2", True),
        ("numbers within 0.5", "-0.3", "0.3", False),
        ("numbers within 5 %", "one 1.0", "two 1.0", False),
        ("pictures at 20 dB", "1,234 and 0.25", "1,235 and 0.25", False),
    ],
)
def test_a_directive_says_how_far_numbers_may_differ(notebooks_tool, directive, a, b, same):
    allowed = notebooks_tool.tolerance(f"#| outputs: {directive}\nprint(1)")
    assert (notebooks_tool.text_fault(a, b, allowed) is None) == same


@pytest.mark.parametrize("directive", ["numbers roughly", "within 5 %", "pictures at 20", ""])
def test_a_directive_that_says_nothing_is_refused(notebooks_tool, directive):
    with pytest.raises(SystemExit, match="#| outputs: "):
        notebooks_tool.tolerance(f"#| outputs: {directive}")


def png(pixels):
    "Pixels as a file in base64."
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def webp(images, **options):
    "Images as the frames of a film in base64."
    file = io.BytesIO()
    rest = images[1:]
    images[0].save(file, "WEBP", save_all=True, append_images=rest, lossless=True, **options)
    return base64.b64encode(file.getvalue()).decode()


def test_pictures_are_compared_at_35_db(notebooks_tool):
    base = np.random.default_rng(0).integers(20, 230, (16, 16, 3), dtype=np.uint8)
    near, far, cut = png(base + 2), png(base + 8), png(base[:8])
    loose = notebooks_tool.tolerance("#| outputs: pictures at 25 dB")
    fault = notebooks_tool.picture_fault
    assert fault(png(base), near) is None
    assert fault(png(base), far) and fault(png(base), cut)
    assert fault(png(base), far, loose) is None
    html = '<img src="data:image/png;base64,{}" alt="x">'
    fault = notebooks_tool.output_fault
    assert fault("text/html", html.format(png(base)), html.format(near)) is None
    assert fault("text/html", html.format(png(base)), html.format(far))


def film(*shades):
    "A film of grey pictures of one shade each, as base64."
    images = [Image.fromarray(np.full((16, 16, 3), shade, np.uint8)) for shade in shades]
    return webp(images, duration=100)


def test_frames_that_a_film_stores_as_one_are_two(notebooks_tool):
    fault = notebooks_tool.picture_fault
    assert len(notebooks_tool.frames(film(0, 0, 200))) == 3
    assert fault(film(0, 0, 200), film(0, 1, 200)) is None
    assert fault(film(0, 0, 200), film(0, 200, 200)) and fault(film(0, 0, 200), film(0, 200))


def test_of_weights_only_the_shapes_are_compared(notebooks_tool):
    def html(width, seed):
        values = np.random.default_rng(seed).normal(size=(2, width)).astype(np.float32)
        encoded = base64.b64encode(safetensors.save({"w": values})).decode()
        return f'<a href="data:application/octet-stream;base64,{encoded}">weights</a>'

    fault = notebooks_tool.output_fault
    assert fault("text/html", html(3, 0), html(3, 1)) is None
    assert fault("text/html", html(3, 0), html(4, 0))


def loosened(tool, path):
    "The cells of a page whose outputs may differ."
    cells = [c for c in tool.read(path)["cells"] if c["cell_type"] == "code"]
    return [(c, t) for c in cells if (t := tool.tolerance(tool.text(c["source"]))) != tool.EXACT]


def pictures(tool, cell):
    "The base64 of the pictures that a cell shows."
    for kind, content in tool.shown(cell):
        if "svg" in kind:
            continue  # nothing is compared but the PNG beside it
        if kind.startswith("image/"):
            yield content
        yield from (x for k, x in tool.EMBEDDED.findall(content) if k.startswith("image/"))


def turned(tool, encoded):
    "The same file with its pictures turned round, as base64: the same size and the same colours."
    frames = [(f[::-1, ::-1] * 255).round().astype(np.uint8) for f in tool.frames(encoded)]
    return webp([Image.fromarray(frame) for frame in frames])


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_another_picture_is_found_however_loose_the_cell(notebooks_tool, path):
    tool = notebooks_tool
    for cell, allowed in loosened(tool, path):
        for encoded in pictures(tool, cell):
            assert tool.picture_fault(encoded, turned(tool, encoded), allowed), (
                f"{cell['id']}: {allowed}"
            )


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_only_cells_with_such_outputs_have_a_directive(notebooks_tool, path):
    "A directive that allows what the cell does not show would hide a later fault."
    tool = notebooks_tool
    for cell, allowed in loosened(tool, path):
        words = [content for kind, content in tool.shown(cell) if not kind.startswith("image/")]
        numbers = any(tool.NUMBER.search(tool.EMBEDDED.sub("", content)) for content in words)
        assert allowed.exact or numbers, cell["id"]
        assert allowed.decibels == tool.EXACT.decibels or any(pictures(tool, cell)), cell["id"]


def test_cells_that_nbdev_skips_are_skipped(root, notebooks_tool):
    path = root / "nbs" / "library" / "command_line.ipynb"
    sources = {c["id"]: "".join(c["source"]) for c in notebooks_tool.read(path)["cells"]}
    skip = {i for i, s in sources.items() if "eval: false" in s or "nbdev_export(" in s}
    assert len(skip) == 2 and notebooks_tool.skipped(path) == skip


@pytest.mark.parametrize(
    "place, start, command",
    [
        ("04_minibatches", "04", "04"),
        ("library/training", "library", "library/training"),
        ("library/training", "training", "library/training"),
        ("index", "ind", "index"),
    ],
)
def test_a_page_is_called_by_the_start_of_its_name(notebooks_tool, place, start, command):
    path = notebooks_tool.NBS / f"{place}.ipynb"
    assert notebooks_tool.is_called(path, start) and notebooks_tool.short(path) == command
    assert notebooks_tool.is_called(path, command)


def test_lessons_come_first_then_the_library(notebooks_tool):
    places = ["index", "library/checks", "00_pictures", "benchmarks", "13_scaling"]
    paths = [notebooks_tool.NBS / f"{place}.ipynb" for place in places]
    ordered = [path.stem for path in sorted(paths, key=notebooks_tool.reading_order)]
    assert ordered == ["00_pictures", "13_scaling", "checks", "benchmarks", "index"]


def stream(text, name="stdout"):
    return dict(output_type="stream", name=name, text=text)


def test_a_stream_is_stored_in_one_piece(notebooks_tool):
    figure = dict(output_type="display_data", data={})
    outputs = [stream("a"), stream("!", "stderr"), figure, stream("b\n")]
    joined = notebooks_tool.joined_streams(outputs)
    assert joined == [stream("ab\n"), stream("!", "stderr"), figure]


@pytest.mark.parametrize(
    "written, seen",
    [("10 %\r100 %\n", "100 %\n"), ("a\nb\rc", "a\nc"), ("a\r\nb", "a\r\nb"), ("a\rb\r", "b\r")],
)
def test_a_line_that_began_anew_is_stored_as_it_ended(notebooks_tool, written, seen):
    assert notebooks_tool.joined_streams([stream(written)]) == [stream(seen)]


def test_a_very_long_line_takes_no_time(notebooks_tool):
    began = time.perf_counter()
    notebooks_tool.joined_streams([stream("x" * 2_000_000)])
    assert time.perf_counter() - began < 5  # minutes, where every place begins a search


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_two_executions_are_the_same_bytes(notebooks_tool, path):
    assert notebooks_tool.execute(path) == notebooks_tool.execute(path)
