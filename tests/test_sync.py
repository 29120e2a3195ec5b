"The package is what the notebooks export, and these are clean, executed and say what they need."

import ast
import configparser
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from execnb.nbio import nb2str, read_nb
from nbdev.clean import _nbdev_clean
from site_helpers import NBS, NOTEBOOKS, source_of

SETTINGS = configparser.ConfigParser(delimiters=["="])
SETTINGS.read(ROOT / "settings.ini")
SETTINGS = SETTINGS["DEFAULT"]
LISTS = [key for key in SETTINGS if key.endswith("requirements")]


# ------------------------------------------------------------------------------ the package


def export(folder):
    "Export the notebooks in `folder` into an empty package there."
    (folder / "cadl_flax").mkdir()
    command = [sys.executable, "-c", "from nbdev.doclinks import nbdev_export as e; e()"]
    subprocess.run(command, cwd=folder, check=True)
    return {p.name: p.read_text() for p in (folder / "cadl_flax").glob("*.py")}


@pytest.fixture
def copy(tmp_path):
    for name in ("settings.ini", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(NBS, tmp_path / "nbs", ignore=shutil.ignore_patterns("_*", ".*"))
    return tmp_path


def committed():
    return {p.name: p.read_text() for p in (ROOT / "cadl_flax").glob("*.py")}


def test_the_package_is_what_the_notebooks_export(copy):
    assert export(copy) == committed()


def exporting(module):
    "The notebook that exports a module."
    return next(path for path in NOTEBOOKS if module_of(path) == module)


def test_a_deleted_notebook_is_noticed(copy):
    (copy / "nbs" / source_of(exporting("painting"))).unlink()
    assert export(copy).keys() == committed().keys() - {"painting.py"}


# ------------------------------------------------------------------------------ the notebooks

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=source_of)


@each_notebook
def test_a_notebook_is_clean(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    nb = read_nb(path)
    _nbdev_clean(nb)
    assert nb2str(nb) == path.read_text()


@each_notebook
def test_the_outputs_of_a_notebook_are_fresh(path, monkeypatch, notebooks_tool):
    monkeypatch.chdir(ROOT)
    assert notebooks_tool.stale(path) == []


@each_notebook
def test_a_notebook_is_small(path):
    "A megabyte, with each figure as PNG and as SVG, of which a page of the site shows one."
    assert path.stat().st_size < 1_000_000


def code(path):
    return [cell.source for cell in read_nb(path).cells if cell.cell_type == "code"]


def module_of(path):
    "The module that a page exports, if any."
    found = (re.search(r"^#\| default_exp (\w+)", source, re.M) for source in code(path))
    return next((m[1] for m in found if m), None)


def imported_modules(path):
    "The modules of the package that the cells of a page import."
    statement = r"^ *from cadl_flax\.(\w+) import"
    return [found for source in code(path) for found in re.findall(statement, source, re.M)]


LESSONS = [path for path in NOTEBOOKS if path.name[0].isdigit()]
LIBRARY = {module_of(path) for path in NOTEBOOKS if path.parent.name == "library"}
NUMBERS = {module_of(path): path.name[:2] for path in LESSONS}


# page 07 is not on the short path, and page 06 says in a sentence what an `MLP` is
INTRODUCED = {("06", "networks")}


@pytest.mark.parametrize("path", LESSONS, ids=source_of)
def test_a_lesson_imports_only_from_lessons_before_it(path):
    "And from the library, whose pages explain what is no lesson."
    for module in imported_modules(path):
        if module not in LIBRARY and (path.name[:2], module) not in INTRODUCED:
            is_own = module == module_of(path)
            assert NUMBERS[module] < path.name[:2] or is_own, f"imports from {module}"


def written_order():
    "The modules in the order of the table in CONTRIBUTING.md."
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("## The modules")[2].partition("## The site")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("|")]
    return re.findall(r"`(\w+)`", "".join(rows))


ORDER = written_order()
GROUND_FLOOR = ORDER[: ORDER.index("plotting") + 1]


def imports_of(module):
    "Which modules of the package a module imports, anywhere in it."
    tree = ast.parse((ROOT / "cadl_flax" / f"{module}.py").read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            name = (node.module or "").removeprefix("cadl_flax").strip(".")
            if node.level or node.module.startswith("cadl_flax"):
                found |= {name} if name else {alias.name for alias in node.names}
    return found & set(ORDER)


def test_every_module_has_its_place_in_the_written_order():
    modules = {path.stem for path in (ROOT / "cadl_flax").glob("*.py")}
    assert modules - {"__init__", "_modidx"} == set(ORDER)
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_from_modules_before_it(module):
    later = set(ORDER[ORDER.index(module) :])
    assert not imports_of(module) & later


@pytest.mark.parametrize("module", GROUND_FLOOR)
def test_the_ground_floor_imports_nothing_of_ours(module):
    assert not imports_of(module)


@pytest.mark.parametrize("module", [module for module in NUMBERS if module])
def test_no_lesson_names_a_device(module):
    text = (ROOT / "cadl_flax" / f"{module}.py").read_text(encoding="utf-8")
    assert not re.findall(r"sharding|Mesh|jax\.devices|device_count|multihost", text)


# ------------------------------------------------------------------------------ requirements

IMPORT_NAMES = {
    "scikit-image": "skimage",
    "pillow": "PIL",
    "pypandoc_binary": "pypandoc",
    "pyyaml": "yaml",
    "ipython": "IPython",
    "opencv-python-headless": "cv2",
    "scikit-learn": "sklearn",
}


def requirements(key):
    "Import names of the packages that settings.ini requires."
    found = [re.match(r"[\w-]+", r)[0] for r in shlex.split(SETTINGS[key])]
    return {IMPORT_NAMES.get(name, name).replace("-", "_") for name in found}


def own_names():
    "What tests and tools call each other."
    folders = (ROOT / "tests", ROOT / "tools")
    return {"cadl_flax"} | {path.stem for folder in folders for path in folder.iterdir()}


def imported(folder):
    "Top-level names of what the files in `folder` import."
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {a.name.partition(".")[0] for a in node.names}
            if isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - own_names()


def test_what_the_package_imports_is_required():
    runtime = requirements("requirements")
    if_asked_for = requirements("tensorboard_requirements") | requirements("heic_requirements")
    inside_a_notebook = {"matplotlib_inline"}
    assert imported(ROOT / "cadl_flax") - inside_a_notebook <= runtime | if_asked_for


def test_the_package_and_its_pages_need_no_nbdev():
    for key in ("requirements", "pages_requirements"):
        assert "nbdev" not in requirements(key)


@pytest.mark.parametrize("folder", ["tools", "tools/website", "tests", "benchmarks"])
def test_what_tools_and_tests_import_is_required(folder):
    assert imported(ROOT / folder) <= set().union(*map(requirements, LISTS))


def test_each_requirement_stands_in_one_list():
    every = [name for key in LISTS for name in requirements(key)]
    assert len(every) == len(set(every))


def test_every_requirement_has_both_bounds():
    bounded = " ".join(SETTINGS[key] for key in LISTS if key != "dev_requirements")
    for requirement in shlex.split(bounded):
        assert ">=" in requirement and ",<" in requirement, requirement


# ------------------------------------------------------------------------------ names


def public_names(path):
    "What a module exports, by its `__all__`."
    found = re.search(r"^__all__ = (\[.*?\])", path.read_text(), re.M | re.S)
    return ast.literal_eval(found[1])


def test_a_public_name_stands_in_one_module():
    no_api = ("__init__.py", "__main__.py", "_modidx.py")
    modules = [path for path in (ROOT / "cadl_flax").glob("*.py") if path.name not in no_api]
    names = [name for path in modules for name in public_names(path)]
    assert len(names) == len(set(names))


def test_pages_leave_no_files_behind():
    "What a page of the library writes, it writes elsewhere."
    found = (path for path in (ROOT / "nbs/library").iterdir() if path.is_file())
    assert {path.suffix for path in found if path.name[0] != "."} == {".ipynb"}
