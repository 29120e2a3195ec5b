"The wheel, built from the sdist, installs into an empty environment without nbdev, and paints there."
import re
import subprocess
import zipfile

from conftest import uv


def test_the_wheel_holds_the_package_and_its_licence(wheel, root):
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"cadl_flax/{p.name}" for p in (root/"cadl_flax").glob("*.py")} <= set(names)
    assert {"cadl_flax/py.typed", "cadl_flax/__init__.pyi"} <= set(names)
    assert any(n.endswith("licenses/LICENSE") for n in names) and any(n.endswith("licenses/NOTICE.md") for n in names)
    assert not any(n.startswith(("tests", "tools", "nbs")) for n in names)


def test_its_text_leads_to_nothing_that_is_not_there(wheel):
    "PyPI shows README.md without the repository around it."
    with zipfile.ZipFile(wheel) as files:
        name = next(n for n in files.namelist() if n.endswith(".dist-info/METADATA"))
        text = files.read(name).decode().partition("\n\n")[2]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    found = re.findall(r"\]\(([^)]+)\)", prose) + re.findall(r'(?:src|srcset|href)="([^"]+)"', prose)
    assert "## Install" in text and found and all(t.startswith("https://") for t in found), found


def test_it_paints_in_an_empty_environment(wheel, tmp_path):
    uv("venv", tmp_path/"venv")
    programs = tmp_path/"venv"/"bin"
    uv("pip", "install", "--python", programs/"python", wheel)
    assert subprocess.run([programs/"python", "-c", "import nbdev"], capture_output=True).returncode == 1
    out = subprocess.run([programs/"cadl-flax", "paint", "--size", "16", "--epochs", "5", "--quiet"], cwd=tmp_path, capture_output=True, text=True)
    assert out.returncode == 0 and (tmp_path/"painting.png").exists(), out.stderr
    lazy = "import sys, cadl_flax; assert 'jax' not in sys.modules; from cadl_flax import paint, Painting, inpaint, fit, Run; assert 'jax' in sys.modules; cadl_flax.pictures.read_image"
    subprocess.run([programs/"python", "-c", lazy], check=True, cwd=tmp_path)
