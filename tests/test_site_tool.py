"What `tools/site.py` refuses and writes, and what other programs read of the project."

import ast
import contextlib
import inspect
import json
import os
import re
import runpy
import subprocess
import sys
import warnings

import pytest
import yaml
from conftest import ROOT, do_without, installed
from nbdev.process import NBProcessor
from nbdev.processors import _do_eval
from site_helpers import (
    NBDEV_EXPORT,
    NOTEBOOKS,
    cells,
    code_cell,
    copy_files,
    copy_project,
    in_copy,
    name_of,
    page,
    run,
    source_of,
    write_notebook,
)

from downloads import in_colab
from website.api import documentation
from website.finish import inline_modules
from website.markdown import lead_to_scripts, write_readme

every_page = pytest.mark.parametrize("path", NOTEBOOKS, ids=source_of)


# ------------------------------------------------------------------------------ the package


@pytest.mark.parametrize("script", sorted((ROOT / "tools").glob("*.py")), ids=lambda p: p.stem)
def test_a_tool_leaves_pythons_own_site_module_alone(script):
    "A script finds its neighbours first, and one of them is called as a module of Python."
    code = (
        f"import sys; sys.path.insert(0, {str(script.parent)!r}); import site; print(site.__file__)"
    )
    own = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "tools" not in own.stdout
    assert not re.search(r"^\s*(import|from) site\b", script.read_text(), re.M)


def test_the_modules_of_the_tool_import_in_one_order():
    "The order in which the package lists them; each imports only from those above it."
    import website

    order = re.findall(r"^    (\w+)  ", inspect.getdoc(website), re.M)
    files = {p.stem: p for p in (ROOT / "tools/website").glob("*.py")}
    assert {*order, "__init__", "__main__"} == set(files)
    for module in order:
        source = files[module].read_text()
        imported = re.findall(r"^\s*from website\.(\w+) import", source, re.M)
        assert set(imported) <= set(order[: order.index(module)]), module


def test_no_function_of_the_tool_is_longer_than_forty_lines():
    for path in [*(ROOT / "tools/website").glob("*.py"), ROOT / "tests/quarto_shape.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                n_lines = node.end_lineno - node.lineno + 1
                assert n_lines <= 40, f"{path.name}: {node.name} has {n_lines} lines"


# ------------------------------------------------------------------------------ refusals


@pytest.fixture
def refused(tmp_path):
    "What the tool says where the sidebar names other pages than there are."
    copy_files(tmp_path, "settings.ini", "_quarto.yml", "tools", "nbs")

    def change(old, new):
        config = (tmp_path / "_quarto.yml").read_text()
        assert old in config
        (tmp_path / "_quarto.yml").write_text(config.replace(old, new))
        done = run("--out", tmp_path / "site", root=tmp_path)
        assert done.returncode == 2
        return done.stderr.splitlines()

    return change


def test_a_page_that_is_not_there_stops_the_build(refused):
    lines = refused("01_gradient_descent", "01_ascent")
    assert lines == ["site.py: _quarto.yml lists 01_ascent.ipynb, not found in nbs"]


TOPIC = "          - text: 01 Gradient descent\n            file: 01_gradient_descent.ipynb\n"


@pytest.mark.parametrize("entry", [TOPIC, "- library/checks.ipynb\n"])
def test_a_page_out_of_the_sidebar_stops_the_build(refused, entry):
    name = re.search(r"[\w/]+\.ipynb", entry)[0]
    lines = refused(entry, "\n")
    assert lines == [f"site.py: {name} would have no link: _quarto.yml does not list it"]


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    done = run("--out", tmp_path)
    assert done.returncode == 2
    assert "holds something else" in done.stderr
    assert (tmp_path / "mine.txt").exists()


def test_a_missing_quarto_is_said_in_one_line(tmp_path):
    done = run("--quarto", "--out", tmp_path / "site", PATH=str(tmp_path))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "no `quarto` on the PATH" in done.stderr


# ------------------------------------------------------------------------------ documentation


def documented(source):
    "The documentation of the first name in a source, by what is declared: its meaning."
    shown = documentation(ast.parse(source).body[0], source, "none")
    return shown, dict(re.findall(r"^(.+)\n:   (.*)$", shown, re.M))


DOCMENTS = """\
def draw(
    model: list,  # layers
    *,  # keyword-only from here
    # colours the nodes: the inputs, the activations of each
    # hidden layer, and the outputs
    values: list | None = None,
    sizes: tuple[
        int, int
    ] = (1, 2),  # beside the last line
    silent: int = 3,
) -> list:  # the axes
    "Draw a network."
"""


def test_comments_beside_and_above_arguments_are_read():
    _, meanings = documented(DOCMENTS)
    assert meanings == {
        "`model: list`": "layers",
        "`*`": "keyword-only from here",
        "`values: list | None = None`": (
            "colours the nodes: the inputs, the activations of each hidden layer, and the outputs"
        ),
        "`sizes: tuple[int, int] = (1, 2)`": "beside the last line",
        "`silent: int = 3`": "<i></i>",
        "`-> list`": "the axes",
    }


def test_a_comment_on_a_signature_of_one_line_says_what_it_returns():
    _, meanings = documented("def size(x: int) -> int:  # pixels\n    return x")
    assert meanings == {"`x: int`": "<i></i>", "`-> int`": "pixels"}


NUMPYDOC = '''\
def paint(image: list, *, n_epochs: int | None = None, **options) -> list:
    """Paint a picture.

    All pixels are used.

    Parameters
    ----------
    image : list
        The picture,
        `(h, w)`.
    n_epochs : int, optional
        How long.
    **options
        Passed on.

    Returns
    -------
    list
        The painting.

    Raises
    ------
    TypeError
        If it is no list.
    ValueError
        If it is empty.

    Examples
    --------
    >>> paint([])
    """
'''


def test_sections_of_numpydoc_are_read():
    shown, meanings = documented(NUMPYDOC)
    assert meanings == {
        "`image: list`": "The picture, `(h, w)`.",
        "`*`": "keyword-only from here",
        "`n_epochs: int | None = None`": "How long.",
        "`**options`": "Passed on.",
        "`-> list`": "The painting.",
        "raises `TypeError`": "If it is no list.",
        "raises `ValueError`": "If it is empty.",
    }
    assert "\n\nPaint a picture.\n\nAll pixels are used.\n\n" in shown
    assert "```python\n>>> paint([])\n```" in shown
    assert "-----" not in shown


def test_numpydoc_of_a_class_says_what_its_arguments_and_methods_are():
    _, meanings = documented('''\
class Run:
    """A training.

    Parameters
    ----------
    model, best : list
        Models.
    """

    def __init__(self, model, best: list): ...

    def save(self, path: str) -> None:
        """Write it.

        Parameters
        ----------
        path : str
            Where.
        """
''')
    assert meanings == {
        "`model`": "Models.",
        "`best: list`": "Models.",
        '<span id="run.save">`.save(path)`</span>': "Write it.",
    }


def test_fields_of_a_dataclass_are_read():
    _, meanings = documented(
        "class Run:\n    # the model,\n    # trained\n    model: list\n    n: int = 1  # epochs"
    )
    assert meanings == {"`model: list`": "the model, trained", "`n: int = 1`": "epochs"}


# ------------------------------------------------------------------------------ README.md


def test_readme_is_what_index_gives():
    assert write_readme(check=True) == [], "run: python tools/site.py --readme"


DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)
FILM = (
    f'<picture><source media="(prefers-reduced-motion: reduce)" '
    f'srcset="data:image/png;base64,{DOT}">'
    f'<img src="data:image/gif;base64,{DOT}" alt="a film"></picture>'
)
README = """# Title

> What it is

See [one](nbs/01_x.ipynb), [two](https://example.org), f[0](x).

```python
print(1)
```

```
1
```

```python
dot()
```

![A dot.](README_files/d-0.png)

<picture><source media="(prefers-reduced-motion: reduce)" srcset="README_files/e-1.png">\
<img src="README_files/e-2.gif" alt="a film"></picture>
"""


def display(**data):
    data = {kind.replace("_", "/"): content for kind, content in data.items()}
    return dict(output_type="display_data", metadata={}, data=data)


@pytest.fixture
def small(tmp_path):
    "A folder with a small nbs/index.ipynb."
    printed = dict(output_type="stream", name="stdout", text=["1\n"])
    write_notebook(
        tmp_path / "nbs/index.ipynb",
        code_cell("a", "#| default_exp x"),
        "# Title\n\n> What it is",
        code_cell("b", "#| hide\nsecret()"),
        "See [one](01_x.ipynb), [two](https://example.org), f[0](x).",
        code_cell("c", "print(1)", printed),
        code_cell(
            "d",
            '#| fig-alt: "A dot."\ndot()',
            display(image_png=DOT, text_plain=["<Figure>"]),
        ),
        code_cell("e", "#| echo: false\nfilm()", display(text_html=FILM, text_plain="Film")),
    )
    (tmp_path / "nbs/01_x.ipynb").touch()
    return tmp_path


def test_a_readme_is_written(small):
    write_readme(check=False, root=small)
    assert (small / "README.md").read_text() == README
    assert write_readme(check=True, root=small) == []


def test_a_readme_is_compared_and_not_written(small):
    assert write_readme(check=True, root=small)
    assert not (small / "README.md").exists()


def test_changed_and_old_pictures_of_a_readme_are_found(small):
    write_readme(check=False, root=small)
    (small / "README_files/old.png").touch()
    (small / "README_files/d-0.png").write_bytes(b"changed")
    differ = ["README_files/d-0.png", "README_files/old.png"]
    assert write_readme(check=True, root=small) == differ
    write_readme(check=False, root=small)
    assert write_readme(check=True, root=small) == []
    assert not (small / "README_files/old.png").exists()


def targets(page):
    "The links and pictures of a Markdown text, without those in code."
    page = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)
    in_html = re.findall(r'\b(?:src|srcset|href)="([^"]+)"', page)
    return re.findall(r"\]\(([^)]+)\)", page) + in_html


def relative(found):
    return [target for target in found if not re.match(r"https?://|#", target)]


def test_what_the_readme_leads_to_is_there():
    found = relative(targets((ROOT / "README.md").read_text()))
    assert len(found) > 20
    for target in found:
        assert (ROOT / target.partition("#")[0]).is_file(), target


BUILT = "paint here (on the built site: `python tools/site.py`, then open `_docs/live.html`)"
PUBLISHED = "[paint here](https://someone.github.io/elsewhere/live.html)"


@pytest.mark.parametrize(
    "host, base, goal",
    [("", ".", BUILT), ("https://someone.github.io", "/elsewhere", PUBLISHED)],
    ids=["unpublished", "published"],
)
def test_the_readme_leads_to_no_program_in_a_notebook(monkeypatch, host, base, goal):
    "GitHub runs no script of a notebook that it shows."
    settings = dict(doc_host=host, doc_baseurl=base)
    monkeypatch.setattr("nbdev.config.get_config", lambda: settings)
    words = "See [paint here](nbs/live.ipynb#x) and [page 01](nbs/01_gradient_descent.ipynb)."
    led = f"See {goal} and [page 01](nbs/01_gradient_descent.ipynb)."
    assert lead_to_scripts(words) == led
    assert "live.ipynb" not in (ROOT / "README.md").read_text()


@pytest.fixture
def describe():
    "What setup.py makes of README.md for PyPI, which shows it without the repository around it."
    with contextlib.chdir(ROOT):
        return runpy.run_path("setup.py", run_name="setup")["describe"]


LINKED = """
[a `b`](x.md) <a href="y.md">y</a> ![z](z.png) <img src="w.png">

```python
f[0](x)
```
"""


def test_the_text_of_the_package_leads_to_the_repository(describe):
    readme = (ROOT / "README.md").read_text() + LINKED
    shown = describe(readme, "https://github.com/someone/elsewhere", "main")
    assert relative(targets(shown)) == []
    assert len(targets(shown)) == len(targets(readme))
    assert "[a `b`](https://github.com/someone/elsewhere/blob/main/x.md)" in shown
    assert "![z](https://github.com/someone/elsewhere/raw/main/z.png)" in shown
    assert "f[0](x)" in shown


def test_the_text_of_the_package_has_no_broken_link(describe):
    shown = describe((ROOT / "README.md").read_text() + LINKED, "", "main")
    assert relative(targets(shown)) == []
    for left in ("<img", "figcaption"):
        assert left not in shown
    assert "a `b` y" in shown
    assert "[Creative Applications of Deep Learning with TensorFlow](https://" in shown
    assert "f[0](x)" in shown


# ------------------------------------------------------------------------------ an address

GIT = "https://github.com/someone/elsewhere"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    "A copy of the project with the publishing settings filled in, and its built site."
    folder = tmp_path_factory.mktemp("published")
    copy_project(
        folder, git_url=GIT, doc_host="https://someone.github.io", doc_baseurl="/elsewhere"
    )
    assert in_copy(folder, *NBDEV_EXPORT).returncode == 0
    done = in_copy(folder, "tools/site.py", "--out", "site")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "0 faults"
    return folder


@every_page
def test_a_published_page_opens_in_colab(published, path):
    shown = page(published / "site", name_of(path))
    notebook = f"someone/elsewhere/blob/main/nbs/{source_of(path)}"
    link = f'href="https://colab.research.google.com/github/{notebook}">Open in Colab</a>'
    assert f"{link} {in_colab(GIT, path.parent.relative_to(ROOT).as_posix())}" in shown


def test_colab_starts_in_the_folder_of_the_page():
    assert "<code>%cd elsewhere/nbs/library</code>" in in_colab(GIT, "nbs/library")


def test_source_links_lead_to_definitions(published):
    link = re.compile(r'href="([^"]*/blob/main/cadl_flax/(\w+)\.py#L([^"]*))"')
    found = 0
    for path in (published / "site").rglob("*.html"):
        for goal, module, line in link.findall(path.read_text()):
            assert goal.startswith(GIT + "/blob/"), goal
            lines = (published / f"cadl_flax/{module}.py").read_text().splitlines()
            assert re.match(r"@|def |class ", lines[int(line) - 1]), goal
            found += module == "training"
    assert found >= 4


def test_a_published_site_works_from_disk(published):
    for path in (published / "site").rglob("*.html"):
        shown = re.sub(r"<(?:link|meta)\b[^>]*>", "", path.read_text())
        assert 'href="https://someone.github.io' not in shown, path.name
        assert "None" not in re.findall(r'href="([^"]*)"', shown), path.name


def test_a_published_name_links_to_its_page(published):
    link = r'<a href="(\./)?[\w/]+\.html#fit"[^>]*><code>fit</code>'
    assert re.search(link, page(published / "site", "index"))


def test_a_command_has_no_link_to_the_function_of_its_name(published):
    commands = [p for p in NOTEBOOKS if any("default_exp __main__" in s for s, _ in cells(p))]
    shown = page(published / "site", name_of(commands[0]))
    assert "/blob/main/cadl_flax/painting.py#L" not in shown


def test_no_address_no_links(tmp_path):
    copy_project(tmp_path, git_url="", doc_host="", doc_baseurl=".")
    for path in tmp_path.glob("nbs/**/*.ipynb"):  # what they show does not matter here
        nb = json.loads(path.read_text())
        path.write_text(json.dumps({**nb, "cells": nb["cells"][:3]}))
    in_copy(tmp_path, "tools/site.py", "--out", "site")
    shown = page(tmp_path / "site", "pictures")
    for left in ("colab", "github.com", "/blob/"):
        assert left not in shown


# ------------------------------------------------------------------------------ notebooks


@every_page
def test_every_directive_is_yaml(path):
    "Quarto reads `#| key: value` as YAML, and stops where it is none: a colon needs quotes."
    words = ("fig-alt", "fig-cap", "tbl-cap", "code-summary")
    for source, cell in cells(path):
        for line in re.findall(r"^#\| *([\w-]+: .*)$", source, re.M):
            try:
                ((key, value),) = yaml.safe_load(line).items()
            except (yaml.YAMLError, AttributeError, ValueError) as error:
                pytest.fail(f"{path.name}, cell {cell['id']}: #| {line}\n{error}")
            if key in words:
                assert isinstance(value, str) and value.strip(), line


@every_page
def test_no_cell_mixes_imports_and_other_code(path):
    "nbdev runs cells that import, to document what they define, and warns where that runs more."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cell in NBProcessor(path).nb.cells:
            _do_eval(cell)


PREPARE = """
import warnings
warnings.filterwarnings('error', 'Found cells')
from nbdev.serve import proc_nbs
proc_nbs(n_workers=0, force=True)
"""


def test_nbdev_prepares_the_notebooks(tmp_path, monkeypatch):
    "The step of nbdev_docs before Quarto's, with nbdev's own documentation of names."
    copy_project(tmp_path)
    monkeypatch.setenv("FLAX_DOC_BUILD", "1")
    done = in_copy(tmp_path, "-c", PREPARE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "_proc").rglob("*.ipynb"))) == len(NOTEBOOKS)


WRITE_README = "from nbdev.quarto import nbdev_readme as n; n.__wrapped__(chk_time=True)"


def test_nbdev_leaves_the_readme_alone(tmp_path):
    """nbdev_docs and nbdev_prepare write README.md anew where it is older than the index.

    Theirs lacks our pictures and links.
    """
    copy_project(tmp_path)
    (tmp_path / "README.md").write_text("ours")
    os.utime(tmp_path / "README.md", (0, 0))
    done = in_copy(tmp_path, "-c", WRITE_README)
    assert done.returncode == 0
    assert "python tools/site.py --readme" in done.stdout
    assert (tmp_path / "README.md").read_text() == "ours"


# ------------------------------------------------------------------------------ workflows


def workflow(name):
    return yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())


def actions(*jobs):
    "The steps that use an action, by its name."
    steps = [step for job in jobs for step in job["steps"] if "uses" in step]
    return {step["uses"].partition("@")[0]: step for step in steps}


def test_pull_requests_publish_nothing():
    site = workflow("site")
    assert "pull_request" in site[True]  # YAML's `on`
    condition = site["jobs"]["publish"]["if"]
    assert "pull_request" in condition
    assert "PUBLISH_SITE" in condition


def test_only_the_job_that_publishes_may_write():
    jobs = workflow("site")["jobs"]
    assert jobs["build"]["permissions"] == {"contents": "read"}
    assert jobs["publish"]["permissions"] == {"pages": "write", "id-token": "write"}


def test_the_workflow_pins_a_quarto_that_is_new_enough():
    used = actions(workflow("site")["jobs"]["build"])
    version = used["quarto-dev/quarto-actions/setup"]["with"]["version"]
    assert [int(n) for n in version.split(".")] >= [1, 8, 0]
    assert version.count(".") == 2


def test_the_workflow_publishes_what_it_has_tested():
    jobs = workflow("site")["jobs"]
    used = actions(*jobs.values())
    names = ("actions/upload-pages-artifact", "actions/deploy-pages")
    majors = {used[name]["uses"].partition("@")[2] for name in names}
    assert len(majors) == 1  # they are made for each other
    published = jobs["publish"]
    assert published["environment"]["url"] == "${{ steps.deployment.outputs.page_url }}"
    assert published["steps"][-1]["id"] == "deployment"


@pytest.mark.parametrize("name", ["site", "test"])
def test_a_workflow_asks_for_little(name):
    found = workflow(name)
    assert found["permissions"] == {}
    assert "group" in found["concurrency"]
    for job in found["jobs"].values():
        assert job["permissions"]
        assert job["timeout-minutes"]


@pytest.mark.parametrize("name", ["site", "test"])
def test_a_workflow_skips_no_test_in_a_browser(name):
    found = workflow(name)

    def has_tests(job):
        return any("pytest" in step.get("run", "") for step in job["steps"])

    tested = [job for job in found["jobs"].values() if has_tests(job)]
    assert tested
    for job in tested:
        settings = found.get("env", {}) | job.get("env", {})
        assert settings["CADL_FLAX_BROWSER"] == "required"


# ------------------------------------------------------------------------------ browsers


def outcome(what, name):
    "The kind and the words of a skip or a failure; a skip here would skip the test that asks."
    try:
        what(name)
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        return type(error), str(error)


def test_a_missing_browser_skips(monkeypatch):
    monkeypatch.delenv("CADL_FLAX_BROWSER", raising=False)
    assert outcome(do_without, "none") == (pytest.skip.Exception, "none: no test in a browser")


def test_a_missing_browser_fails_where_it_is_required(monkeypatch):
    monkeypatch.setenv("CADL_FLAX_BROWSER", "required")
    assert outcome(do_without, "none") == (pytest.fail.Exception, "none: no test in a browser")
    missing = "no_such is not installed: no test in a browser"
    assert outcome(installed, "no_such.x") == (pytest.fail.Exception, missing)


MODULE = """\
import * as b from "./b.js";
import { word } from './b.js';
document.title = b.word + word;"""
LOADS = """\
<meta charset="utf-8"><title>no</title>\
<script src="lib/a.js" type="module"></script>"""


def test_modules_work_from_disk(browser, tmp_path):
    "A browser loads no module from disk, and Quarto writes some: they are put into the page."
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/b.js").write_text("export const word = 'ä</b>';")
    (tmp_path / "lib/a.js").write_text(MODULE)
    (tmp_path / "page.html").write_text(inline_modules(LOADS, tmp_path))
    tab = browser.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    tab.wait_for_function("document.title == 'ä</b>ä</b>'", timeout=5000)
    tab.close()
