"`tools/names.py` finds a name that is taken from the package and is not there, without running it."

import json

import pytest
from conftest import ROOT, tool

names = tool("names")

PAINTING = """
from __future__ import annotations
import numpy as np
try: from math import tau
except ImportError: tau = 6.28
COLOURS, (RED, BLUE) = 3, (1, 2)
def paint(): local = 1
class Painting: width = 1
if COLOURS: late = 1
"""
STUB = "from . import painting as painting\nfrom .painting import paint as paint\n"


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    "A package with one module."
    folder = tmp_path_factory.mktemp("project") / "cadl_flax"
    folder.mkdir()
    (folder / "__init__.py").write_text("__version__ = '1'", encoding="utf-8")
    (folder / "__init__.pyi").write_text(STUB, encoding="utf-8")
    (folder / "painting.py").write_text(PAINTING, encoding="utf-8")
    (folder / "other.py").write_text("def sculpt(): pass", encoding="utf-8")
    return names.package(folder)


def missing(there, folder, content, file="script.py"):
    "What is said of a file with this content."
    (folder / file).write_text(content, encoding="utf-8")
    return list(names.missing(folder / file, there))


def page(*cells):
    "The text of a notebook; a cell is Markdown where it begins with a word and a space."
    kinds = {True: "markdown", False: "code"}
    made = [
        {"cell_type": kinds[source.startswith("Prose ")], "id": f"c{i}", "source": source}
        for i, source in enumerate(cells)
    ]
    return json.dumps({"cells": made})


def test_what_a_module_has(there):
    found = {"annotations", "np", "tau", "COLOURS", "RED", "BLUE", "paint", "Painting", "late"}
    assert there.names["painting"] == found
    assert there.names[""] == {"__version__", "painting", "paint", "other"}
    assert there.homes("paint") == ["cadl_flax.painting"] and there.homes("np") == []


@pytest.mark.parametrize(
    "code, said",
    [
        ("from cadl_flax.painting import pant", "has no pant: did you mean paint?"),
        ("from cadl_flax.painting import sculpt", "has no sculpt; it is in cadl_flax.other"),
        ("from cadl_flax.paintings import paint", "no module cadl_flax.paintings: did you mean"),
        ("import cadl_flax.oil", "there is no module cadl_flax.oil"),
        ("from cadl_flax import inpaint", "cadl_flax has no inpaint"),
        ("from cadl_flax import painting\npainting.pant()", "cadl_flax.painting has no pant"),
        ("import cadl_flax.painting as p\np.pant()", "cadl_flax.painting has no pant"),
        ("import cadl_flax\ncadl_flax.painting.pant", "cadl_flax.painting has no pant"),
        ("import cadl_flax\ncadl_flax.pant", "cadl_flax has no pant"),
        ("def f():\n    from cadl_flax.painting import pant", "has no pant"),
        ("from cadl_flax import painting\npainting.pant = 1", "has no pant"),
        ("from cadl_flax import painting\nm.setattr(painting, 'pant', 1)", "has no pant"),
        ("from cadl_flax import painting\ndef f(painting): pass\npainting.pant", "has no pant"),
    ],
)
def test_a_name_that_is_not_there_is_found(there, tmp_path, code, said):
    (found,) = missing(there, tmp_path, code)
    line = code.count("\n") + 1
    assert found.startswith(f"{tmp_path / 'script.py'}, line {line}: ") and said in found


@pytest.mark.parametrize(
    "code",
    [
        "from cadl_flax.painting import paint, Painting, late, np",
        "from cadl_flax.painting import *\nsculpt",
        "from cadl_flax import painting as p, paint\np.RED, p.__doc__, paint.anything",
        "import cadl_flax\ncadl_flax.other.sculpt, cadl_flax.paint, cadl_flax.__all__",
        "from cadl_flax import painting\ndef f(painting): return painting.psnr",
        "from cadl_flax import painting\n[painting.psnr for painting in x]",
        "from cadl_flax import painting\npainting = 3\npainting.psnr",
        "import cadl_flax\nwith pytest.raises(AttributeError):\n    cadl_flax.pant",
        "from elsewhere.painting import pant\nimport other\nother.pant",
    ],
)
def test_other_names_are_no_fault(there, tmp_path, code):
    assert missing(there, tmp_path, code) == []


def test_a_page_knows_the_imports_of_its_earlier_cells(there, tmp_path):
    cells = "%matplotlib inline\nfrom cadl_flax import painting", "!ls\npainting.pant", "%%bash\n("
    (found,) = missing(there, tmp_path, page(*cells), "page.ipynb")
    assert "page.ipynb, cell c1, line 2: cadl_flax.painting has no pant" in found


def test_prose_is_looked_at(there, tmp_path):
    prose = """Prose with `cadl_flax.painting.paint`, `cadl_flax.painting` and `cadl_flax.pant`.

```python
from cadl_flax.painting import pant
```
```sh
from cadl_flax.painting import nothing
```
"""
    first, second = missing(there, tmp_path, page(prose), "page.ipynb")
    assert "line 1: cadl_flax has no pant" in first
    assert "line 4: cadl_flax.painting has no pant" in second


def test_every_name_that_this_project_takes_is_there():
    looked_at = {path.relative_to(ROOT).parts[0] for path in names.files()}
    assert looked_at >= {"nbs", "tests", "tools", "benchmarks", "README.md", "CONTRIBUTING.md"}
    assert names.all_faults() == []
