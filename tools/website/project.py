"The folder of the project, and where it is published."

from pathlib import Path
from urllib.parse import urljoin

ROOT = Path(__file__).resolve().parents[2]


class Stop(Exception):
    "The site cannot be built, and why."


def address(settings) -> str:
    'Where the site is published, as nbdev puts it before its pages; "" if nowhere.'
    host, base = settings["doc_host"], settings["doc_baseurl"]
    return urljoin(f"{host}/", base) + "/" if host else ""


def repository() -> str:
    'The address of the repository, without a suffix; "" while the project has no public one.'
    from nbdev.config import get_config

    return get_config().git_url.removesuffix("/").removesuffix(".git")
