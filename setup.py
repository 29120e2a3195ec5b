"Everything is read from settings.ini: change it there."
import re
import shlex
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

ini = ConfigParser(delimiters=["="])
ini.read("settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]
lib = cfg["lib_path"]
extras = {"tensorboard": shlex.split(cfg["tensorboard_requirements"])}
extras["pages"] = [*shlex.split(cfg["pages_requirements"]), *extras["tensorboard"]]
extras["heic"] = shlex.split(cfg["heic_requirements"])
extras["dev"] = [*shlex.split(cfg["dev_requirements"]), *extras["pages"], *extras["heic"]]

RELATIVE = r"(?!https?:|mailto:|data:|#)"


def describe(text: str, address: str, branch: str) -> str:
    """README.md as the text of a package, which is read away from the repository.

    Where the project has a public address, links and pictures lead there. Without one, what they
    lead to can be had nowhere: a link leaves its words, and a picture nothing.
    """
    change = lead(address.rstrip("/").removesuffix(".git"), branch) if address else strip
    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S) # not in code
    parts[::2] = map(change, parts[::2])
    return re.sub(r"\n{3,}", "\n\n", "".join(parts))


def strip(text: str) -> str:
    text = re.sub(r"<figure\b.*?</figure>|<picture\b.*?</picture>", "", text, flags=re.S)
    text = re.sub(rf'<img\b[^>]*\bsrc="{RELATIVE}[^>]*>', "", text)
    text = re.sub(rf'<a\b[^>]*\bhref="{RELATIVE}[^>]*>(.*?)</a>', r"\1", text, flags=re.S)
    text = re.sub(rf"!\[[^\]]*\]\({RELATIVE}[^)]*\)", "", text)
    return re.sub(rf"\[([^\[\]]*)\]\({RELATIVE}[^)]*\)", r"\1", text)


def lead(address: str, branch: str):
    pages, files = f"{address}/blob/{branch}/", f"{address}/raw/{branch}/"

    def change(text: str) -> str:
        text = re.sub(rf'(\b(?:src|srcset)="){RELATIVE}', rf"\g<1>{files}", text)
        text = re.sub(rf'(\bhref="){RELATIVE}', rf"\g<1>{pages}", text)
        text = re.sub(rf"(!\[[^\]]*\]\(){RELATIVE}", rf"\g<1>{files}", text)
        return re.sub(rf"((?<!!)\[[^\[\]]*\]\(){RELATIVE}", rf"\g<1>{pages}", text)
    return change


readme = describe(Path("README.md").read_text(encoding="utf-8"), cfg["git_url"], cfg["branch"])

if __name__ == "__main__": setup( # as a build runs it; the tests only read it
    name=cfg["lib_name"], version=cfg["version"], description=cfg["description"], keywords=cfg["keywords"].split(),
    author=cfg["author"], license="Apache-2.0", license_files=["LICENSE", "NOTICE.md"],
    python_requires=f">={cfg['min_python']}",
    classifiers=["Programming Language :: Python :: 3", "Intended Audience :: Education", "Development Status :: 3 - Alpha"],
    long_description=readme, long_description_content_type="text/markdown",
    packages=find_packages(include=[lib, f"{lib}.*"]), include_package_data=True, zip_safe=False,
    install_requires=shlex.split(cfg["requirements"]), extras_require=extras,
    entry_points={"console_scripts": [cfg["console_scripts"]], "nbdev": [f"{lib}={lib}._modidx:d"]},
    **({"url": cfg["git_url"]} if cfg["git_url"] else {}),
)
