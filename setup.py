"Everything is read from settings.ini: change it there."
import shlex
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

ini = ConfigParser(delimiters=["="])
ini.read("settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]
lib = cfg["lib_path"]
extras = {"tensorboard": shlex.split(cfg["tensorboard_requirements"])}
extras["dev"] = [*shlex.split(cfg["dev_requirements"]), *extras["tensorboard"]]

setup(
    name=cfg["lib_name"], version=cfg["version"], description=cfg["description"], keywords=cfg["keywords"].split(),
    author=cfg["author"], license="Apache-2.0", license_files=["LICENSE", "NOTICE.md"],
    python_requires=f">={cfg['min_python']}",
    classifiers=["Programming Language :: Python :: 3", "Intended Audience :: Education", "Development Status :: 3 - Alpha"],
    long_description=Path("README.md").read_text(encoding="utf-8"), long_description_content_type="text/markdown",
    packages=find_packages(include=[lib, f"{lib}.*"]), include_package_data=True, zip_safe=False,
    install_requires=shlex.split(cfg["requirements"]), extras_require=extras,
    entry_points={"console_scripts": [cfg["console_scripts"]], "nbdev": [f"{lib}={lib}._modidx:d"]},
    **({"url": cfg["git_url"]} if cfg["git_url"] else {}),
)
