"""The page that lists every public name: read from the exported cells, and written by nobody.

The notebook of the page has a cell with `MARKER` and nothing else, in whose place the list stands
on the site and in the page's Markdown twin. The commands are asked for their options.
"""

import ast
import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from website.api import (
    DOCUMENTED,
    Comments,
    Definition,
    Docstring,
    constructor,
    details,
    is_command,
    parameters,
    source_link,
)
from website.pages import Page, directives, exported_module, text
from website.project import Stop

MARKER = "<!-- every public name -->"
STABLE = ("paint", "Painting", "inpaint", "fit", "Run")  # come first; the package itself has them
COMMANDS = "__main__"  # the module of the command line
LONGEST = 88  # characters of a value that is shown


@dataclass(frozen=True)
class Name:
    "A public name, and where it is documented."

    name: str
    module: str
    node: ast.stmt
    source: str  # of the cell that exports it
    page: Page  # that documents it
    place: str  # there

    @property
    def link(self) -> str:
        "A sentence with a link to its documentation."
        return explained_on(self.page, self.place)

    @property
    def code(self) -> str:
        "The lines that define it, with their decorators."
        first = min([self.node.lineno, *(d.lineno for d in decorators(self.node))])
        return "\n".join(self.source.splitlines()[first - 1 : self.node.end_lineno])


def explained_on(page: Page, place: str) -> str:
    target = f"{page.source}#{place}" if place else page.source
    return f"Explained on [{page.topic}]({target})."


def decorators(node: ast.stmt) -> list[ast.expr]:
    return getattr(node, "decorator_list", [])


# ------------------------------------------------------------------------------ finding the names


def defined(node: ast.stmt) -> list[str]:
    "The public names that a statement defines."
    if isinstance(node, Definition):
        found = [node.name]
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        found = [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    else:
        found = []
    return [name for name in found if name[0] != "_"]


def heading_place(source: str) -> str | None:
    "The place of the last heading in a cell of prose, as pandoc names it."
    headings = re.findall(r"^##+ +(.+?) *$", source, re.M)
    if not headings:
        return None
    words = re.sub(r"[^\w\s.-]", "", headings[-1].lower())
    return re.sub(r"\s+", "-", words).lstrip("0123456789-.")


def names_of(page: Page) -> Iterator[Name]:
    "The public names that the notebook of a page exports, in its order."
    module = exported_module(page.path)
    section = ""
    for cell in json.loads(page.path.read_text(encoding="utf-8"))["cells"]:
        source = text(cell["source"])
        if cell["cell_type"] == "markdown":
            section = heading_place(source) or section
        if cell["cell_type"] != "code" or not {"export", "exports"} & directives(source).keys():
            continue
        for node in ast.parse(source).body:
            is_documented = isinstance(node, Definition)
            if is_documented and is_command(node):
                continue  # commands have a part of their own
            for name in defined(node):
                place = name.lower() if is_documented else section
                yield Name(name, module, node, source, page, place)


def public_names(pages: list[Page]) -> dict[str, list[Name]]:
    "The public names of each module, in the order of the sidebar."
    modules = {exported_module(page.path): page for page in pages}
    found = {module: list(names_of(page)) for module, page in modules.items() if module}
    return {module: names for module, names in found.items() if names}


# ------------------------------------------------------------------------------ one name


def call(name: str, function: ast.FunctionDef | None, with_types: bool) -> str:
    "How something is called, in a line."
    shown = []
    for written, node, default in parameters(function) if function else ():
        kind = (
            f": {ast.unparse(node.annotation)}" if with_types and node and node.annotation else ""
        )
        equals = " = " if kind else "="
        shown.append(written + kind + (f"{equals}{ast.unparse(default)}" if default else ""))
    return f"{name}({', '.join(shown)})"


def signature(name: Name, with_types: bool) -> str:
    "How a function or class is called, or what a constant is."
    node = name.node
    if isinstance(node, ast.FunctionDef):
        result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return call(name.name, node, with_types) + result
    if isinstance(node, ast.ClassDef):
        made = constructor(node)
        return call(name.name, made, with_types) if made else f"class {name.name}"
    value = ast.unparse(node)
    return value if len(value) <= LONGEST else f"{name.name} = …"


def sentence(name: Name) -> str:
    "What a name is for: the first sentence of its docstring, or the comment on a constant."
    node = name.node
    if isinstance(node, Definition):
        return " ".join(Docstring(node).summary.split())
    said = Comments(name.source).on(node.lineno, node.end_lineno)
    return f"{said[:1].upper()}{said[1:].rstrip('.')}." if said else ""


def entry(name: Name, with_source: bool) -> str:
    "What the page says of a name."
    node = name.node
    is_defined = isinstance(node, Definition)
    explained = []
    if is_defined:
        explained = details(node, Docstring(node), Comments(name.source), True)
    shown = name.name.replace("_", r"\_")
    lines = [
        DOCUMENTED,
        f"### {shown} {{#{name.name.lower()} .api}}",
        source_link(name.name, name.module),
        f"```python\n{signature(name, not explained)}\n```",
        f"{sentence(name)} {name.link}".strip(),
        *explained,
    ]
    if with_source:
        # not marked as Python: colours would make the page three times as large
        start = f'<details class="code-fold"><summary>source of {name.name}</summary>'
        lines += [start, f"```default\n{name.code}\n```", "</details>"]
    return "\n\n".join(filter(None, [*lines, "::::"]))


# ------------------------------------------------------------------------------ the command line


def commands(lib: str) -> dict[str, object]:
    "The commands of the package, which Click describes."
    import click

    try:
        module = importlib.import_module(f"{lib}.{COMMANDS}")
    except ImportError as error:
        raise Stop(f"the commands of {lib} cannot be imported: {error}") from error
    groups = (value for value in vars(module).values() if isinstance(value, click.Group))
    return {name: command for group in groups for name, command in sorted(group.commands.items())}


def in_line(words: str) -> str:
    "Words of a help in one line, with the options that it names as code."
    return re.sub(r"(?<![\w-])--[\w-]+", r"`\g<0>`", " ".join(words.split()))


def command_entry(name: str, command, page: Page) -> str:
    "What the page says of a command: how it is typed, what it does, and its options."
    import click

    context = click.Context(command, info_name=f"cadl-flax {name}")
    usage = command.get_usage(context).removeprefix("Usage: ")
    records = filter(None, (o.get_help_record(context) for o in command.get_params(context)))
    options = [f"`{shown}`\n:   {in_line(said)}" for shown, said in records if said]
    words = in_line((command.help or "").partition("\n\n")[0])
    lines = [
        DOCUMENTED,
        f"### cadl-flax {name} {{#cadl-flax-{name} .api}}",
        f"```default\n{usage}\n```",
        f"{words} {explained_on(page, name)}",
        '<details class="arguments" open><summary>Options</summary>',
        *options,
        "</details>",
        "::::",
    ]
    return "\n\n".join(lines)


# ------------------------------------------------------------------------------ the page


def overview(names: dict[str, list[Name]]) -> str:
    "A table of all names, by module."
    rows = ["| module | names |", "|---|---|"]
    for module, found in names.items():
        links = " ".join(f"[{n.name}](#{n.name.lower()})" for n in found)
        rows.append(f"| [{module}](#module-{module.strip('_')}) | {links} |")
    return "\n".join(rows)


def module_words(module: str, lib: str, page: Page, moved: list[Name]) -> str:
    "The heading of a module."
    shown = module.replace("_", r"\_")
    title = f"## {lib}.{shown} {{#module-{module.strip('_')}}}"
    above = ", ".join(f"[`{n.name}`](#{n.name.lower()})" for n in moved)
    also = f" Also {above}, above." if above else ""
    return f"{title}\n\n{page.summary} [{page.topic}]({page.source}){also}"


def reference(pages: list[Page], with_source: bool) -> list[str]:
    """The list of all public names and commands, in cells of Markdown.

    With the source, it is for a page, and without for the page's twin.
    """
    from nbdev.config import get_config

    lib = get_config().lib_name
    names = public_names(pages)
    every = {n.name: n for found in names.values() for n in found}
    stable = [every[name] for name in STABLE if name in every]
    cells = [overview(names)] if with_source else []
    cells += ["## Stable {#stable}", *(entry(n, with_source) for n in stable)]
    by_module = {exported_module(page.path): page for page in pages}
    if COMMANDS in names:
        cells.append("## The command line {#the-command-line}")
        page = by_module[COMMANDS]
        cells += [command_entry(name, c, page) for name, c in commands(lib).items()]
    for module, found in names.items():
        moved = [n for n in found if n in stable]
        cells.append(module_words(module, lib, by_module[module], moved))
        cells += [entry(n, with_source) for n in found if n not in stable]
    return cells


def is_marker(cell: dict) -> bool:
    "Whether the list of all names stands in place of a cell."
    return cell["cell_type"] == "markdown" and text(cell["source"]).strip() == MARKER


def with_reference(cells: list, pages: list[Page], make, with_source: bool) -> list:
    "The cells, with the list in place of the marker; `make` makes a cell of Markdown."
    found = []
    for cell in cells:
        listed = reference(pages, with_source) if is_marker(cell) else None
        found += [cell] if listed is None else map(make, listed)
    return found
