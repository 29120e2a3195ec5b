"""Two branches that run the same page merge.

nbdev's driver, which .gitattributes and .gitconfig name, resolves what lies in outputs and
metadata, and where code conflicts it leaves a notebook.
"""

import json
import os
import shutil
import subprocess
import sysconfig

import nbformat
import pytest
from conftest import ROOT


class Repository:
    "A repository with a page of four cells, whose outputs and stamp are those of its cells."

    def __init__(self, folder, tool, driver):
        self.folder, self.tool = folder, tool
        self.page = folder / "page.ipynb"
        for name in (".gitattributes", ".gitconfig", "settings.ini"):
            shutil.copy(ROOT / name, folder)
        self.git("init", "-q", "-b", "main")
        if driver:  # what nbdev_install_hooks sets, which writes into the home folder as well
            self.git("config", "--local", "include.path", "../.gitconfig")
        self.sources = ["print(1)", "print(2)", "print(3)", "print(4)"]
        self.commit()

    def git(self, *arguments, check=True):
        "Run git as somebody, who has the environment's programs on the path."
        someone = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
        path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
        command = ["git", *someone, *arguments]
        options = dict(cwd=self.folder, env=os.environ | {"PATH": path}, capture_output=True)
        return subprocess.run(command, text=True, check=check, **options)

    def commit(self, **changes):
        "Change cells, run the page, and commit it."
        sources = [changes.get(f"cell{i}", source) for i, source in enumerate(self.sources)]
        cells = [nbformat.v4.new_code_cell(s, id=f"c{i}") for i, s in enumerate(sources)]
        for cell in cells:
            printed = cell.source.removeprefix("print(").removesuffix(")") + "\n"
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed)]
        nb = nbformat.v4.new_notebook(cells=cells)
        nb.metadata[self.tool.STAMP] = self.tool.stamp(nb)
        nbformat.write(nb, self.page)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "page")

    def merge(self, ours, theirs):
        "Merge two branches, each with changes of its own; whether git had no conflict."
        self.git("checkout", "-q", "-b", "theirs")
        self.commit(**theirs)
        self.git("checkout", "-q", "main")
        self.commit(**ours)
        return self.git("merge", "theirs", "-m", "merged", check=False).returncode == 0

    def read(self):
        "The sources of the page."
        # not by nbformat: nbdev's cells with the markers have no id, which Jupyter gives them
        cells = json.loads(self.page.read_text(encoding="utf-8"))["cells"]
        return ["".join(cell["source"]) for cell in cells]


@pytest.fixture
def repository(tmp_path, notebooks_tool):
    return Repository(tmp_path, notebooks_tool, driver=True)


def test_the_stamp_alone_conflicts_without_the_driver(tmp_path, notebooks_tool):
    repository = Repository(tmp_path, notebooks_tool, driver=False)
    assert not repository.merge({"cell0": "print(10)"}, {"cell3": "print(40)"})
    conflict = repository.page.read_text(encoding="utf-8").split("<<<<<<<")[1].split(">>>>>>>")[0]
    lines = [line for line in conflict.splitlines()[1:] if line != "======="]
    assert len(lines) == 2 and all(notebooks_tool.STAMP in line for line in lines)


def test_two_branches_that_run_the_same_page_merge(repository, notebooks_tool):
    assert repository.merge({"cell0": "print(10)"}, {"cell3": "print(40)"})
    assert repository.read() == ["print(10)", "print(2)", "print(3)", "print(40)"]
    assert repository.git("status", "--short").stdout == ""
    assert notebooks_tool.stale(repository.page)  # nobody has run both changes together


def test_outputs_that_differ_in_the_same_cell_merge(repository, notebooks_tool):
    "As on two machines, which print other digits for the same code."
    repository.sources[1] = "print(random())"
    repository.commit()
    pages = iter(["0.1\n", "0.2\n"])
    write = nbformat.write

    def run(nb, path):
        nb.cells[1].outputs[0].text = next(pages)
        write(nb, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nbformat, "write", run)
        assert repository.merge({"cell0": "print(10)"}, {"cell3": "print(40)"})
    assert repository.read() == ["print(10)", "print(random())", "print(3)", "print(40)"]


def test_code_that_conflicts_is_a_conflict_in_a_notebook_that_opens(repository, notebooks_tool):
    assert not repository.merge({"cell1": "print(20)"}, {"cell1": "print(22)"})
    sources = repository.read()
    ours, middle, theirs, end = (
        sources.index(s) for s in ("print(20)", "`=======`", "print(22)", "`>>>>>>> theirs`")
    )
    assert 0 < ours < middle < theirs < end
    assert notebooks_tool.stale(repository.page)


def test_the_files_are_what_nbdev_writes(tmp_path):
    "So that `nbdev_install_hooks` leaves nothing to commit."
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for name in (".gitattributes", ".gitconfig"):
        shutil.copy(ROOT / name, tmp_path)
    before = {n: (tmp_path / n).read_bytes() for n in (".gitattributes", ".gitconfig")}
    home = os.environ | {"HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    program = shutil.which("nbdev_install_hooks", path=sysconfig.get_path("scripts"))
    subprocess.run([program], cwd=tmp_path, env=home, check=True, capture_output=True)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
