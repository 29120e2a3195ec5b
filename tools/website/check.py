"""Faults of a built site.

Links are followed here and not by LinkChecker, which takes a minute for what this does in two
seconds, and sees neither what a `srcset` names nor a link that leaves the site.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = set(
    "stylesheet icon preload modulepreload prefetch preconnect dns-prefetch manifest "
    "apple-touch-icon".split()
)
LARGEST = 1_500_000  # bytes
UNRENDERED = re.compile(r"\\[()\[\]]|\$\$|\\(?:frac|mathbf|text|left)\b|\]\(|:::|\{[#.]")


def style_loads(css: str) -> list[str]:
    "What a style sheet loads: the addresses of its url(…) and @import."
    found = re.findall(r"""(?:@import\s*(?:url\(\s*)?|\burl\(\s*)(["']?)([^"')]+)""", css)
    return [link.strip() for _, link in found]


class Content(HTMLParser):
    "What the check needs to know of a page."

    VOID = set("img br hr input link meta source wbr col".split())
    SOURCES = set("img script iframe video audio source embed".split())
    NO_PROSE = set("style script math code pre title".split())

    def __init__(self, page: str):
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.faults: list[str] = []
        self.seen: set[str] = set()  # tags and classes
        self.open: list[str] = []  # tags
        self.title = ""
        self.prose = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = {name: value or "" for name, value in attrs}
        if tag not in self.VOID:
            self.open.append(tag)
        self.seen |= {tag, *attrs.get("class", "").split()}
        # Quarto gives one id to three <link>, and its script asks for them by it
        if "id" in attrs and tag != "link":
            self.ids.append(attrs["id"])
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        self.loads += self.loaded_by(tag, attrs)
        if tag == "img" and not attrs.get("alt", "").strip():
            self.faults.append(f"an image has no alt text: {attrs.get('src', '')[:60]}")

    def loaded_by(self, tag: str, attrs: dict[str, str]) -> Iterator[str]:
        "The addresses that a browser loads for a tag."
        if tag == "link" and LOADING & set(attrs.get("rel", "").split()):
            yield attrs.get("href", "")
        if tag in self.SOURCES and attrs.get("src"):
            yield attrs["src"]
        candidates = attrs.get("srcset", "").split(", ")
        yield from filter(None, (candidate.split(" ")[0] for candidate in candidates))
        yield from style_loads(attrs.get("style", ""))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if "title" in self.open and "svg" not in self.open:
            self.title += data
        if "style" in self.open:
            self.loads += style_loads(data)
        if not self.NO_PROSE & set(self.open):
            self.prose += data


@lru_cache(1000)  # a page that has not changed since the last check is not read again
def content(page: str) -> Content:
    return Content(page)


class Links:
    "The links of a site, whose pages are given by path."

    def __init__(self, site: Path, pages: dict[Path, Content]):
        self.site, self.pages = site, pages

    def fault(self, path: Path, link: str) -> str | None:
        "What is wrong with a link in the file `path`."
        url = urlsplit(link)
        if url.scheme or url.netloc:
            return None
        if url.path[:1] == "/":
            return f"{link} starts at the root of a server, so it is broken from disk"
        goal = (path.parent / unquote(url.path)).resolve() if url.path else path
        if goal.is_dir():
            goal = goal / "index.html"
        if self.site not in goal.parents:
            return f"{link} leaves the site"
        if not goal.is_file():
            return f"{link} is not there"
        if url.fragment and goal in self.pages:
            if unquote(url.fragment) not in self.pages[goal].ids:
                return f"{link} has no such place"
        return None

    def fault_of_load(self, path: Path, link: str) -> str | None:
        "What is wrong with a picture, script or style that the file `path` loads."
        if link.startswith(("data:", "#")):
            return None
        if re.match(r"(https?:)?//", link):
            return f"{link} is loaded from the network"
        return self.fault(path, link)


def faults_of_structure(path: Path, page: Content) -> Iterator[str]:
    "What is wrong with a page besides its links."
    for name in sorted(set(page.ids)):
        if page.ids.count(name) > 1:
            yield f"the id {name} stands {page.ids.count(name)} times"
    if not page.title.strip():
        yield "no title"
    if path.stat().st_size > LARGEST:
        yield f"is larger than 1.5 MB: {path.stat().st_size:,} bytes"
    if "h1" not in page.seen:
        yield "no h1"
    if "sidebar-navigation" not in page.seen:
        yield "no sidebar"
    if page.open:
        yield f"not closed: {page.open}"
    for line in page.prose.splitlines():
        if UNRENDERED.search(line):
            yield f"TeX or Markdown left in the text: {line.strip()}"


def faults_of_page(path: Path, page: Content, links: Links) -> Iterator[str]:
    yield from page.faults
    yield from (links.fault(path, link) for link in page.links)
    yield from (links.fault_of_load(path, link) for link in page.loads)
    yield from faults_of_structure(path, page)


def faults(site: Path) -> list[str]:
    "All faults of the built site, as `page: fault`."
    pages = {p: content(p.read_text(encoding="utf-8")) for p in sorted(site.rglob("*.html"))}
    links = Links(site, pages)
    found = {path: [*faults_of_page(path, page, links)] for path, page in pages.items()}
    for path in sorted(site.rglob("*.css")):
        loads = [link.split("?")[0] for link in style_loads(path.read_text(encoding="utf-8"))]
        found[path] = [links.fault_of_load(path, link) for link in loads]
    named = [
        f"{path.relative_to(site)}: {fault}"
        for path, wrong in found.items()
        for fault in dict.fromkeys(filter(None, wrong))
    ]
    return named if pages else [f"{site}: no pages", *named]
