"""Look whether nbdev 3 exports what nbdev 2 exports, in a temporary copy and a new environment.

    python tools/nbdev3.py                 the newest nbdev 3
    python tools/nbdev3.py --nbdev 3.3.26  that version

nbdev 3 reads no settings.ini: the copy gets a table `[tool.nbdev]` made from it. Both export the
copy's notebooks, and the modules are compared, without directives such as `#| eval: false`, which
nbdev 3 leaves out. Only __init__.py and _modidx.py may differ, where nbdev writes the version and
the links of the site. The notebooks have to stay as they are when nbdev 3 cleans them.
"""

from __future__ import annotations

import argparse
import configparser
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[1]
EXPECTED = {"__init__.py", "_modidx.py"}
TEXTS = ("branch", "doc_path", "lib_path", "nbs_path", "readme_nb", "title", "tst_flags")
LISTS = ("allowed_cell_metadata_keys", "allowed_metadata_keys")
SWITCHES = ("clean_ids", "clear_all", "custom_sidebar", "jupyter_hooks", "put_version_in_init")
SWITCHES += ("recursive",)
EXPORT_2 = "from nbdev.doclinks import nbdev_export; nbdev_export()"


def table(settings: Path) -> str:
    "The settings of nbdev 2 as the tables that nbdev 3 reads in pyproject.toml."
    parser = configparser.ConfigParser(delimiters=["="])
    parser.read(settings, encoding="utf-8")
    given = parser["DEFAULT"]
    project = {key: given[key] for key in ("version", "description")}
    project |= {"name": given["lib_name"], "requires-python": f">={given['min_python']}"}
    nbdev = {key: given[key] for key in TEXTS if key in given}
    nbdev |= {key: given[key].split() for key in LISTS if key in given}
    nbdev |= {key: given.getboolean(key) for key in SWITCHES if key in given}
    lines = []
    for title, values in (("project", project), ("tool.nbdev", nbdev)):
        # strings, lists and truth values are written in JSON as in TOML
        lines += ["", f"[{title}]", *(f"{key} = {json.dumps(v)}" for key, v in values.items())]
    return "\n".join(lines) + "\n"


def run(*command: object, cwd: Path | None = None) -> str:
    "Run a command and return what it prints; if it fails, say how."
    line = [str(part) for part in command]
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(line)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def project(folder: Path) -> Path:
    "A copy of what an export reads, with an empty package."
    (folder / "cadl_flax").mkdir(parents=True)
    for name in ("settings.ini", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "nbs", folder / "nbs", ignore=shutil.ignore_patterns("data", "_*", ".*"))
    return folder


def exported_by_2(folder: Path) -> Path:
    "A copy of the project, exported by the nbdev that is installed."
    run(sys.executable, "-c", EXPORT_2, cwd=project(folder))
    return folder


def exported_by_3(folder: Path, requirement: str) -> Path:
    "A copy of the project, moved to nbdev 3, exported and cleaned by it."
    project(folder)
    pyproject = folder / "pyproject.toml"
    content = pyproject.read_text(encoding="utf-8") + table(folder / "settings.ini")
    pyproject.write_text(content, encoding="utf-8")
    (folder / "settings.ini").unlink()
    environment = folder / ".venv"
    run(find_uv_bin(), "venv", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    run(find_uv_bin(), "pip", "install", "--python", python, requirement)
    print(run(find_uv_bin(), "pip", "show", "--python", python, "nbdev").splitlines()[1])
    for program in ("nbdev-export", "nbdev-clean"):
        run(environment / "bin" / program, cwd=folder)
    return folder


def different(a: Path, b: Path, pattern: str) -> set[str]:
    "The files that are not the same in two folders."
    names = {path.relative_to(folder) for folder in (a, b) for path in folder.rglob(pattern)}

    def content(path: Path) -> str:
        if not path.exists():
            return ""
        source = path.read_text(encoding="utf-8")
        return re.sub(r"^#\|.*\n", "", source, flags=re.M) if path.suffix == ".py" else source

    return {name.as_posix() for name in names if content(a / name) != content(b / name)}


def main() -> int:
    formatter = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    args.add_argument("--nbdev", default="", help="a version, such as 3.3.26; else the newest")
    args = args.parse_args()
    requirement = f"nbdev=={args.nbdev}" if args.nbdev else "nbdev>=3.3,<4"
    with tempfile.TemporaryDirectory() as temporary:
        two = exported_by_2(Path(temporary, "two"))
        three = exported_by_3(Path(temporary, "three"), requirement)
        modules = different(two / "cadl_flax", three / "cadl_flax", "*.py")
        pages = different(two / "nbs", three / "nbs", "*.ipynb")
        n_modules = len([*(two / "cadl_flax").glob("*.py")])
    faults = sorted(modules - EXPECTED) + sorted(pages)
    print(f"{n_modules} modules, of which differ: {', '.join(sorted(modules)) or 'none'}")
    for fault in faults:
        print(f"{fault}: not the same by nbdev 3")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
