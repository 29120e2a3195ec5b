"Shared by all tests: the folder of the project, and its tools as modules."
import importlib.util
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


@pytest.fixture(scope="session")
def root(): return ROOT


@pytest.fixture(scope="session")
def notebooks_tool(): return tool("notebooks")
