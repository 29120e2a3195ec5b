"""Documentation of exported names, as Markdown, read from their source.

nbdev's `show_doc` executes the exported cells, misses the star before keyword-only arguments, the
comments on arguments of jitted functions and on fields of classes, and fails on Flax modules.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import NamedTuple

from fastcore.docscrape import NumpyDocString

DOCUMENTED = ":::: {.documented}"
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.M)  # of a numpydoc docstring


class Entry(NamedTuple):
    "A line of the documentation: what is declared or raised, and what it means."

    shown: str  # such as `size: int = 8`
    meaning: str
    name: str = ""  # of an argument, as numpydoc writes it


# ------------------------------------------------------------------------------ comments


class Comments:
    "The comments of a source by line: beside code, and alone on their line."

    def __init__(self, source: str):
        self.beside, self.alone = {}, {}
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                is_alone = token.line.lstrip().startswith("#")
                kept = self.alone if is_alone else self.beside
                kept[token.start[0]] = token.string.lstrip("# ")

    def on(self, first: int, last: int) -> str:
        "What is said of the code in these lines: beside it, or else in the lines above it."
        if comment := self.beside.get(last) or self.beside.get(first):
            return comment
        above = []
        while (first := first - 1) in self.alone:
            above.insert(0, self.alone[first])
        return " ".join(above)


def declared(name: str, kind: ast.expr | None, default: ast.expr | None) -> str:
    annotation = f": {ast.unparse(kind)}" if kind else ""
    return name + annotation + (f" = {ast.unparse(default)}" if default else "")


def parameters(function: Definition) -> Iterator[tuple[str, ast.arg | None, ast.expr | None]]:
    "The arguments in order: name as written, node and default; a bare star has no node."
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + given.defaults
    for argument, default in zip(plain, defaults, strict=True):
        if argument.arg not in ("self", "cls"):
            yield argument.arg, argument, default
    if given.vararg:
        yield f"*{given.vararg.arg}", given.vararg, None
    elif given.kwonlyargs:
        yield "*", None, None
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield argument.arg, argument, default
    if given.kwarg:
        yield f"**{given.kwarg.arg}", given.kwarg, None


def arguments(function: Definition, comments: Comments) -> list[Entry]:
    "What a function takes and returns, with the comments on it."
    found = []
    for name, node, default in parameters(function):
        if node is None:
            found.append(Entry("*", "keyword-only from here"))
            continue
        meaning = ""
        if node.lineno > function.lineno:  # in a signature of one line, a comment says what returns
            meaning = comments.on(node.lineno, (default or node).end_lineno)
        found.append(Entry(declared(name, node.annotation, default), meaning, name))
    result = function.returns
    meaning = comments.on(result.lineno, result.end_lineno) if result else ""
    return [*found, Entry(f"-> {ast.unparse(result)}", meaning, "return")] if result else found


def fields(node: ast.ClassDef, comments: Comments) -> list[Entry]:
    "The fields of a dataclass, with the comments on them."
    found = []
    for field in node.body:
        if isinstance(field, ast.AnnAssign):
            default = None if isinstance(field.value, ast.Call) else field.value
            name = field.target.id
            meaning = comments.on(field.lineno, field.end_lineno)
            found.append(Entry(declared(name, field.annotation, default), meaning, name))
    return found


# ------------------------------------------------------------------------------ docstrings


class Docstring:
    "A docstring in parts: summary, description, and the sections of numpydoc if it has any."

    def __init__(self, node: Definition):
        words, *parts = SECTION.split(ast.get_docstring(node) or "")
        self.sections = dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))
        self.summary, _, self.description = words.strip().partition("\n\n")

    def listed(self, *sections: str) -> list:
        "The entries of these sections, each with a name, a type and the lines of a description."
        found = []
        for section in filter(self.sections.get, sections):
            # fastcore keeps one entry of Returns and none of Raises, but all of Parameters
            body = f"Parameters\n----------\n{self.sections[section]}"
            found += NumpyDocString(body)["Parameters"].values()
        return found

    def meanings(self) -> dict[str, str]:
        "What the docstring says of each argument, and of the result as `return`."
        entries = self.listed("Parameters", "Other Parameters", "Attributes")
        found = {name: words(p) for p in entries for name in re.split(r",\s*", p.name)}
        if result := " ".join(map(words, self.listed("Returns", "Yields"))):
            found["return"] = result
        return found


def words(entry) -> str:
    return " ".join(" ".join(entry.desc).split())


def completed(entries: list[Entry], docstring: Docstring) -> list[Entry]:
    "Entries with what the docstring says where no comment does, and without a silent result."
    meanings = docstring.meanings()
    found = [e._replace(meaning=e.meaning or meanings.get(e.name, "")) for e in entries]
    return [e for e in found if e.meaning or e.name != "return"]


# ------------------------------------------------------------------------------ all of a name


def constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    functions = (f for f in node.body if isinstance(f, ast.FunctionDef))
    return next((f for f in functions if f.name == "__init__"), None)


def public_methods(node: Definition) -> list[ast.FunctionDef]:
    if not isinstance(node, ast.ClassDef):
        return []
    functions = [f for f in node.body if isinstance(f, ast.FunctionDef)]
    return [f for f in functions if f.name == "__call__" or f.name[0] != "_"]


def method_entry(node: ast.ClassDef, method: ast.FunctionDef) -> Entry:
    "A method with its arguments, without types and defaults, in a place that links can lead to."
    call = f"({', '.join(name for name, _, _ in parameters(method))})"
    decorators = {getattr(d, "id", "") for d in method.decorator_list}
    if decorators & {"property", "cached_property"}:
        call = ""
    docstring = Docstring(method)
    place = f"{node.name}.{method.name}".lower()
    shown = f'<span id="{place}">`.{method.name}{call}`</span>'
    return Entry(shown, f"{docstring.summary} {docstring.description}".strip())


def is_command(node: Definition) -> bool:
    "Whether a function is one of the command line, whose options describe themselves."
    calls = [d.func for d in node.decorator_list if isinstance(d, ast.Call)]
    return any(getattr(call, "attr", "") in ("command", "group") for call in calls)


def folded(label: str, entries: list[Entry], is_open: bool) -> list[str]:
    "A list of entries in a fold."
    listed = [f"{e.shown}\n:   {' '.join(e.meaning.split()) or '<i></i>'}" for e in entries]
    start = f'<details class="arguments"{" open" if is_open else ""}>'
    return [f"{start}<summary>{label}</summary>", *listed, "</details>"]


def details(node: Definition, docstring: Docstring, comments: Comments, is_open: bool) -> list[str]:
    "What the arguments or fields, methods and errors mean, if anything is said of them."
    own = isinstance(node, ast.ClassDef) and not constructor(node)
    if own:
        entries, label = fields(node, comments), "Fields"
    else:
        function = constructor(node) if isinstance(node, ast.ClassDef) else node
        entries, label = arguments(function, comments), "Arguments"
    entries = [e._replace(shown=f"`{e.shown}`") for e in completed(entries, docstring)]
    raised = [Entry(f"raises `{p.name}`", words(p)) for p in docstring.listed("Raises")]
    methods = [method_entry(node, method) for method in public_methods(node)]
    if not any(e.meaning for e in entries + raised + methods if e.shown != "`*`"):
        return []
    label += " and methods" if methods else ""
    return folded(label, entries + raised + methods, is_open)


def remarks(docstring: Docstring) -> list[str]:
    "The notes and examples of a numpydoc docstring."
    notes, examples = (docstring.sections.get(name) for name in ("Notes", "Examples"))
    return [notes or "", f"```python\n{examples}\n```" if examples else ""]


def source_link(name: str, module: str) -> str:
    """Where a published project shows the source of a name of `module`; "" if nowhere.

    nbdev knows the names of no module with an underscore, so a command must not be taken for the
    function that it is named after.
    """
    from nbdev.config import get_config
    from nbdev.doclinks import NbdevLookup

    known = NbdevLookup()
    here = known[f"{get_config().lib_name}.{module}.{name}"]
    if not get_config().git_url or here is None or here != known[name]:
        return ""
    return f"[source]({known.code(name)}){{.source-link}}"


def documentation(node: Definition, source: str, module: str, is_open: bool = False) -> str:
    """A heading, the docstring, and in a fold, which may be open, what the arguments mean.

    The source, with the signature, follows on the page. Of a command only the summary is shown.
    """
    docstring = Docstring(node)
    heading = "### {} {{#{} .api}}".format(node.name.replace("_", r"\_"), node.name.lower())
    lines = [DOCUMENTED, heading, source_link(node.name, module), docstring.summary]
    if not is_command(node):
        lines += [docstring.description, *remarks(docstring)]
        lines += details(node, docstring, Comments(source), is_open)
    return "\n\n".join(filter(None, [*lines, "::::"]))
