"`tools/edit.py` does all that an edit needs, in a small project, and says what is left."

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT, tool

TOOLS = ("downloads", "edit", "export", "names", "notebooks")
README = """
import sys
from pathlib import Path
front = Path("nbs/index.ipynb").read_text(encoding="utf-8")
if "--check" not in sys.argv:
    Path("README.md").write_text(front, encoding="utf-8")
sys.exit(Path("README.md").read_text(encoding="utf-8") != front)
"""  # in place of tools/site.py, whose site would be larger than this project
FIRST = "#| default_exp first", "#| exports\ndef one():\n    return 1", "print(one())"
SECOND = ("from cadl_flax.first import one\n\nprint('second', one())",)


class Project:
    "A small project under git, with the tools."

    def __init__(self, folder):
        self.folder = folder
        for name in ("tools", "nbs", "cadl_flax"):
            (folder / name).mkdir()
        for name in TOOLS:
            shutil.copy(ROOT / "tools" / f"{name}.py", folder / "tools")
        (folder / "tools" / "site.py").write_text(README, encoding="utf-8")
        (folder / "README.md").write_text("", encoding="utf-8")
        for name in ("settings.ini", "pyproject.toml", ".gitignore"):
            shutil.copy(ROOT / name, folder)
        self.git("init", "-q")

    def git(self, *arguments):
        "Run git as somebody."
        someone = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
        return subprocess.run(["git", *someone, *arguments], cwd=self.folder, check=True)

    def commit(self):
        "Make what is there the last commit."
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "all")

    def write(self, name, *sources):
        "Write a page as an editor does: its outputs are those of another time."
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        for cell in cells:
            cell.metadata["collapsed"] = False
        nbformat.write(nbformat.v4.new_notebook(cells=cells), self.folder / "nbs" / name)

    def printed(self, name):
        "The text that the stored outputs of a page have."
        nb = nbformat.read(self.folder / "nbs" / name, 4)
        return "".join(o.get("text", "") for c in nb.cells for o in c.get("outputs", []))

    def edit(self, *options):
        "Run the tool: its exit status, and what it prints."
        environment = os.environ | {"PYTHONPATH": str(self.folder)}
        command = [sys.executable, "tools/edit.py", *options]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert 'tools/edit.py", line' not in done.stderr, done.stderr  # a traceback through it
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    "A project whose pages are stored and committed."
    project = Project(tmp_path_factory.mktemp("project"))
    project.write("00_first.ipynb", *FIRST)
    project.write("01_second.ipynb", *SECOND)
    project.write("index.ipynb", "#| default_exp __init__", "#| exports\n__version__ = ''")
    code, text = project.edit()
    assert code == 0, text
    project.commit()
    return project


@pytest.fixture
def unchanged(project):
    "The project, put back to its last commit afterwards."
    yield project
    project.git("checkout", "-q", ".")
    project.git("clean", "-fdq")


def test_a_project_that_is_stored_has_nothing_left(project):
    assert project.printed("00_first.ipynb") == "1\n"
    assert project.printed("01_second.ipynb") == "second 1\n"
    code, text = project.edit("--check")
    assert code == 0 and text.startswith("Nothing is left")


def test_one_command_does_all_and_names_the_pages_that_use_the_change(unchanged):
    unchanged.write("00_first.ipynb", FIRST[0], "#| exports\ndef one(): return 1+1", FIRST[2])
    unchanged.write("index.ipynb", "#| default_exp __init__", "#| exports\n__version__ = ''\nx = 1")
    code, text = unchanged.edit("--check")
    titles = {line for line in text.splitlines() if line.endswith(":")}
    assert code == 1 and len(titles) == 5, text
    code, text = unchanged.edit()
    assert code == 0, text
    assert "return 1 + 1" in (unchanged.folder / "cadl_flax/first.py").read_text(encoding="utf-8")
    assert unchanged.printed("00_first.ipynb") == "2\n"
    assert unchanged.printed("01_second.ipynb") == "second 1\n"
    assert "01_second.ipynb:" not in text
    assert "look with python tools/notebooks.py --check 01\n" in text
    code, text = unchanged.edit("--users")
    assert code == 0 and unchanged.printed("01_second.ipynb") == "second 2\n", text


def test_a_renamed_export_is_named_with_the_page_that_uses_it(unchanged):
    unchanged.write("00_first.ipynb", FIRST[0], FIRST[1].replace("one", "two"), "print(two())")
    code, text = unchanged.edit()
    assert code == 1 and "No page was run" in text
    assert "nbs/01_second.ipynb, cell" in text and "cadl_flax.first has no one" in text
    assert "00_first.ipynb: ok" not in text


def test_code_that_does_not_compile_or_run_is_named(unchanged):
    unchanged.write("00_first.ipynb", FIRST[0], "#| exports\ndef one(:")
    code, text = unchanged.edit()
    assert code == 1 and "The package was not written" in text and "00_first.ipynb, cell" in text
    unchanged.write("00_first.ipynb", *FIRST[:2], "print(one() / 0)")
    code, text = unchanged.edit()
    assert code == 1 and "ZeroDivisionError" in text and "00_first.ipynb: differs" in text
    assert "\x1b" not in text


def test_conflict_markers_are_named(unchanged):
    path = unchanged.folder / "nbs" / "01_second.ipynb"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2:2] = ["<<<<<<< HEAD", "=======", ">>>>>>> other"]
    path.write_text("\n".join(lines), encoding="utf-8")
    for options in ((), ("--check",)):
        code, text = unchanged.edit(*options)
        assert code == 1 and "nbs/01_second.ipynb: line 3: not valid JSON" in text


@pytest.mark.parametrize(
    "source, modules",
    [
        ("from cadl_flax.pictures import render", {"pictures"}),
        ("from .pictures import render\nfrom . import painting", {"pictures", "painting"}),
        ("import cadl_flax.pictures as p, numpy.random", {"pictures"}),
        ("from cadl_flax import painting", {"painting"}),
        ("from elsewhere.pictures import render\nimport cadl_flax", set()),
    ],
)
def test_the_modules_that_code_imports(source, modules):
    edit = tool("edit")
    assert modules == set(edit.imported(edit.ast.parse(source))) & {"pictures", "painting"}


def test_what_ci_demands_before_its_long_steps_is_this_command():
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8").split("\nstep ")
    sync = next(step for step in steps if "in sync" in step)
    assert sync.strip().splitlines()[1:] == ["python tools/edit.py --check"]
