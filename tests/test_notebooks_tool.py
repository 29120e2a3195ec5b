"The tool that executes and compares notebooks notices what it should."
import base64
import copy
import io
import json

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from safetensors import numpy as safetensors


@pytest.fixture
def nb(root): return json.loads((root/"nbs"/"00_pictures.ipynb").read_text())


def printed(nb): return next(o for c in nb["cells"] if c["cell_type"] == "code" for o in c["outputs"] if o.get("name") == "stdout")


def test_equal_notebooks_do_not_differ(nb, notebooks_tool): assert notebooks_tool.differences(nb, copy.deepcopy(nb)) == []


@pytest.mark.parametrize("old, new", [("33.7", "34.7"), ("255", "256"), ("of", "in")])
def test_an_edited_output_is_found(nb, notebooks_tool, old, new):
    edited = copy.deepcopy(nb)
    out = printed(edited)
    assert old in "".join(out["text"])
    out["text"] = "".join(out["text"]).replace(old, new)
    assert notebooks_tool.differences(nb, edited)


def test_the_smallest_edit_breaks_the_stamp(nb, notebooks_tool, tmp_path):
    out = printed(nb)
    path = tmp_path/"page.ipynb"
    path.write_text(json.dumps(nb))
    assert notebooks_tool.stale(path) == []
    out["text"] = "".join(out["text"]).replace("33.7", "33.8")
    path.write_text(json.dumps(nb))
    assert notebooks_tool.stale(path)


def test_edited_code_breaks_the_stamp(nb, notebooks_tool, tmp_path):
    next(c for c in nb["cells"] if c.get("outputs"))["source"].append("\n# later")
    path = tmp_path/"page.ipynb"
    path.write_text(json.dumps(nb))
    assert notebooks_tool.stale(path)


@pytest.mark.parametrize("a, b, same", [("30.1 dB", "30.3 dB", True), ("30.1 dB", "31.1 dB", False), ("1,234", "1,235", False), ("0.02", "0.03", True),
                                        ("0.02", "0.04", False), ("1e-05", "1.01e-05", True), ("one 1.0", "two 1.0", False), ("[1, 2]", "[1, 3]", False)])
def test_numbers_are_compared_by_tolerance(notebooks_tool, a, b, same): assert notebooks_tool.same_text(a, b) == same


def png(pixels):
    Image.fromarray(pixels).save(file := io.BytesIO(), format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_pictures_are_compared_at_35_db(notebooks_tool):
    base = np.random.default_rng(0).integers(20, 230, (16, 16, 3), dtype=np.uint8)
    assert notebooks_tool.same_picture(png(base), png(base + 2))
    assert not notebooks_tool.same_picture(png(base), png(base + 8))
    assert not notebooks_tool.same_picture(png(base), png(base[:8]))
    html = '<img src="data:image/png;base64,{}" alt="x">'
    assert notebooks_tool.same_output("text/html", html.format(png(base)), html.format(png(base + 2)))
    assert not notebooks_tool.same_output("text/html", html.format(png(base)), html.format(png(base + 8)))


def test_of_weights_only_the_shapes_are_compared(notebooks_tool):
    def html(width, seed):
        weights = {"w": np.random.default_rng(seed).normal(size=(2, width)).astype(np.float32)}
        return f'<a href="data:application/octet-stream;base64,{base64.b64encode(safetensors.save(weights)).decode()}">weights</a>'
    assert notebooks_tool.same_output("text/html", html(3, 0), html(3, 1))
    assert not notebooks_tool.same_output("text/html", html(3, 0), html(4, 0))


def test_cells_that_nbdev_skips_are_skipped(root, notebooks_tool):
    nb = json.loads((root/"nbs"/"14_command_line.ipynb").read_text())
    skip = {c["id"] for c in nb["cells"] if "eval: false" in "".join(c["source"]) or "nbdev_export(" in "".join(c["source"])}
    assert len(skip) == 2 and notebooks_tool.skipped(root/"nbs"/"14_command_line.ipynb") == skip


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT/"nbs").glob("[!_.]*.ipynb")), ids=lambda p: p.name)
def test_two_executions_are_the_same_bytes(notebooks_tool, path):
    assert notebooks_tool.execute(path) == notebooks_tool.execute(path)
