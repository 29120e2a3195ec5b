"""Type checkers and editors know the package as it is installed.

They are mypy, pyright (VS Code runs it), and jedi (IPython and Jupyter run it).
"""

import ast
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections import namedtuple
from pathlib import Path

import jedi
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import cadl_flax
from cadl_flax import painting, training

SCRIPT = ROOT / "tests" / "typed" / "script.py"
STABLE = {"Painting", "Run", "enlarge", "fit", "inpaint", "paint"}
MISSPELT = """
import numpy as np
from cadl_flax import fit, inpaint, paint
from cadl_flax.painting import paint_chunks
from cadl_flax.training import fit_chunks
picture = np.zeros((8, 8, 3))
paint(picture, epochs=1)
paint_chunks(picture, epochs=1)
inpaint(picture, picture[..., 0] > 0, axis=-1)
fit(paint(picture).run, picture[0], picture[0], epochs=1)
fit_chunks(paint(picture).run, picture[0], picture[0], batchsize=1)
"""
Found = namedtuple("Found", "code text")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment that has the package as a wheel puts it there, and what is installed here.

    In an editable installation a hook finds the package, which no type checker follows.
    """
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=os.name != "nt")
    site = Path(sysconfig.get_path("purelib", "venv", {"base": folder}))
    shutil.copytree(ROOT / "cadl_flax", site / "cadl_flax")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder


def run(program, installed, folder, *args):
    "Run a type checker as its users do, outside the checkout."
    programs = Path(sysconfig.get_path("scripts", "venv", {"base": installed}))
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", program, *map(str, args)]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return Found(result.returncode, result.stdout + result.stderr)


@pytest.fixture(params=["mypy", "pyright"])
def check(request, installed, tmp_path, monkeypatch):
    "A type checker, as a function of a file."
    monkeypatch.setenv("PYRIGHT_PYTHON_IGNORE_WARNINGS", "1")  # or it asks PyPI for a newer version
    python = Path(sysconfig.get_path("scripts", "venv", {"base": installed})) / "python"
    options = ["--pythonpath", python]
    if request.param == "mypy":
        cache = request.config.cache.mkdir("mypy")
        options = ["--strict", "--python-executable", python, "--cache-dir", cache]
    return lambda file: run(request.param, installed, tmp_path, *options, file)


def test_type_checkers_pass_what_people_write_and_know_what_comes_back(check):
    found = check(SCRIPT)
    assert found.code == 0, found.text
    revealed = re.findall(r'(?:Revealed type|Type of ".*") is "([\w.]+)', found.text)
    names = [name.rpartition(".")[2] for name in revealed]
    assert names == ["ndarray", "Painting", "Run", "Painting", "Run"]


def test_a_misspelt_option_is_found_by_type_checkers(check, tmp_path):
    (tmp_path / "misspelt.py").write_text(MISSPELT, encoding="utf-8")
    found = check(tmp_path / "misspelt.py")
    pattern = 'misspelt\\.py:.*(?:Unexpected keyword argument|No parameter named) "(.*?)"'
    names = re.findall(pattern, found.text)
    assert names == ["epochs", "epochs", "axis", "epochs", "batchsize"], found.text
    assert found.code == 1 and found.text.count("error:") == len(names)


def test_the_script_runs_and_returns_what_type_checkers_say(tmp_path):
    picture = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    result = subprocess.run([sys.executable, SCRIPT], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    types = re.findall("Runtime type is '(.*)'", result.stderr)
    assert sorted(types) == ["Painting", "Painting", "Run", "Run", "ndarray"]


def test_all_types_of_the_stable_names_are_told(installed, tmp_path):
    "An `Unknown` in an argument, an attribute or a result switches an editor's help off there."
    options = ["--verifytypes", "cadl_flax", "--ignoreexternal", "--outputjson"]
    found = run("pyright", installed, tmp_path, *options)
    symbols = {s["name"]: s for s in json.loads(found.text)["typeCompleteness"]["symbols"]}
    names = {f"cadl_flax.{name}" for name in STABLE}
    names |= {f"cadl_flax.pictures.{name}" for name in ("read_image", "shrink", "psnr", "Film")}
    names |= {f"cadl_flax.tracking.{name}" for name in ("save", "load")}
    names |= {"cadl_flax.painting.paint_chunks", "cadl_flax.training.fit_chunks"}
    names |= {"cadl_flax.checkpoints.keep"}
    assert names <= symbols.keys()
    owners = "painting.Painting.", "training.Run.", "films.Film."
    attributes = tuple(f"cadl_flax.{owner}" for owner in owners)
    parts = [s for s in symbols.values() if s["name"] in names or s["name"].startswith(attributes)]
    unknown = [s["name"] for s in parts if not (s["isTypeKnown"] or s["isTypeAmbiguous"])]
    assert len(parts) > 30 and not unknown


@pytest.fixture(scope="module")
def jedi_on(installed, tmp_path_factory):
    "jedi, as a function of the text before the cursor."
    project = jedi.Project(tmp_path_factory.mktemp("project"), environment_path=installed)
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        # its cache in the home folder goes by path and time, and may be of another package
        patch.setattr(jedi.settings, "cache_directory", str(cache))
        yield lambda text: jedi.Script(text, project=project)


@pytest.mark.parametrize(
    "text, name, kind",
    [
        ("from cadl_flax import pa", "paint", "function"),
        ("import cadl_flax\ncadl_flax.pa", "paint", "function"),
        ("import cadl_flax\ncadl_flax.pic", "pictures", "module"),
        ("import cadl_flax\ncadl_flax.pictures.re", "read_image", "function"),
        ("from cadl_flax import paint\npaint(1, n_ep", "n_epochs=", "param"),
        ("from cadl_flax import paint\np = paint(1)\np.ren", "render", "function"),
        ("from cadl_flax import fit\nr = fit(1, 2, 3)\nr.los", "losses", "statement"),
        ("from cadl_flax.tracking import load\np = load('p')\np.ren", "render", "function"),
    ],
)
def test_jedi_completes(jedi_on, text, name, kind):
    assert (name, kind) in {(c.name, c.type) for c in jedi_on(text).complete()}


@pytest.mark.parametrize("name", ["paint", "inpaint", "enlarge", "fit"])
def test_jedi_shows_every_option(jedi_on, name):
    (signature,) = jedi_on(f"from cadl_flax import {name}\n{name}(").get_signatures()
    options = inspect.signature(getattr(cadl_flax, name)).parameters
    assert [p.name for p in signature.params] == list(options)


def test_every_module_is_in_the_stub_and_reached_from_the_top():
    tree = ast.parse((ROOT / "cadl_flax" / "__init__.pyi").read_text(encoding="utf-8"))
    named = {a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
    modules = {p.stem for p in (ROOT / "cadl_flax").glob("[!_]*.py")}
    assert named == modules | STABLE == set(dir(cadl_flax))
    assert set(cadl_flax.__all__) == STABLE
    for name in modules:
        assert getattr(cadl_flax, name) is importlib.import_module(f"cadl_flax.{name}")


LAZY = "import sys, cadl_flax; assert not {'jax', 'numpy', 'matplotlib'} & sys.modules.keys()"
EAGER = "import cadl_flax; assert {'paint', 'scaling'} <= vars(cadl_flax).keys()"
BY_ATTRIBUTE = "import cadl_flax; print(cadl_flax.pictures.read_image, cadl_flax.paint)"
STAR = "from cadl_flax import *; assert callable(paint) and 'pictures' not in dir()"


@pytest.mark.parametrize(
    "code, eager",
    [(LAZY, ""), (EAGER, "1"), (BY_ATTRIBUTE, ""), (STAR, "")],
    ids=["lazy", "eager", "by_attribute", "star"],
)
def test_a_new_process_imports(code, eager, tmp_path):
    environment = os.environ | {"EAGER_IMPORT": eager}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)


def test_help_on_the_package_says_what_it_is():
    assert cadl_flax.__doc__.startswith("Train a network, and watch it paint a picture.\n")
    for name in STABLE:
        assert f"`{name}`" in cadl_flax.__doc__
    code = ast.parse((ROOT / "cadl_flax" / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(code)  # what editors show, which do not run it


def test_the_version_is_that_of_the_settings():
    assert f"version = {cadl_flax.__version__}\n" in (ROOT / "settings.ini").read_text(
        encoding="utf-8"
    )


TAKE_OPTIONS = [cadl_flax.paint, cadl_flax.inpaint, cadl_flax.fit]
TAKE_OPTIONS += [painting.paint_chunks, training.fit_chunks]


@pytest.mark.parametrize("function", TAKE_OPTIONS)
def test_a_misspelt_option_is_refused_in_the_name_of_the_function(function):
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    given = [None] * kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    message = rf"{function.__name__}\(\) got an unexpected keyword argument 'epoch'"
    with pytest.raises(TypeError, match=message):
        function(*given, epoch=1)


def test_paint_hands_every_option_on(monkeypatch):
    options = inspect.signature(painting.paint_chunks).parameters
    own = inspect.signature(painting.paint).parameters
    assert own.keys() - options.keys() == {"progress"}
    assert all(own[name] == options[name] for name in options)
    monkeypatch.setattr(painting, "paint_chunks", lambda start, **given: [(start, given)])
    given = {name: name for name in options if name != "start"}
    assert painting.paint("image", **given) == ("image", given)


def test_fit_chunks_hands_every_option_on(monkeypatch):
    own, options = (inspect.signature(f).parameters for f in (training.fit_chunks, training.fit))
    assert own.keys() - options.keys() == {"every"}
    assert all(own[name] == options[name] for name in options)
    begin = inspect.signature(training.begin_run)
    seen = {}

    def note(*args, **kwargs):
        seen.update(begin.bind(*args, **kwargs).arguments)

    monkeypatch.setattr(training, "begin_run", note)
    others = {"start", "x", "y", "n_epochs", "observe"}
    given = {name: name for name in options if name not in others}
    training.fit_chunks("start", np.zeros((4, 1)), np.zeros((4, 1)), **given)
    assert {name: seen[name] for name in given} == given
