"""Drawings of matplotlib as a part of the page: in its font and in its colours, light or dark.

A notebook stores a figure as PNG and as SVG (`cadl_flax.plotting`). The site shows the SVG within
the page, where the style sheet reaches it: what is black there takes the colour of the text, and
`COLORS` become variables that have a value for each scheme. A figure with lines or words over a
picture keeps a light panel, because the picture does not change with the scheme.
"""

import itertools
import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from cadl_flax.plotting import COLORS

SVG = "{http://www.w3.org/2000/svg}"
WORDS = (f"{SVG}text", f"{SVG}tspan")
WIDE = 480  # pixels: small print of a wider figure is not shrunk on a phone
PAPERS = {"#ffffff", "#fbfbf8"}
INKS = {"#000000", COLORS["truth"]}
LANDSCAPES = ("QuadContourSet", "QuadMesh", "Poly3DCollection")  # their colours are numbers
VARIABLES = {COLORS[name]: name for name in ("data", "model", "other", "third")}
# paper and ink of the light and of the dark scheme, as in styles.css
SCHEMES = (("#fbfbf8", "#1f2328"), ("#15181d", "#dde1e6"))
CONTRAST = 4.5  # of words, by WCAG AA


# ------------------------------------------------------------------------------ colours


def channels(colour: str) -> list[int]:
    "Red, green and blue of #rrggbb."
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def luminance(levels: list[float]) -> float:
    "As WCAG defines it."

    def linear(level):
        share = level / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: list[float], b: list[float]) -> float:
    "As WCAG defines it: from 1 to 21."
    dark, bright = sorted((luminance(a), luminance(b)))
    return (bright + 0.05) / (dark + 0.05)


def mixed(a: str, b: str, share: float) -> list[float]:
    "`share` of the colour `a`, and for the rest `b`."
    return [share * p + (1 - share) * q for p, q in zip(channels(a), channels(b))]


def readable(colour: str) -> str:
    "A colour for words: with as much ink in it as it takes to read them in both schemes."
    for percent in range(100, 0, -10):
        mixes = [(paper, mixed(colour, ink, percent / 100)) for paper, ink in SCHEMES]
        if all(contrast(channels(paper), levels) >= CONTRAST for paper, levels in mixes):
            return f"color-mix(in srgb, {colour} {percent}%, var(--ink))"
    return "var(--ink)"


def in_scheme(colour: str, is_word: bool) -> str:
    "What a colour of a drawing is on a page that may be light or dark."
    if colour in INKS:
        return "currentColor"
    if colour in PAPERS:
        return "var(--paper)"
    if colour in VARIABLES:
        return f"var(--{VARIABLES[colour]}{'-words' if is_word else ''})"
    levels = channels(colour)
    is_gray = max(levels) - min(levels) < 12
    if is_word:
        return "var(--soft)" if is_gray else readable(colour)
    if is_gray:
        return f"color-mix(in srgb, var(--ink) {100 - round(levels[1] / 2.55)}%, var(--paper))"
    return colour


def recolour(part: Element):
    "Give a part of a drawing the colours of the page."
    is_word = part.tag in WORDS

    def replaced(m):
        return m[1] + in_scheme(m[2], is_word)

    if "style" in part.attrib:
        part.set("style", re.sub(r"((?:fill|stroke): )(#\w{6})\b", replaced, part.get("style")))


# ------------------------------------------------------------------------------ what is drawn


def of_paper(group: Element) -> Iterator[Element]:
    "The backgrounds of a figure or of axes: the first that it draws, if that is a sheet of paper."
    for patch in list(group)[:1]:
        sheets = [part.get("style", "") for part in patch]
        if patch.get("id", "").startswith("patch") and len(sheets) == 1:
            if sheets[0].removeprefix("fill: ") in PAPERS:
                yield patch


def box(picture: Element) -> tuple[float, float, float, float] | None:
    "Left, top, right and bottom of a picture in a drawing, if it is not itself drawn."
    if picture.get("transform"):
        return None
    x, y, width, height = (float(picture.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def starts(part: Element) -> tuple[float, float] | None:
    "Where a path or a word of a drawing begins."
    place = part.get("d") or part.get("transform", "")
    numbers = re.findall(r"-?\d+(?:\.\d+)?", place)
    if part.get("x") and part.get("y"):
        numbers = [part.get("x"), part.get("y")]
    return (float(numbers[0]), float(numbers[1])) if len(numbers) > 1 else None


def is_filled(group: Element) -> bool:
    "Whether anything in a group is more than a line."
    return any("fill: #" in part.get("style", "") for part in group.iter())


def is_over_a_picture(whole: Element) -> bool:
    "Whether lines or words of a drawing may stand on one of its pictures, or on a map."
    for axes in whole.iter(f"{SVG}g"):
        if axes.get("id", "").startswith(LANDSCAPES) and is_filled(axes):
            return True
        boxes = [box(picture) for picture in axes.iter(f"{SVG}image")]
        if not axes.get("id", "").startswith("axes") or not boxes:
            continue
        if None in boxes:
            return True
        drawn = (part for group in axes for part in over(group))
        for x, y in filter(None, map(starts, drawn)):
            if any(a < x < c and b < y < d for a, b, c, d in boxes):
                return True
    return False


def over(group: Element) -> Iterator[Element]:
    "The lines and words in a group of axes that is not an axis or an edge of theirs."
    if group.get("id", "").startswith(("matplotlib.axis", "patch")):
        return
    definitions = {part for defs in group.iter(f"{SVG}defs") for part in defs.iter()}
    for part in group.iter():
        if part.tag in (f"{SVG}path", f"{SVG}text", f"{SVG}use") and part not in definitions:
            yield part


# ------------------------------------------------------------------------------ words


def width_in_notebook(words: str, size: float) -> float:
    "How wide matplotlib has drawn words in its own font."
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    return text_to_path.get_text_width_height_descent(words, FontProperties(size=size), False)[0]


def anchor(lines: list[tuple[float, float]]) -> str:
    "Where lines of (start, width) are aligned: a single one in its middle."
    ends = [start + width for start, width in lines]

    def spread(places):
        return max(places) - min(places)

    middle = spread([(start + end) / 2 for (start, _), end in zip(lines, ends)])
    alignments = {"middle": middle, "start": spread([s for s, _ in lines]), "end": spread(ends)}
    return min(alignments, key=alignments.get)


def align(group: Element):
    """Let words in another font stand where matplotlib has put them.

    It says where they start, though it has put their middle or end somewhere.
    """
    lines = []
    for words in group.findall(f"{SVG}text"):
        size = re.search(r"font-size: ([\d.]+)px", words.get("style", ""))
        place = re.match(r"translate\((\S+) \S+\)(?: rotate\((\S+)\))?", words.get("transform", ""))
        if size and place and words.text:
            turned = float(place[2] or 0) != 0
            width = width_in_notebook(words.text, float(size[1]))
            lines.append((words, 0.0 if turned else float(place[1]), width))
    if not lines:
        return
    where = anchor([(start, width) for _, start, width in lines])
    shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[where]
    for words, _, width in lines:
        words.set("x", f"{shift * width:.2f}")
        words.set("style", f"{words.get('style')}; text-anchor: {where}")


def join(words: Element):
    "Let the characters of a formula follow each other, where matplotlib has placed each."
    places = sorted((float(c.get("x")), float(c.get("y")), c) for c in words)
    last, _, end = places[-1]
    size = float(re.search(r"font-size: ([\d.]+)px", end.get("style"))[1])
    middle = (last + width_in_notebook(end.text, size)) / 2
    for character in list(words):
        words.remove(character)
    words.attrib.update(x=f"{middle:.2f}", style="text-anchor: middle")
    level = 0.0
    for (style, y), found in itertools.groupby(places, lambda p: (p[2].get("style"), p[1])):
        together = "".join(character.text for _, _, character in found)
        part = SubElement(words, f"{SVG}tspan", style=style, dy=f"{y - level:.2f}")
        part.text, level = together, y


def in_font_of_page(words: Element):
    "Words without a font of their own, not half transparent, and with true minus signs."
    style = re.sub(r"(font-family|opacity): [^;]*(; )?", "", words.get("style", ""))
    style = style.replace("oblique", "italic").rstrip("; ")
    words.attrib.pop("style", None)
    if style:
        words.set("style", style)
    if words.text:
        words.text = re.sub(r"(?<![\w.])-(?=[\d.])", "−", words.text)


# ------------------------------------------------------------------------------ the whole


def rename(whole: Element, name: str):
    "Give names that are used in a drawing the prefix `name`, and take away all others."
    uses = "".join(value for part in whole.iter() for value in part.attrib.values())
    used = set(re.findall(r"url\(#([^)]+)\)", uses))
    used |= {part.get("href", "")[1:] for part in whole.iter(f"{SVG}use")}
    new = {old: f"{name}-{i}" for i, old in enumerate(sorted(used))}
    for part in whole.iter():
        if part.get("id") in new:
            part.set("id", new[part.get("id")])
        else:
            part.attrib.pop("id", None)
        if part.get("href", "")[1:] in new:
            part.set("href", "#" + new[part.get("href")[1:]])
        for key, value in part.attrib.items():
            part.set(key, re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{new[m[1]]})", value))


def strip(whole: Element):
    "Take away what only an SVG in a file of its own needs: its style and its paper."
    for parent in list(whole.iter()):
        for part in list(parent):
            if part.tag == f"{SVG}style":  # it would be for all of the page
                parent.remove(part)
        for sheet in of_paper(parent):
            parent.remove(sheet)


def opened(part: Element) -> Iterator[Element]:
    "A part of a drawing; in place of a group that says nothing, its parts."
    inner = [other for child in part for other in opened(child)]
    is_bare = part.tag == f"{SVG}g" and not part.attrib
    is_empty = part.tag in (f"{SVG}g", f"{SVG}defs") and not inner
    if is_bare or is_empty:
        yield from inner
    else:
        part[:] = inner
        yield part


def drawing(svg: str, alt: str, name: str) -> str:
    "The SVG of a figure as a part of a page; `name` is one that the page has nowhere else."
    whole = ElementTree.fromstring(svg)
    classes = ["drawing"]
    if float(whole.get("width")) >= WIDE:
        classes.append("wide")
    if is_over_a_picture(whole):
        classes.append("on-panel")
    strip(whole)
    for group in whole.iter(f"{SVG}g"):
        align(group)
        for words in group.findall(f"{SVG}text"):
            if len(words):
                join(words)
    for part in whole.iter():
        recolour(part)
        if part.tag in WORDS:
            in_font_of_page(part)
    rename(whole, name)
    (whole,) = opened(whole)
    whole.attrib.pop("version", None)
    whole.attrib.update({"class": " ".join(classes), "role": "img", "aria-label": alt})
    ElementTree.register_namespace("", SVG[1:-1])
    return ElementTree.tostring(whole, encoding="unicode")


def show_drawings(cell: dict, alt: str | None):
    "Put the drawings of a cell into its page in place of their PNGs, if words say what they show."
    numbers = itertools.count()
    for data in (output["data"] for output in cell.get("outputs", []) if "data" in output):
        svg = "".join(data.pop("image/svg+xml", ""))  # a list of lines, or one string
        if svg and alt:
            data.pop("image/png", None)
            data["text/html"] = drawing(svg, alt, f"drawing-{cell['id']}-{next(numbers)}")
