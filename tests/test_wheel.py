"The wheel, built from the sdist, installs into an empty environment without nbdev and paints."

import re
import subprocess
import zipfile

from conftest import uv


def test_the_wheel_holds_the_package_and_its_licence(wheel, root):
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"cadl_flax/{p.name}" for p in (root / "cadl_flax").glob("*.py")} <= set(names)
    assert {"cadl_flax/py.typed", "cadl_flax/__init__.pyi"} <= set(names)
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert any(n.endswith("licenses/NOTICE.md") for n in names)
    assert not any(n.startswith(("tests", "tools", "nbs")) for n in names)


LINKS = r"\]\(([^)]+)\)"
ADDRESSES = r'(?:src|srcset|href)="([^"]+)"'


def description(wheel):
    "The text that PyPI shows."
    with zipfile.ZipFile(wheel) as files:
        name = next(n for n in files.namelist() if n.endswith(".dist-info/METADATA"))
        return files.read(name).decode().partition("\n\n")[2]


def test_its_text_leads_to_nothing_that_is_not_there(wheel):
    "PyPI shows README.md without the repository around it."
    text = description(wheel)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    targets = re.findall(LINKS, prose) + re.findall(ADDRESSES, prose)
    assert "## Install" in text
    assert targets
    assert [target for target in targets if not target.startswith("https://")] == []


IMPORT_LAZILY = """
import sys
import cadl_flax
assert "jax" not in sys.modules
from cadl_flax import paint, Painting, inpaint, fit, Run
assert "jax" in sys.modules
cadl_flax.pictures.read_image
"""


def test_it_paints_in_an_empty_environment(wheel, tmp_path):
    uv("venv", tmp_path / "venv")
    programs = tmp_path / "venv" / "bin"
    python = programs / "python"
    uv("pip", "install", "--python", python, wheel)
    nbdev = subprocess.run([python, "-c", "import nbdev"], capture_output=True)
    assert nbdev.returncode == 1
    paint = [programs / "cadl-flax", "paint", "--size", "16", "--epochs", "5", "--quiet"]
    painted = subprocess.run(paint, cwd=tmp_path, capture_output=True, text=True)
    assert painted.returncode == 0, painted.stderr
    assert (tmp_path / "painting.png").exists(), painted.stderr
    subprocess.run([python, "-c", IMPORT_LAZILY], check=True, cwd=tmp_path)
