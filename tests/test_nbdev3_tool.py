"The settings of nbdev 2 become those of nbdev 3. That it exports the same is seen weekly."

import tomllib

import yaml
from conftest import ROOT, tool

nbdev3 = tool("nbdev3")
SETTINGS = """[DEFAULT]
# a comment
lib_name = small
version = 1.2.3
min_python = 3.11
description = "quoted", and = too
nbs_path = nbs
recursive = True
clear_all = False
tst_flags = notest slow
allowed_metadata_keys = one two
"""


def test_settings_become_tables(tmp_path):
    (tmp_path / "settings.ini").write_text(SETTINGS, encoding="utf-8")
    tables = tomllib.loads(nbdev3.table(tmp_path / "settings.ini"))
    assert tables["project"] == {
        "name": "small",
        "version": "1.2.3",
        "description": '"quoted", and = too',
        "requires-python": ">=3.11",
    }
    assert tables["tool"]["nbdev"] == {
        "nbs_path": "nbs",
        "recursive": True,
        "clear_all": False,
        "tst_flags": "notest slow",
        "allowed_metadata_keys": ["one", "two"],
    }


def test_the_tables_can_be_appended_to_ours():
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(pyproject + nbdev3.table(ROOT / "settings.ini"))
    assert tables["tool"]["nbdev"]["allowed_metadata_keys"] == ["outputs_from"]
    assert "ruff" in tables["tool"]


def test_files_that_differ_are_found(tmp_path):
    for name, content in {"a/x.py": "#| eval: false\nx", "b/x.py": "x", "b/y.py": "y"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert nbdev3.different(tmp_path / "a", tmp_path / "b", "*.py") == {"y.py"}


def test_it_runs_weekly():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["nbdev3"]
    assert job["if"] == "github.event_name == 'schedule'"
    assert job["steps"][-1] == {"run": "python tools/nbdev3.py"}
