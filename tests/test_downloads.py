"""A page that is downloaded alone into an empty folder runs.

It needs what the page says to install, and no more.
"""

import ast
import contextlib
import importlib
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT, tool, uv
from IPython.core.inputtransformer2 import TransformerManager
from test_sync import requirements

downloads = tool("downloads")
PAGES = sorted((ROOT / "nbs").rglob("[!_.]*.ipynb"))
URL = "https://github.com/someone/cadl_flax"
every_page = pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)


def cells(notebook, kind="code"):
    "The sources of the cells of a notebook, given as text."
    found = json.loads(notebook)["cells"]
    return ["".join(c["source"]) for c in found if c["cell_type"] == kind]


def page(folder, *sources, metadata=None):
    "A notebook in `folder` with the given code cells."
    new = [nbformat.v4.new_code_cell(source) for source in sources]
    path = folder / "page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=new, metadata=metadata or {}), path)
    return path


# ------------------------------------------------------------ what a download holds


def test_a_file_of_the_machine_is_no_file_of_the_page(tmp_path):
    (tmp_path / "numbers.json").write_text("[]", encoding="utf-8")
    source = f'Path("numbers.json").read_text(); Path("{Path(__file__).as_posix()}").read_text()'
    cells = [nbformat.v4.new_code_cell(source)]
    assert list(downloads.files_read(cells, tmp_path)) == ["numbers.json"]


@every_page
@pytest.mark.parametrize("url", ["", URL], ids=["unpublished", "published"])
def test_a_download_is_a_valid_notebook_in_plain_python(path, url):
    # an invalid escape is a warning on the reader's page
    with warnings.catch_warnings(action="error"):
        nb = nbformat.reads(downloads.download(path, url), 4)
    nbformat.validate(nb)
    assert nb.metadata == {"kernelspec": downloads.KERNEL}
    ids = [cell.id for cell in nb.cells]
    assert len(ids) == len(set(ids))
    for cell in nb.cells:
        if cell.cell_type == "code" and cell.id != "install":
            ast.parse(cell.source)


@every_page
def test_a_download_needs_no_nbdev(path):
    for source in cells(downloads.download(path)):
        needs = r"^\s*(import|from) nbdev|^#\| *default_exp|nbdev_export\("
        assert not re.search(needs, source, re.M)
        assert not re.search(r"^#\| *eval: *false", source, re.M), "Run All would run it"


@every_page
def test_a_download_shows_what_the_page_shows(path):
    stored = json.loads(path.read_text(encoding="utf-8"))["cells"]
    offered = {c["id"]: c for c in json.loads(downloads.download(path))["cells"]}
    for cell in stored:
        if cell["cell_type"] == "markdown" or cell.get("outputs"):
            assert offered[cell["id"]] == cell
    lost = [c for c in stored if c["id"] not in offered]
    assert len(lost) <= 2
    assert all(re.match(r"#\| (default_exp|hide)", "".join(c["source"])) for c in lost)


def unpack(notebook):
    "Run the cell of a download that writes files."
    for source in cells(notebook):
        if "def unpack(" in source:
            exec(compile(source, "files", "exec"), {})


@every_page
def test_a_download_brings_the_files_that_its_cells_read(path, tmp_path, monkeypatch):
    notebook = downloads.download(path)
    code = "\n".join(source for source in cells(notebook) if "def unpack(" not in source)
    read = set(re.findall(r"""["'](data/[\w./-]*|\w+\.js|\w+\.ipynb)["']""", code))
    monkeypatch.chdir(tmp_path)
    unpack(notebook)
    for name in read:
        stored = path.parent / name
        for original in stored.rglob("*") if stored.is_dir() else [stored]:
            copy = Path(name) / original.relative_to(stored)
            if name.endswith(".ipynb"):
                assert json.loads(copy.read_text(encoding="utf-8"))["cells"]
            else:
                assert copy.read_bytes() == original.read_bytes()
    # a page without outputs would stand beside the reader's own
    assert not [*tmp_path.glob("*.ipynb")]


@every_page
def test_a_download_knows_no_machine(path):
    for source in cells(downloads.download(path)):
        assert str(ROOT) not in source
        assert not re.search(r"""["'](/(home|root|tmp|usr|var|Users)\b|[A-Z]:\\\\)""", source)


def test_a_file_that_is_there_already_is_kept(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/regression_costs.csv").write_text("mine", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    notebook = downloads.download(ROOT / "nbs/errata.ipynb")
    assert "regression_costs.csv" in "\n".join(cells(notebook))
    unpack(notebook)
    assert (tmp_path / "data/regression_costs.csv").read_text(encoding="utf-8") == "mine"


def test_a_page_that_reads_pages_has_all_that_it_links_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = downloads.download(ROOT / "nbs/glossary.ipynb")
    unpack(notebook)
    linked = set(re.findall(r"\]\((\w+\.ipynb)", " ".join(cells(notebook, "markdown"))))
    assert linked <= {p.name for p in Path().glob("*.ipynb")}
    stored = json.loads((ROOT / "nbs/00_pictures.ipynb").read_text(encoding="utf-8"))["cells"]
    kept = json.loads(Path("00_pictures.ipynb").read_text(encoding="utf-8"))["cells"]
    assert [c["source"] for c in kept] == ["".join(c["source"]) for c in stored]
    n_outputs = [[len(c.get("outputs", [])) for c in page] for page in (kept, stored)]
    assert n_outputs[0] == n_outputs[1]


@pytest.mark.parametrize(
    "call", ['open("data/lost.csv")', 'Path("data/lost")', """f"{read('data/lost.csv')}\""""]
)
def test_a_data_file_that_is_not_there_is_an_error(tmp_path, call):
    with pytest.raises(ValueError, match=r"page.ipynb .*data/lost\S* is read, and is not in"):
        downloads.download(page(tmp_path, call))


@pytest.mark.parametrize(
    "call",
    [
        'open("data/a.csv")',
        'Path("data").glob("*.csv")',
        "Path(f'data/{name}.csv')",
        "f'{Path(\"data/a.csv\").read_text()}'",
        "np.loadtxt('data/a.csv')",
    ],
)
def test_files_are_found_however_they_are_read(tmp_path, call):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.csv").write_text("1", encoding="utf-8")
    assert '"data/a.csv"' in downloads.download(page(tmp_path, call)).replace("\\", "")


def test_a_word_is_no_folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.csv").write_text("1", encoding="utf-8")
    assert "unpack" not in downloads.download(page(tmp_path, 'COLORS["data"]'))


def test_a_cell_that_does_more_than_call_nbdev_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="page.ipynb .*uses nbdev besides something else"):
        downloads.download(page(tmp_path, "x = 1\nimport nbdev"))


def test_cells_for_nbdev_go_and_hidden_ones_stay(tmp_path):
    path = page(
        tmp_path,
        "#| default_exp a",
        "#| hide\nx = 1",
        "#| hide\n",
        "# yours",
        "#| hide\nimport nbdev; nbdev.nbdev_export()",
        "from nbdev import *\nnbdev_export()",
        metadata={"outputs_from": "0"},
    )
    assert cells(downloads.download(path))[1:] == ["#| hide\nx = 1", "# yours"]


def test_a_cell_that_is_not_evaluated_is_shown_as_text(tmp_path):
    notebook = downloads.download(page(tmp_path, "#| exports\n#| eval: false\nmain()"))
    assert cells(notebook, "markdown")[-1] == "```python\nmain()\n```"
    assert "main()" not in cells(notebook)[-1]


# ------------------------------------------------------------ what is installed

COMES_WITH_JUPYTER = {"IPython", "matplotlib_inline"}


def imports(tree):
    "Top-level names of what code imports, but for imports that may fail."
    if isinstance(tree, ast.Try):
        return set()
    if isinstance(tree, ast.Import):
        return {a.name.partition(".")[0] for a in tree.names}
    if isinstance(tree, ast.ImportFrom):
        return {tree.module.partition(".")[0]}
    return set().union(*map(imports, ast.iter_child_nodes(tree)))


@every_page
def test_what_a_page_imports_without_asking_comes_with_the_extra(path):
    found = set().union(*(imports(ast.parse(s)) for s in cells(downloads.download(path))))
    ours = requirements("requirements") | requirements("pages_requirements")
    assert found - {"cadl_flax"} - sys.stdlib_module_names <= ours | COMES_WITH_JUPYTER


def test_the_first_cell_says_what_is_missing_and_how_to_install_it(monkeypatch):
    original = importlib.util.find_spec

    def find_spec(name):
        return None if name == "fastcore" else original(name)

    exec(downloads.CHECK, {})
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    message = r"^fastcore cannot be imported: .* pip install '\.\[pages\]'"
    with pytest.raises(ModuleNotFoundError, match=message):
        exec(downloads.CHECK, {})
    note, check = json.loads(downloads.download(PAGES[0]))["cells"][:2]
    assert "pip install '.[pages]'" in note["source"] and check["source"] == downloads.CHECK


class Shell:
    "Stands for IPython's, and keeps the lines that it is given to run."

    def __init__(self):
        self.lines = []

    def run_line_magic(self, *line):
        self.lines.append(line)


@pytest.mark.parametrize("is_installed", [True, False])
@pytest.mark.parametrize("is_older", [True, False])
def test_the_first_cell_of_a_published_page_installs_once_and_asks_for_a_restart(
    monkeypatch, is_installed, is_older
):
    first = json.loads(downloads.download(PAGES[0], URL))["cells"][0]
    cell = TransformerManager().transform_cell(first["source"])
    shell = Shell()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: is_installed)
    if is_older:
        monkeypatch.setattr("numpy.__version__", "2.0.2")
    restarts = contextlib.nullcontext()
    if is_older and not is_installed:
        message = "^numpy had been loaded in another version: restart"
        restarts = pytest.raises(RuntimeError, match=message)
    with restarts:
        exec(cell, {"get_ipython": lambda: shell})
    install = ("pip", f'install -q "cadl_flax[pages] @ git+{URL}"')
    assert shell.lines == ([] if is_installed else [install])


def test_what_stands_beside_the_link_to_colab():
    lines = re.findall("<code>(.*?)</code>", downloads.in_colab(URL))
    assert lines == [
        f"!git clone -q --depth 1 {URL}",
        "%pip install -q './cadl_flax[pages]'",
        "%cd cadl_flax/nbs",
    ]


# ------------------------------------------------------------ executed

EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
page = nbformat.read(sys.argv[1], 4)
NotebookClient(page, timeout=1800, kernel_name="python3").execute()
nbformat.write(page, sys.argv[1])
"""


class Environment:
    "A virtual environment of its own, which holds the given packages and what executes a notebook."

    def __init__(self, folder, *packages):
        self.folder, self.python = folder, folder / "venv/bin/python"
        uv("venv", "--python", sys.executable, folder / "venv")
        uv("pip", "install", "--python", self.python, "nbclient", "ipykernel", *packages)
        assert self.run("-c", "import nbdev", cwd=folder).returncode == 1

    def run(self, *args, cwd):
        "Run its Python; nothing from outside is found but JAX's cache."
        outside = ("PYTHON", "JUPYTER", "VIRTUAL_ENV")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(outside)}
        env = kept | {"HOME": str(self.folder), "JUPYTER_PREFER_ENV_PATH": "1"}
        return subprocess.run(
            [self.python, *map(str, args)], cwd=cwd, env=env, capture_output=True, text=True
        )

    def execute(self, path, folder):
        "Download a page alone into the empty `folder` and run all its cells; what it prints."
        folder.mkdir()
        (folder / path.name).write_text(downloads.download(path), encoding="utf-8")
        done = self.run("-c", EXECUTE, path.name, cwd=folder)
        assert done.returncode == 0, done.stderr[-4000:]
        executed = nbformat.read(folder / path.name, 4).cells
        outputs = [o for cell in executed for o in cell.get("outputs", [])]
        return "".join(o.text for o in outputs if o.output_type == "stream")


@pytest.fixture(scope="session")
def plain(wheel, tmp_path_factory):
    "What a page says to install."
    return Environment(tmp_path_factory.mktemp("plain"), f"cadl_flax[pages] @ {wheel.as_uri()}")


@pytest.fixture(scope="session")
def bare(wheel, tmp_path_factory):
    "Less than that: none of the packages that a page can do without."
    return Environment(tmp_path_factory.mktemp("bare"), wheel, "fastcore")


def test_quick_pages_run_in_an_empty_folder(plain, tmp_path):
    for name in ("02_linear_regression", "benchmarks", "glossary"):
        plain.execute(ROOT / f"nbs/{name}.ipynb", tmp_path / name)


@pytest.mark.slow
@every_page
def test_each_page_runs_in_an_empty_folder(plain, tmp_path, path):
    plain.execute(path, tmp_path / "empty")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, word",
    [
        ("07_going_deeper", "tensorboardX is missing"),
        ("11_tracking", "needs tensorboardX"),
        ("12_inpainting", "OpenCV is missing"),
        ("13_scaling", "zarr is missing"),
    ],
)
def test_a_page_goes_on_with_a_word_where_an_optional_package_is_missing(
    bare, tmp_path, name, word
):
    assert word in bare.execute(ROOT / f"nbs/{name}.ipynb", tmp_path / "empty")
