"What the tests of the site share: the pages, the tool, and copies of the project to build from."

import contextlib
import functools
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from conftest import ROOT

sys.path.append(str(ROOT / "tools"))

from website.pages import notebooks, page_name, text

NBS = ROOT / "nbs"
NOTEBOOKS = notebooks(NBS)
NBDEV_EXPORT = ("-c", "from nbdev.doclinks import nbdev_export as e; e()")


def source_of(path):
    "The path of a notebook below nbs/."
    return path.relative_to(NBS).as_posix()


def name_of(path):
    "What a notebook is published under."
    return page_name(path.relative_to(NBS))


def up(name):
    "The way from a page to the top of the site."
    return "../" * name.count("/")


def page(site, name):
    return (site / f"{name}.html").read_text()


def cells(path, kind="code"):
    "The source of each cell, and the cell."
    found = json.loads(path.read_text())["cells"]
    return [(text(c["source"]), c) for c in found if c["cell_type"] == kind]


def visible(page):
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def listed_notebooks():
    "The notebooks that the sidebar names, in its order."
    return re.findall(r"[\w/]+\.ipynb", (ROOT / "_quarto.yml").read_text())


# ------------------------------------------------------------------------------ running the tool


def run(*args, root=ROOT, **env):
    "The site tool of the project in `root`."
    command = [sys.executable, root / "tools/site.py", *map(str, args)]
    env = {**os.environ, **env}
    return subprocess.run(command, capture_output=True, text=True, env=env)


def in_copy(folder, *command):
    "A command of Python in the copy, which imports the copy's package."
    command = [sys.executable, *map(str, command)]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)


def copy_files(folder, *names):
    "Files and folders of the project, in a copy."
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)


def copy_project(folder, **settings):
    "What the site is built from, with other settings."
    copy_files(folder, "settings.ini", "_quarto.yml", "pyproject.toml", "tools", "nbs", "cadl_flax")
    written = (folder / "settings.ini").read_text()
    for key, value in settings.items():
        written, n = re.subn(rf"^{key} =.*$", f"{key} = {value}", written, flags=re.M)
        assert n == 1, key
    (folder / "settings.ini").write_text(written)


# ------------------------------------------------------------------------------ a small project


def code_cell(name, source, *outputs):
    cell = dict(cell_type="code", id=name, metadata={}, execution_count=None)
    return cell | dict(source=source, outputs=list(outputs))


def prose_cell(name, source):
    return dict(cell_type="markdown", id=name, metadata={}, source=source)


def as_cell(name, found):
    if isinstance(found, dict):
        return found
    return code_cell(name, found) if found.startswith("#|") else prose_cell(name, found)


def write_notebook(path: Path, *found):
    "A notebook of cells; a text is code if it starts with a directive, and prose if not."
    cells = [as_cell(f"c{i}", cell) for i, cell in enumerate(found)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(dict(nbformat=4, nbformat_minor=5, metadata={}, cells=cells)), encoding="utf-8"
    )


# ------------------------------------------------------------------------------ in a browser


def visit(browser, address, mode="light", width=1280):
    "A tab that is cut off from the network, and the list of what goes wrong in it."
    view = dict(viewport=dict(width=width, height=844), color_scheme=mode, reduced_motion="reduce")
    context = browser.new_context(**view, accept_downloads=True)
    noise = []

    def cut_off(route, request):
        if request.url.startswith((address, "data:", "blob:")):
            return route.continue_()
        noise.append(f"outside: {request.url}")
        route.abort()

    def console(message):
        if message.type in ("error", "warning"):
            noise.append(message.text)

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # cut off by going to the next page
            noise.append(f"failed: {request.url}")

    context.route("**", cut_off)
    tab = context.new_page()
    tab.on("console", console)
    tab.on("pageerror", lambda error: noise.append(str(error)))
    tab.on("requestfailed", failed)
    return tab, noise


@contextlib.contextmanager
def served(folder):
    "The address of a server of the files in `folder`."

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
