"The wheel, built from the sdist, installs into an empty environment without nbdev, and paints there."
import subprocess
import zipfile

import pytest
from uv import find_uv_bin


def uv(*args, cwd=None):
    "Run uv, and skip the test where the packages it asks for cannot be fetched."
    result = subprocess.run([find_uv_bin(), *map(str, args)], capture_output=True, text=True, cwd=cwd)
    if result.returncode and any(s in result.stderr for s in ("error sending request", "dns error", "network connectivity is disabled")):
        pytest.skip("needs a package index, and none can be reached")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    uv("build", "--out-dir", out := tmp_path_factory.mktemp("dist"), root)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_package_and_its_licence(wheel, root):
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"cadl_flax/{p.name}" for p in (root/"cadl_flax").glob("*.py")} <= set(names)
    assert any(n.endswith("licenses/LICENSE") for n in names) and any(n.endswith("licenses/NOTICE.md") for n in names)
    assert not any(n.startswith(("tests", "tools", "nbs")) for n in names)


def test_it_paints_in_an_empty_environment(wheel, tmp_path):
    uv("venv", tmp_path/"venv")
    programs = tmp_path/"venv"/"bin"
    uv("pip", "install", "--python", programs/"python", wheel)
    assert subprocess.run([programs/"python", "-c", "import nbdev"], capture_output=True).returncode == 1
    out = subprocess.run([programs/"cadl-flax", "paint", "--size", "16", "--epochs", "5", "--quiet"], cwd=tmp_path, capture_output=True, text=True)
    assert out.returncode == 0 and (tmp_path/"painting.png").exists(), out.stderr
    lazy = "import sys, cadl_flax; assert 'jax' not in sys.modules; from cadl_flax import paint, Painting, inpaint, fit, Run; assert 'jax' in sys.modules"
    subprocess.run([programs/"python", "-c", lazy], check=True, cwd=tmp_path)
