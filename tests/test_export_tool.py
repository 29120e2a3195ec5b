"`tools/export.py` names what would break the export, and writes all of the package or nothing."

import json
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, tool

FIRST = "#| exports\ndef one(): return 1"


def code_cell(name, source):
    "A code cell as a notebook stores it; `name` is its id."
    kind = {"cell_type": "code", "id": name, "metadata": {}, "source": source}
    return kind | {"outputs": [], "execution_count": None}


def page(*sources, module="lesson"):
    "The text of a notebook; cells are called c0, c1 and so on, after the one with the module."
    cells = [code_cell(f"c{i}", source) for i, source in enumerate(sources)]
    if cells:
        cells = [code_cell("first", f"#| default_exp {module}"), *cells]
    return json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5), indent=1)


@pytest.fixture
def project(tmp_path):
    "A small project with a copy of the tool; `export(*pages)` writes the pages and runs it."
    for folder in ("tools", "nbs", "small"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "tools" / "export.py", tmp_path / "tools")
    settings = (ROOT / "settings.ini").read_text(encoding="utf-8").replace("cadl_flax", "small")
    (tmp_path / "settings.ini").write_text(settings, encoding="utf-8")

    def export(*pages, check=False):
        for i, content in enumerate(pages):
            (tmp_path / "nbs" / f"{i:02}_page.ipynb").write_text(content, encoding="utf-8")
        command = [sys.executable, "tools/export.py", *["--check"] * check]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    export.package = tmp_path / "small"
    return export


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refused(export, *pages):
    "What is said of pages that are wrong, after pages that are right; the package stays."
    assert export(page(FIRST)).returncode == 0
    before = contents(export.package)
    result = export(*pages)
    assert result.returncode == 1 and result.stdout == "" and "Traceback" not in result.stderr
    assert contents(export.package) == before and before
    return result.stderr.splitlines()


def test_a_right_page_is_exported(project):
    first = page(FIRST, "%matplotlib inline\nx = 1")
    result = project(first, page("#| export\ntwo = 2", module="other"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert "def one()" in (project.package / "lesson.py").read_text(encoding="utf-8")
    assert "two = 2" in (project.package / "other.py").read_text(encoding="utf-8")
    assert (project.package / "_modidx.py").exists()


def test_a_check_names_the_modules_that_are_old_and_writes_nothing(project):
    assert project(page(FIRST)).returncode == 0
    assert project(page(FIRST), check=True).returncode == 0
    before = contents(project.package)
    result = project(page("#| exports\ndef one(): return 2"), check=True)
    assert result.returncode == 1 and contents(project.package) == before
    assert result.stdout.splitlines() == [
        "small/lesson.py: not what the notebooks export: python tools/export.py",
        "1 modules differ",
    ]


@pytest.mark.parametrize(
    "source, line, words",
    [
        ("#| exports\n\ndef one(:\n    return 1", 3, "invalid syntax"),
        ("#| export\nx = (1,\ny = 2", 2, "'(' was never closed"),
        ("#| exporti\nx = 1\nreturn x", 3, "'return' outside function"),
        ("# | exports\n  x = 1", 2, "unexpected indent"),
    ],
    ids=["colon", "bracket", "return", "indent"],
)
def test_code_that_does_not_compile_is_named_with_its_cell(project, source, line, words):
    (fault,) = refused(project, page(FIRST, source))
    assert fault.startswith(f"nbs/00_page.ipynb, cell c1, line {line}: ") and words in fault


def test_code_that_is_not_exported_may_be_what_it_likes(project):
    assert project(page(FIRST, "!ls", "x = (")).returncode == 0


@pytest.mark.parametrize(
    "source, line, words",
    [
        ("#| exprts\nx = 1", 1, "nobody reads #| exprts: did you mean exports?"),
        (
            "#| hide\n# | fig-atl: a face\nx = 1",
            2,
            "nobody reads #| fig-atl: did you mean fig-alt?",
        ),
        ("#|whatever\nx = 1", 1, "nobody reads #| whatever"),
        ("x = 1\n#| exports\ny = 2", 2, "nobody reads #| exports below code"),
    ],
    ids=["export", "option", "unknown", "late"],
)
def test_directives_that_nobody_knows_are_named(project, source, line, words):
    assert refused(project, page(FIRST, source)) == [
        f"nbs/00_page.ipynb, cell c1, line {line}: {words}"
    ]


def test_all_directives_of_nbdev_quarto_and_ours_are_known(project):
    above = "#| exports\n#| echo: false\n#|fig-alt: a face\n#| slow\n#| outputs: pictures at 20 dB"
    fine = f"{above}\n\nx = 1\ny = 2 #| hide_line"
    assert project(page(FIRST, fine)).returncode == 0


def test_conflict_markers_are_a_line_with_the_name_of_the_file(project):
    lines = page(FIRST).splitlines()
    lines[5:5] = ["<<<<<<< HEAD", '"a": 1,', "=======", '"b": 1,', ">>>>>>> other"]
    (fault,) = refused(project, "\n".join(lines))
    assert fault == (
        "nbs/00_page.ipynb: line 6: not valid JSON: a merge left conflict markers? "
        "`nbdev_fix nbs/00_page.ipynb` takes them out"
    )


@pytest.mark.parametrize("content", ["", "[]", "{}", "3"])
def test_a_file_that_is_no_notebook_is_named(project, content):
    (fault,) = refused(project, content)
    assert fault.startswith("nbs/00_page.ipynb: ")


def test_all_faults_are_named_at_once(project):
    first = page(FIRST, "#| exprts\nx = 1", "#| export\nx = (")
    found = refused(project, first, "{", page("#| hid"))
    assert [line.split(":")[0].split(",")[0] for line in found] == [
        "nbs/00_page.ipynb",
        "nbs/00_page.ipynb",
        "nbs/01_page.ipynb",
        "nbs/02_page.ipynb",
    ]


def test_an_export_that_fails_leaves_the_package_as_it_was(project):
    "Two pages, of which nbdev writes the first and stops at the second: it wants a name of a list."
    fails = page("#| exports\n_all_ = 3", module="other")
    found = refused(project, page("#| exports\nthree = 3"), fails)
    assert found[-1].startswith("nbdev_export failed, and the package is as it was: ")


def test_the_pages_of_this_project_have_no_fault():
    export = tool("export")
    pages = sorted((ROOT / "nbs").rglob("[!_.]*.ipynb"))
    assert len(pages) > 20
    flags = {"notest", "slow"}
    assert [fault for path in pages for fault in export.faults(path, flags)] == []
    assert export.name(pages[0]) == f"nbs/{pages[0].name}"
