"The package is what the notebooks export, the notebooks are clean and freshly executed, and what is imported is required."
import ast
import configparser
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, tool
from execnb.nbio import nb2str, read_nb
from nbdev.clean import _nbdev_clean

NOTEBOOKS = sorted((ROOT/"nbs").glob("[!_.]*.ipynb"))
SETTINGS = configparser.ConfigParser(delimiters=["="])
SETTINGS.read(ROOT/"settings.ini")
SETTINGS = SETTINGS["DEFAULT"]
LISTS = [key for key in SETTINGS if key.endswith("requirements")]


def export(folder):
    "Export the notebooks in `folder` into an empty package there."
    (folder/"cadl_flax").mkdir()
    subprocess.run([sys.executable, "-c", "from nbdev.doclinks import nbdev_export as e; e()"], cwd=folder, check=True)
    return {p.name: p.read_text() for p in (folder/"cadl_flax").glob("*.py")}


@pytest.fixture
def copy(tmp_path):
    for name in ("settings.ini", "pyproject.toml"): shutil.copy(ROOT/name, tmp_path)
    shutil.copytree(ROOT/"nbs", tmp_path/"nbs", ignore=shutil.ignore_patterns("_*", ".*"))
    return tmp_path


def committed(): return {p.name: p.read_text() for p in (ROOT/"cadl_flax").glob("*.py")}


def test_the_package_is_what_the_notebooks_export(copy):
    assert export(copy) == committed()


def test_a_deleted_notebook_is_noticed(copy):
    (copy/"nbs"/"08_painting.ipynb").unlink()
    assert export(copy).keys() == committed().keys() - {"painting.py"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebook_is_clean_and_its_outputs_are_fresh(path, monkeypatch, notebooks_tool):
    monkeypatch.chdir(ROOT)
    nb = read_nb(path)
    _nbdev_clean(nb)
    assert nb2str(nb) == path.read_text()
    assert notebooks_tool.stale(path) == []
    assert path.stat().st_size < 600_000


def test_a_page_imports_only_from_pages_before_it():
    order = [p for p in NOTEBOOKS if p.name[0].isdigit()]
    number = {}
    for path in order:
        cells = [c.source for c in read_nb(path).cells if c.cell_type == "code"]
        number[re.search(r"default_exp (\w+)", cells[0])[1]] = path.name[:2]
    for path in order:
        own = [n for n in number if number[n] == path.name[:2]]
        for cell in read_nb(path).cells:
            for indent, module in re.findall(r"^( *)from cadl_flax\.(\w+) import", cell.source if cell.cell_type == "code" else "", re.M):
                default_of_paint = indent and path.name.startswith("08") and module == "encodings" # the one exception, made when paint is called
                assert number[module] < path.name[:2] or module in own or default_of_paint, f"{path.name} imports from {module}"


def requirements(key):
    "Import names of the packages that settings.ini requires."
    names = {"scikit-image": "skimage", "pillow": "PIL", "lazy-loader": "lazy_loader", "pypandoc-binary": "pypandoc", "pyyaml": "yaml", "ipython": "IPython",
             "opencv-python-headless": "cv2", "scikit-learn": "sklearn"}
    found = [re.match(r"[\w-]+", r)[0].replace("pypandoc_binary", "pypandoc-binary") for r in shlex.split(SETTINGS[key])]
    return {names.get(r, r).replace("-", "_") for r in found}


def imported(folder):
    "Top-level names of what the files in `folder` import."
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import): found |= {a.name.partition(".")[0] for a in node.names}
            if isinstance(node, ast.ImportFrom) and not node.level: found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"cadl_flax"} - {p.stem for folder in ("tests", "tools") for p in (ROOT/folder).glob("*.py")}


def test_what_is_imported_is_required():
    runtime = requirements("requirements")
    assert imported(ROOT/"cadl_flax") - {"matplotlib_inline"} <= runtime | requirements("tensorboard_requirements") # the one only inside a notebook, the other only if asked for
    assert "nbdev" not in runtime
    assert "nbdev" not in requirements("pages_requirements")
    assert imported(ROOT/"tools") | imported(ROOT/"tests") <= set().union(*map(requirements, LISTS))


def test_each_requirement_stands_in_one_list():
    every = [name for key in LISTS for name in requirements(key)]
    assert len(every) == len(set(every))


def test_every_requirement_has_both_bounds():
    for requirement in shlex.split(" ".join(SETTINGS[key] for key in LISTS if key != "dev_requirements")): assert ">=" in requirement and ",<" in requirement, requirement


def test_at_most_forty_two_public_names():
    names = [name for path in (ROOT/"cadl_flax").glob("*.py") if path.name not in ("__init__.py", "__main__.py", "_modidx.py")
             for name in ast.literal_eval(re.search(r"^__all__ = (\[.*?\])", path.read_text(), re.M | re.S)[1])]
    assert len(names) == len(set(names)) <= 42


def test_every_fault_can_still_be_put_in():
    "`tools/mutate.py` names lines of exported cells, which change."
    for page, line, _ in tool("mutate").FAULTS:
        path = next((ROOT/"nbs").glob(f"{page}_*.ipynb"))
        assert sum(c.source.count(line) for c in read_nb(path).cells if c.source.startswith("#| exports")) == 1, (page, line)
