"Shared by all tests: the folder of the project, and its tools as modules."
import importlib.util, os, shutil, subprocess, sys
from pathlib import Path

import matplotlib
import pytest
from uv import find_uv_bin

matplotlib.use("agg")
ROOT = Path(__file__).resolve().parents[1]


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
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT/"tools"/f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module # where dataclasses look for the annotations of a module
    spec.loader.exec_module(module)
    return module


def pytest_configure(config):
    "Compiled programs are kept between tests, the programs they start, and runs: `pytest --cache-clear` forgets them."
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


@pytest.fixture(scope="session")
def root(): return ROOT


def uv(*args, cwd=None):
    "Run uv, and skip the test where the packages it asks for cannot be fetched."
    result = subprocess.run([find_uv_bin(), *map(str, args)], capture_output=True, text=True, cwd=cwd)
    offline = ("error sending request", "dns error", "network connectivity is disabled")
    if result.returncode and any(s in result.stderr for s in offline):
        pytest.skip("needs a package index, and none can be reached")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="session")
def wheel(root, tmp_path_factory):
    "The wheel of the package, built from its sdist."
    uv("build", "--out-dir", out := tmp_path_factory.mktemp("dist"), root)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def notebooks_tool(): return tool("notebooks")


def do_without(missing):
    "Skip what needs a browser; with CADL_FLAX_BROWSER=required, where a skip is a hole, fail."
    required = os.environ.get("CADL_FLAX_BROWSER") == "required"
    (pytest.fail if required else pytest.skip)(f"{missing}: no test in a browser")


def installed(module):
    "The module, for tests in a browser."
    try:
        return importlib.import_module(module)
    except ImportError:
        do_without(f"{module.partition('.')[0]} is not installed")


@pytest.fixture(scope="session")
def browser():
    playwright = installed("playwright.sync_api")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if not program: do_without("no chromium on the PATH")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with playwright.sync_playwright() as p: yield p.chromium.launch(executable_path=program, args=flags)
