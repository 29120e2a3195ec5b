"Shared by all tests: the folder of the project, and its tools as modules."

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
import yaml
from filelock import FileLock
from hypothesis import HealthCheck, settings
from uv import find_uv_bin

matplotlib.use("agg")
# programs that tests start flush at their end, as on most machines
os.environ.pop("PYTHONUNBUFFERED", None)
# a busy machine is no fault
SLOW_IS_RIGHT = dict(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("busy", **SLOW_IS_RIGHT)
settings.load_profile("busy")
ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tools"))  # last: tools/site.py must not hide the library's `site`


# for the beginning of a program that a test starts
PEAK_MEMORY = """
def peak_memory():
    # KiB since this program began. Linux hands `ru_maxrss` of the process that started it on, so
    # that one would measure the tests.
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except FileNotFoundError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""


def tool(name):
    "The script `tools/name.py` as a module."
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the annotations of a module
    spec.loader.exec_module(module)
    return module


def pytest_configure(config):
    """Keep compiled programs between tests, the programs they start, and runs.

    `pytest --cache-clear` forgets them. And let programs be interrupted and hung up on, also where
    a shell with `&`, or `nohup`, has them ignore that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


@pytest.fixture(scope="session")
def root():
    "The folder of the project."
    return ROOT


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    "The site, built once for all processes that test; CADL_FLAX_SITE names one that is there."
    given = os.environ.get("CADL_FLAX_SITE")
    if given:
        return (ROOT / given).resolve()
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    out = shared / "built" / "site"
    with FileLock(shared / "built.lock"):
        if not (out / "llms.txt").exists():
            command = [sys.executable, ROOT / "tools/site.py", "--out", out]
            done = subprocess.run(command, capture_output=True, text=True)
            # 1: faults, of which the tests of the site say more
            assert done.returncode in (0, 1), done.stdout + done.stderr
    return out


def from_quarto(site):
    return 'name="generator" content="quarto-' in (site / "index.html").read_text()


@pytest.fixture(scope="session")
def raw(built, tmp_path_factory):
    "What Quarto would have rendered, before anything is done to it."
    import quarto_shape

    if from_quarto(built):
        pytest.skip("this site comes from Quarto itself")
    out = tmp_path_factory.mktemp("quarto") / "site"
    quarto_shape.write(built, out)
    return out


@pytest.fixture(scope="session", params=["as built", "as Quarto"])
def site(request, built, tmp_path_factory):
    "The site that is built, and the same in the shape that Quarto gives it."
    from website.finish import finish_site
    from website.pages import list_pages

    if request.param == "as built":
        return built
    out = tmp_path_factory.mktemp("finished") / "site"
    shutil.copytree(request.getfixturevalue("raw"), out)
    with contextlib.chdir(ROOT):
        config = yaml.safe_load((ROOT / "_quarto.yml").read_text())
        finish_site(out, list_pages(config, ROOT / "nbs"))
    return out


OFFLINE = ("error sending request", "dns error", "network connectivity is disabled")


def uv(*args, cwd=None):
    "Run uv, and skip the test where the packages it asks for cannot be fetched."
    line = [find_uv_bin(), *map(str, args)]
    result = subprocess.run(line, capture_output=True, text=True, cwd=cwd)
    if result.returncode and any(words in result.stderr for words in OFFLINE):
        pytest.skip("needs a package index, and none can be reached")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="session")
def wheel(root, tmp_path_factory):
    "The wheel of the package, built from its sdist."
    out = tmp_path_factory.mktemp("dist")
    uv("build", "--out-dir", out, root)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def notebooks_tool():
    "`tools/notebooks.py` as a module."
    return tool("notebooks")


def do_without(missing):
    "Skip what needs a browser; with CADL_FLAX_BROWSER=required, where a skip is a hole, fail."
    message = f"{missing}: no test in a browser"
    if os.environ.get("CADL_FLAX_BROWSER") == "required":
        pytest.fail(message)
    pytest.skip(message)


def installed(module):
    "The module, for tests in a browser."
    try:
        return importlib.import_module(module)
    except ImportError:
        do_without(f"{module.partition('.')[0]} is not installed")


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser():
    "A chromium without a window, the first that is on the PATH."
    playwright = installed("playwright.sync_api")
    programs = [path for path in map(shutil.which, BROWSERS) if path]
    if not programs:
        do_without("no chromium on the PATH")
    with playwright.sync_playwright() as p:
        yield p.chromium.launch(executable_path=programs[0], args=BROWSER_FLAGS)
