"""What the search box of the site looks through.

Both renderers write `search.json`, with an entry for each section of each page. It gets the topic
of each page and, from `nbs/synonyms.yml`, the words that people type for a place; `nbs/search.js`
ranks them. From disk a script may read no file, so the entries become a script too.
"""

import json
import re
import shutil
from pathlib import Path

import yaml

from website.pages import Page

ENTRIES = "search.json"
SCRIPT = "search_entries.js"  # the same for pages that are opened from disk
SYNONYMS = "synonyms.yml"  # in nbs/
# the search of either renderer: its scripts, and the folders that they are in
OTHERS = re.compile(
    r'<script\b[^>]*\bsrc="[^"]*/(?:fuse|autocomplete|quarto-search)[\w.-]*\.js"[^>]*>\s*</script>\n?'
)
FOLDERS = ("fuse", "quarto-search")


def synonyms(path: Path) -> dict[str, list[str]]:
    "What people type, by notebook and place."
    if not path.is_file():
        return {}
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {place: re.split(r", *", ", ".join(lines)) for place, lines in written.items()}


def address(place: str, pages: dict[str, Page]) -> str | None:
    "Where a notebook and a place in it are published; None if the notebook is no page."
    source, mark, fragment = place.partition("#")
    return f"{pages[source].name}.html{mark}{fragment}" if source in pages else None


def shortened(entry: dict) -> str:
    "The text of an entry; of a name in the reference, what stands before its arguments and source."
    words = " ".join(entry["text"].split())
    if entry["href"].startswith("reference.html#"):
        head = re.match(r".*? Explained on [^.]*\.", words)
        is_command = entry["section"].startswith("cadl-flax ")
        words = head[0] if head and not is_command else words
    return words


def entries(found: list[dict], pages: list[Page], typed: dict[str, list[str]]) -> list[dict]:
    "Entries for the search from those of a renderer, with topics and what people type."
    topics = {f"{page.name}.html": page.topic for page in pages}
    known = {}
    for entry in found:
        page = entry["href"].partition("#")[0]
        own = dict(href=entry["href"], title=entry["title"], topic=topics.get(page, ""))
        own |= dict(section=entry.get("section", ""), text=shortened(entry))
        known.setdefault(entry["href"], own)
    by_source = {page.source: page for page in pages}
    for place, words in typed.items():
        href = address(place, by_source)
        if href in known:
            known[href]["words"] = words
        elif href:
            known[href] = placed(href, by_source[place.partition("#")[0]], words)
    return list(known.values())


def placed(href: str, page: Page, words: list[str]) -> dict:
    "An entry for a place that a renderer has none for, such as a smaller section."
    section = href.partition("#")[2].replace("-", " ").capitalize()
    own = dict(href=href, title=page.title, topic=page.topic, section=section)
    return own | dict(text=page.summary, words=words)


def write_search(site: Path, nbs: Path, pages: list[Page]):
    "Write what the search looks through, and take the search of the renderer away."
    found = json.loads((site / ENTRIES).read_text(encoding="utf-8"))
    written = json.dumps(entries(found, pages, synonyms(nbs / SYNONYMS)), ensure_ascii=False)
    (site / ENTRIES).write_text(written, encoding="utf-8")
    # U+2028 and U+2029 end a line in older JavaScript
    script = written.replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")
    (site / SCRIPT).write_text(f"window.searchEntries = {script};\n", encoding="utf-8")
    for folder in FOLDERS:
        shutil.rmtree(site / "site_libs" / folder, ignore_errors=True)
