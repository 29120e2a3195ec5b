"""How a page is reached by keyboard: a way past the frame, and real buttons in it.

Both renderers write links that lead nowhere where a button is meant: `<a role="navigation">` for
the sections of the sidebar, which no key reaches, and a link with only a title for the switch to
dark. And both load a font of two thousand icons for the eight that a page shows, which
`styles.css` draws.
"""

import re
import shutil
from pathlib import Path

SKIP = '<a class="skip" href="#quarto-document-content">Skip to the text</a>'
BODY = re.compile(r"<body\b[^>]*>")
MAIN = re.compile(r'(<main\b(?![^>]*\btabindex)[^>]*\bid="quarto-document-content"[^>]*)>')
TOGGLE = re.compile(r'<a\b([^>]*\bdata-bs-toggle="collapse"[^>]*)>(.*?)</a>', re.S)
SWITCH = re.compile(r'<a\b([^>]*\bclass="[^"]*\bquarto-color-scheme-toggle\b[^>]*)>(.*?)</a>', re.S)
ICON_SHEET = re.compile(r'<link\b[^>]*\bhref="[^"]*/bootstrap-icons(?:\.min)?\.css"[^>]*>')
NAMES = {  # of landmarks, by what is in their tag
    'class="navbar': "Site",
    'class="quarto-secondary-nav': "Page",
    'id="quarto-sidebar"': "Pages",
    'id="TOC"': "On this page",
    'class="page-navigation': "Before and after",
}
NAV = re.compile(r"<nav\b(?![^>]*\baria-label)([^>]*)>")
# smalldocs' page would wait for them before its first paint, and asks for them only when one types
WAITED_FOR = re.compile(r'(<script src="[^"]*/(?:bootstrap\.bundle|fuse)\.min\.js")(?=>)')
# said four times a second while a network trains: a screen reader is to ask for it
OUTPUT = re.compile(r"<output\b(?![^>]*\baria-live)")


def without(attributes: str, *names: str) -> str:
    "The attributes of a tag but for some, with their values."
    return re.sub(rf'\s+(?:{"|".join(names)})="[^"]*"', "", attributes)


def toggle_as_button(m) -> str:
    "A section's name is a button; the arrow beside it does the same, and is for the mouse."
    attributes = without(m[1], "role", "href")
    if 'aria-label="' in attributes:
        attributes = without(attributes, "aria-label", "aria-controls")
        return f'<span{attributes} aria-hidden="true">{m[2]}</span>'
    target = re.search(r'data-bs-target="#([^"]+)"', attributes)
    controls = f' aria-controls="{target[1]}"' if target else ""
    return f'<button type="button"{attributes}{controls}>{m[2]}</button>'


def switch_as_button(m) -> str:
    attributes = without(m[1], "role", "href")
    title = re.search(r'title="([^"]*)"', attributes)
    name = title[1] if title else "Toggle dark mode"
    return f'<button type="button"{attributes} aria-label="{name}">{m[2]}</button>'


def named(m) -> str:
    "A landmark with a name, by which it can be told from the others."
    names = (name for sign, name in NAMES.items() if sign in m[1])
    return next((f'<nav{m[1]} aria-label="{name}">' for name in names), m[0])


def reachable(page: str) -> str:
    "A page whose first tab stop leads to its text, and whose toggles are buttons."
    page = BODY.sub(rf"\g<0>{SKIP}", page, count=1)
    page = MAIN.sub(r'\1 tabindex="-1">', page, count=1)
    page = SWITCH.sub(switch_as_button, TOGGLE.sub(toggle_as_button, page))
    page = NAV.sub(named, page)
    page = WAITED_FOR.sub(r"\1 defer", page)
    page = OUTPUT.sub(r'\g<0> aria-live="off"', page)
    return ICON_SHEET.sub("", page)


def drop_icons(site: Path):
    "Take the font of icons out of a site."
    for path in [*site.glob("site_libs/**/bootstrap-icons*")]:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
