"Shared by all tests: the folder of the project, and its tools as modules."
import importlib.util, os, shutil
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("agg")
ROOT = Path(__file__).resolve().parents[1]


def tool(name):
    "The script `tools/name.py` as a module."
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT/"tools"/f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_configure(config):
    "Compiled programs are kept between tests, the programs they start, and runs: `pytest --cache-clear` forgets them."
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


@pytest.fixture(scope="session")
def root(): return ROOT


@pytest.fixture(scope="session")
def notebooks_tool(): return tool("notebooks")


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no test in a browser")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if not program: pytest.skip("no chromium on the PATH: no test in a browser")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with playwright.sync_playwright() as p: yield p.chromium.launch(executable_path=program, args=flags)
