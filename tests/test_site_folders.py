"A page in a subfolder of nbs/ is a page like any other, whichever renderer shows it."

import contextlib
import json
import re
import shutil
from pathlib import Path

import pytest
import quarto_shape
import yaml
from conftest import ROOT
from site_helpers import (
    NBDEV_EXPORT,
    code_cell,
    copy_files,
    in_copy,
    page,
    served,
    visible,
    visit,
    write_notebook,
)

from website.check import faults
from website.finish import finish_site
from website.pages import list_pages

CONFIG = [
    dict(text="Start here", file="index.ipynb"),
    dict(section="Lessons", contents=["04_learning.ipynb"]),
    dict(section="Library", contents=["library/tools.ipynb", "library/films.ipynb"]),
]
SHAPE = '#| exports\ndef shape(\n    x: list,  # numbers\n) -> int:  # how many\n    "Count."'
SEE = """\
See [learning](../04_learning.ipynb#steps), [films](films.ipynb#frames), [home](../index.ipynb), \
[the same](../library/films.ipynb), `step` and `shape`.
"""


def write_lessons(nbs):
    links = (
        "See [tools](library/tools.ipynb#counting), `shape`, [`shape`](04_learning.ipynb#steps)."
    )
    write_notebook(nbs / "index.ipynb", "# Home\n\n> All of it.", links)
    module = code_cell("d", "#| default_exp learning")
    step = '#| exports\ndef step():\n    "Go."'
    links = "## Steps\n\nSee [films](./library/films.ipynb#frames) and `shape`."
    write_notebook(nbs / "04_learning.ipynb", module, "# Learning\n\n> Steps.", links, step)


def write_library(nbs):
    module, title = code_cell("d", "#| default_exp tools"), "# Tools\n\n> What lessons need."
    formula = "## Counting\n\n$$x^2$$\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    last = "## Last\n\nA word to find: marmalade."
    write_notebook(nbs / "library/tools.ipynb", module, title, SEE, SHAPE, formula, last)
    frames = "## Frames\n\nBack to [tools](tools.ipynb)."
    write_notebook(nbs / "library/films.ipynb", "# Films\n\n> They move.", frames)


def write_drafts(nbs):
    "Notebooks that are no pages."
    for draft in ("_draft.ipynb", "library/_draft.ipynb", ".ipynb_checkpoints/films.ipynb"):
        write_notebook(nbs / draft, "# No page")


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    "A small project."
    folder = tmp_path_factory.mktemp("project")
    copy_files(folder, "settings.ini", "pyproject.toml", "_quarto.yml", "tools")
    config = yaml.safe_load((folder / "_quarto.yml").read_text())
    config["website"]["sidebar"]["contents"] = CONFIG
    (folder / "_quarto.yml").write_text(yaml.safe_dump(config))
    ignored = shutil.ignore_patterns("*.ipynb", "library", "data")
    shutil.copytree(ROOT / "nbs", folder / "nbs", ignore=ignored)
    for write in (write_lessons, write_library, write_drafts):
        write(folder / "nbs")
    (folder / "cadl_flax").mkdir()
    done = in_copy(folder, *NBDEV_EXPORT)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session", params=["as built", "as Quarto"])
def site(request, project, tmp_path_factory):
    built = project / "site"
    if not built.exists():
        done = in_copy(project, "tools/site.py", "--out", "site")
        assert done.returncode == 0, done.stdout + done.stderr
    if request.param == "as built":
        return built
    out = tmp_path_factory.mktemp("finished") / "site"
    quarto_shape.write(built, out)
    config = yaml.safe_load((project / "_quarto.yml").read_text())
    with contextlib.chdir(ROOT):
        finish_site(out, list_pages(config, project / "nbs"))
    return out


def links(shown):
    "The targets of the links in the text of a page."
    return re.findall(r'<a href="([^"]+)"', shown[shown.index("<main") : shown.index("</main>")])


def normal(link):
    return link.removeprefix("./")


def test_no_faults(site):
    assert faults(site) == []


def test_notebooks_with_an_underscore_or_a_dot_are_no_pages(site):
    pages = {p.relative_to(site).as_posix() for p in site.rglob("*.html")}
    assert pages == {"index.html", "learning.html", "library/tools.html", "library/films.html"}


def test_links_lead_up_and_across(site):
    found = map(normal, links(page(site, "library/tools")))
    goals = {"../learning.html#steps", "films.html#frames", "../index.html", "films.html"}
    assert goals <= set(found)


def test_links_lead_down(site):
    assert "library/tools.html#counting" in map(normal, links(page(site, "index")))
    assert "library/films.html#frames" in map(normal, links(page(site, "learning")))


def test_names_lead_up_and_down(site):
    assert "../learning.html#step" in map(normal, links(page(site, "library/tools")))
    assert "library/tools.html#shape" in map(normal, links(page(site, "index")))


def test_a_name_in_a_link_keeps_that_link(site):
    goals = re.findall(r'<a href="([^"]+)"><code>shape</code></a>', page(site, "index"))
    assert [*map(normal, goals)] == ["library/tools.html#shape", "learning.html#steps"]


def test_breadcrumbs_name_the_section(site):
    shown = page(site, "library/tools")
    crumbs = re.search(r'<ol class="breadcrumb">.*?</ol>', shown, re.S)[0]
    assert [visible(crumb) for crumb in crumbs.split("</li>")] == ["Library", "Tools", ""]


def test_pages_lead_to_the_ones_before_and_after(site):
    shown = page(site, "library/tools")
    navigation = re.search(r'<nav class="page-navigation"[^>]*>.*?</nav>', shown, re.S)[0]
    found = re.findall(r'href="([^"]+)"', navigation)
    assert [normal(link) for link in found] == ["../learning.html", "films.html"]


def test_the_notebook_can_be_downloaded(site):
    shown = page(site, "library/tools")
    assert '<a href="../notebooks/library/tools.ipynb" download>' in shown
    nb = json.loads((site / "notebooks/library/tools.ipynb").read_text())
    assert any("def shape(" in "".join(cell["source"]) for cell in nb["cells"])


def test_the_twin_leads_to_other_twins(site):
    twin = (site / "library/tools.md").read_text()
    goals = {"../learning.md#steps", "films.md#frames", "../index.md", "films.md"}
    assert set(re.findall(r"\]\(([^)]+)\)", twin)) == goals
    assert '<a href="tools.md">Markdown</a>' in page(site, "library/tools")
    assert "](library/tools.md#counting)" in (site / "index.md").read_text()
    assert "- [Tools](library/tools.md): What lessons need." in (site / "llms.txt").read_text()


def test_the_search_knows_the_folder(site):
    entries = json.loads((site / "search.json").read_text())
    assert "library/tools.html#last" in {entry["href"] for entry in entries}


@pytest.fixture(params=["file", "http"])
def tab(request, browser, site):
    "The page in the folder, in a browser that must find nothing wrong."
    on_disk = contextlib.nullcontext(site.as_uri())
    with served(site) if request.param == "http" else on_disk as address:
        tab, noise = visit(browser, address)
        tab.goto(f"{address}/library/tools.html")
        yield tab
        assert noise == []
        tab.context.close()


FONTS = """
    document.fonts.load('16px "STIX Two Math"', 'x')
        .then(() => [...document.fonts].filter(f => f.status == 'loaded').map(f => f.family))"""


def test_styles_fonts_and_scripts_come_from_the_folder_above(tab):
    assert any("STIX Two Math" in family for family in tab.evaluate(FONTS))
    assert tab.evaluate("typeof measure") == "function"
    sheets = tab.evaluate("[...document.styleSheets].map(sheet => sheet.href)")
    assert any(sheet and sheet.endswith("/styles.css") for sheet in sheets)


def test_the_search_leads_back_to_the_page_in_the_folder(tab):
    tab.fill("input[type=search]", "marmalade")
    tab.wait_for_selector(".search-result")
    tab.click(".search-result")
    tab.wait_for_url(re.compile("/(?<!library/)library/tools.html.*last"), timeout=5000)


def test_a_click_downloads_the_notebook(browser, site):
    "From a server; from disk a browser shows the file."
    with served(site) as address:
        tab, noise = visit(browser, address)
        tab.goto(f"{address}/library/tools.html")
        with tab.expect_download() as saved:
            tab.click("text=Download this notebook")
        assert json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))["cells"]
        assert noise == []
        tab.context.close()
