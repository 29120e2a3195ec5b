"`tools/export.py` names what would break the export, and writes all of the package or nothing."
import json
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, tool

FIRST = "#| exports\ndef one(): return 1"


def page(*sources, module="lesson"):
    "The text of a notebook; cells are called c0, c1 and so on, after the one with the module."
    cells = [dict(cell_type="code", id=f"c{i}", metadata={}, source=source, outputs=[], execution_count=None)
             for i, source in enumerate(sources)]
    first = cells[:1] and [dict(cells[0], id="first", source=f"#| default_exp {module}")]
    return json.dumps(dict(cells=first + cells, metadata={}, nbformat=4, nbformat_minor=5), indent=1)


@pytest.fixture
def project(tmp_path):
    "A small project with a copy of the tool; `export(*pages)` writes the pages and runs it."
    for folder in ("tools", "nbs", "small"): (tmp_path/folder).mkdir()
    shutil.copy(ROOT/"tools"/"export.py", tmp_path/"tools")
    settings = (ROOT/"settings.ini").read_text(encoding="utf-8").replace("cadl_flax", "small")
    (tmp_path/"settings.ini").write_text(settings, encoding="utf-8")
    def export(*pages):
        for i, content in enumerate(pages): (tmp_path/"nbs"/f"{i:02}_page.ipynb").write_text(content, encoding="utf-8")
        line = [sys.executable, "tools/export.py"]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    export.package = tmp_path/"small"
    return export


def contents(folder): return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refused(export, *pages):
    "What is said of pages that are wrong, after pages that are right; the package stays."
    assert export(page(FIRST)).returncode == 0
    before = contents(export.package)
    result = export(*pages)
    assert result.returncode == 1 and result.stdout == "" and "Traceback" not in result.stderr
    assert contents(export.package) == before and before
    return result.stderr.splitlines()


def test_a_right_page_is_exported(project):
    result = project(page(FIRST, "%matplotlib inline\nx = 1"), page("#| export\ntwo = 2", module="other"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert "def one()" in (project.package/"lesson.py").read_text()
    assert "two = 2" in (project.package/"other.py").read_text()
    assert (project.package/"_modidx.py").exists()


@pytest.mark.parametrize("source, line, words", [
    ("#| exports\n\ndef one(:\n    return 1", 3, "invalid syntax"),
    ("#| export\nx = (1,\ny = 2", 2, "'(' was never closed"),
    ("#| exporti\nx = 1\nreturn x", 3, "'return' outside function"),
    ("# | exports\n  x = 1", 2, "unexpected indent")], ids=["colon", "bracket", "return", "indent"])
def test_code_that_does_not_compile_is_named_with_its_cell(project, source, line, words):
    said, = refused(project, page(FIRST, source))
    assert said.startswith(f"nbs/00_page.ipynb, cell c1, line {line}: ") and words in said


def test_code_that_is_not_exported_may_be_what_it_likes(project):
    assert project(page(FIRST, "!ls", "x = (")).returncode == 0


@pytest.mark.parametrize("source, line, words", [
    ("#| exprts\nx = 1", 1, "nobody reads #| exprts: did you mean exports?"),
    ("#| hide\n# | fig-atl: a face\nx = 1", 2, "nobody reads #| fig-atl: did you mean fig-alt?"),
    ("#|whatever\nx = 1", 1, "nobody reads #| whatever"),
    ("x = 1\n#| exports\ny = 2", 2, "nobody reads #| exports below code")],
    ids=["export", "option", "unknown", "late"])
def test_directives_that_nobody_knows_are_named(project, source, line, words):
    assert refused(project, page(FIRST, source)) == [f"nbs/00_page.ipynb, cell c1, line {line}: {words}"]


def test_all_directives_of_nbdev_quarto_and_ours_are_known(project):
    fine = "#| exports\n#| echo: false\n#|fig-alt: a face\n#| slow\n#| outputs: pictures at 20 dB\n\nx = 1\ny = 2 #| hide_line"
    assert project(page(FIRST, fine)).returncode == 0


def test_conflict_markers_are_a_line_with_the_name_of_the_file(project):
    lines = page(FIRST).splitlines()
    lines[5:5] = ["<<<<<<< HEAD", '"a": 1,', "=======", '"b": 1,', ">>>>>>> other"]
    said, = refused(project, "\n".join(lines))
    assert said == ("nbs/00_page.ipynb: line 6: not valid JSON: a merge left conflict markers? "
                    "`nbdev_fix nbs/00_page.ipynb` takes them out")


@pytest.mark.parametrize("content", ["", "[]", "{}", "3"])
def test_a_file_that_is_no_notebook_is_named(project, content):
    said, = refused(project, content)
    assert said.startswith("nbs/00_page.ipynb: ")


def test_all_faults_are_named_at_once(project):
    said = refused(project, page(FIRST, "#| exprts\nx = 1", "#| export\nx = ("), "{", page("#| hid"))
    assert [line.split(":")[0].split(",")[0] for line in said] == [
        "nbs/00_page.ipynb", "nbs/00_page.ipynb", "nbs/01_page.ipynb", "nbs/02_page.ipynb"]


def test_an_export_that_fails_leaves_the_package_as_it_was(project):
    "Two pages, of which nbdev writes the first and stops at the second: it wants a name of a list."
    said = refused(project, page("#| exports\nthree = 3"), page("#| exports\n_all_ = 3", module="other"))
    assert said[-1].startswith("nbdev_export failed, and the package is as it was: ")


def test_the_pages_of_this_project_have_no_fault():
    export = tool("export")
    pages = sorted((ROOT/"nbs").glob("[!_]*.ipynb"))
    assert len(pages) > 20 and [fault for path in pages for fault in export.faults(path, {"notest", "slow"})] == []
    assert export.name(pages[0]) == f"nbs/{pages[0].name}"
