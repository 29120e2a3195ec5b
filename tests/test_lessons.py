"Lessons are for people who came to learn: a picture first, code that they can follow, and answers."

import ast
import builtins
import functools
import importlib
import inspect
import re

import nbformat
import pytest
from site_helpers import NBS, name_of, page

from website.lessons import SHORT_PATH, code_lines, is_folded, minutes, pictures
from website.markdown import is_shown
from website.pages import directives, notebooks

LESSONS = [path for path in notebooks(NBS) if path.name[0].isdigit()]
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
ON_PATH = [NBS / source for source in SHORT_PATH]
MOST_LINES = 150  # that are not folded, but for checks and imports
MOST_MINUTES = 120  # for the short path


@functools.cache
def shown(path):
    "The cells that a reader sees."
    return [cell for cell in nbformat.read(path, 4).cells if is_shown(cell)]


def code(path):
    return [cell for cell in shown(path) if cell.cell_type == "code"]


def unfolded(path):
    return [cell for cell in code(path) if code_lines(cell) and not is_folded(cell)]


def prose(cells):
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


# ------------------------------------------------------------------------------ time


def test_the_short_path_takes_two_hours():
    times = {path.stem: minutes(shown(path)) for path in ON_PATH}
    assert sum(times.values()) <= MOST_MINUTES, times


@every_lesson
def test_a_lesson_says_how_long_it_takes(built, path):
    said = re.search(r'class="minutes">\s*<p>Page \d+ · (\d+) min', page(built, name_of(path)))
    assert int(said[1]) == minutes(shown(path))


def test_the_front_page_says_the_same_minutes():
    table = (NBS.parent / "README.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\|[^|]*\]\(nbs/(\d\d_\w+\.ipynb)\) \|[^|]*\| (\d+) \|", table, re.M))
    assert said == {path.name: str(minutes(shown(path))) for path in LESSONS}


@pytest.mark.parametrize("source", SHORT_PATH[:-1])
def test_the_short_path_has_its_own_way(built, source):
    following = SHORT_PATH[SHORT_PATH.index(source) + 1]
    end = re.search(r'class="next">(.*?)</div>', page(built, name_of(NBS / source)), re.S)[1]
    assert f'href="{name_of(NBS / following)}.html"' in end


def test_the_sidebar_marks_the_short_path(built):
    sidebar = page(built, "index").split('id="quarto-sidebar"')[1]
    marked = re.findall(r"(\d\d) [^<●]*●", sidebar.split("</nav>")[0])
    assert marked == [source[:2] for source in SHORT_PATH[1:]]


# ------------------------------------------------------------------------------ figures


@every_lesson
def test_a_picture_stands_before_any_open_code(path):
    for cell in code(path):
        assert is_folded(cell) or not code_lines(cell), cell.source[:200]
        if pictures(cell):
            return
    pytest.fail("no picture")


@every_lesson
def test_a_figure_has_a_caption_and_words_for_who_cannot_see_it(path):
    for cell in code(path):
        own = directives(cell.source)
        for data in pictures(cell):
            images = re.findall("<img[^>]*>", "".join(data.get("text/html", "")))
            has_words = images and all(' alt="' in image for image in images)
            assert own.get("fig-alt") or has_words, cell.source[:200]
            assert own.get("fig-cap"), cell.source[:200]
            assert not re.match(r"figure \d", own["fig-cap"], re.I), "the tool numbers captions"


@every_lesson
def test_captions_are_numbered(built, path):
    captions = re.findall(r"<figcaption[^>]*>\s*(.*?)</figcaption>", page(built, name_of(path)))
    numbers = [int(number) for number in re.findall(r"Figure (\d+)\. ", "\n".join(captions))]
    assert numbers == list(range(1, len(numbers) + 1))
    n_pictures = sum(bool(pictures(cell)) for cell in code(path))
    assert len(numbers) == n_pictures


def astronauts():
    return [
        path
        for path in LESSONS
        if any(re.search(r"^#\| strip:", c.source, re.M) for c in cells(path))
    ]


def cells(path):
    return nbformat.read(path, 4).cells


@every_lesson
def test_the_row_of_astronauts_stands_on_each_lesson(built, path):
    row = re.search(r'<nav class="strip".*?</nav>', page(built, name_of(path)), re.S)[0]
    links = re.findall(r'<a href="([\w.]+)\.html"( aria-current="page")?>', row)
    assert [name for name, _ in links] == [name_of(other) for other in astronauts()]
    assert [name for name, here in links if here] == [name_of(path)] * (path in astronauts())
    for picture in re.findall(r'src="(.*?)"', row):
        assert (built / picture).is_file()
    assert len(re.findall(r"\d\d · \d+\.\d dB", row)) == len(links)


def test_astronauts_are_of_the_short_path():
    assert set(ON_PATH[1:]) <= set(astronauts())


# ------------------------------------------------------------------------------ code to read

CHECKS = ("test_eq(", "test_close(", "test_ne(", "assert ", "with expect_fail(")


def lines_to_follow(cell):
    "The lines of a cell that neither check nor import."
    wanted = []
    for node in ast.parse(cell.source).body:
        first = cell.source.splitlines()[node.lineno - 1].strip()
        if first.startswith(CHECKS) or isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        wanted += cell.source.splitlines()[node.lineno - 1 : node.end_lineno]
    return [line for line in wanted if line.strip() and not line.strip().startswith("#")]


@every_lesson
def test_a_lesson_has_no_wall_of_code(path):
    n_lines = sum(len(lines_to_follow(cell)) for cell in unfolded(path))
    assert n_lines <= MOST_LINES


@every_lesson
def test_a_fold_says_what_is_in_it(path):
    for cell in code(path):
        own = directives(cell.source)
        if is_folded(cell) and "exports" not in own:
            summary = own.get("code-summary")
            assert summary and "`" not in summary, cell.source[:200]  # it is shown as it is


@every_lesson
def test_imports_checks_and_drawing_are_folded(path):
    for cell in unfolded(path):
        nodes = ast.parse(cell.source).body
        assert not all(isinstance(n, (ast.Import, ast.ImportFrom)) for n in nodes), cell.source
        assert lines_to_follow(cell), cell.source
        drawing = re.findall(r"\b(?:ax|axes|fig|plt)\b[.\[].*", cell.source)
        assert not drawing, cell.source


KNOWN_MODULES = ("cadl_flax", "jax", "flax", "optax")


def imported(path):
    "The names that a page imports from the libraries that it teaches, and what they are."
    found = {}
    for cell in code(path) + [c for c in cells(path) if c.cell_type == "code"]:
        for node in ast.walk(ast.parse(cell.source)) if "import" in cell.source else ():
            if (
                isinstance(node, ast.ImportFrom)
                and (node.module or "").split(".")[0] in KNOWN_MODULES
            ):
                for alias in node.names:
                    found[alias.asname or alias.name] = alias.name
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] in KNOWN_MODULES:
                        found[alias.asname or alias.name.split(".")[0]] = alias.name
    return found


def library_names(cell, known):
    "The names of those libraries that a cell uses, such as `jax.random.key` or `fit`."
    tree = ast.parse(cell.source)
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)) and id(node) not in inner:
            name = ast.unparse(node)
            if re.fullmatch(r"(jax|nnx|optax)\.[\w.]+", name) or name in known:
                found.add(name)
    return {name for name in found if name not in ("jnp", "jax", "nnx", "optax", "Array")}


def introduced(path):
    "What the pages before this one, on its way, have put into words."
    if path in ON_PATH:
        before = ON_PATH[: ON_PATH.index(path)]
    else:
        before = [other for other in LESSONS if other.name < path.name] + ON_PATH[:1]
    return "\n".join(prose(shown(other)) for other in before)


def is_in_words(name, text):
    "Whether a sentence names it, its last part, or the module that it is of (`jax.random`)."
    module, _, short = name.rpartition(".")
    wanted = [name, rf"(?:\w+\.)*{re.escape(short)}"]
    wanted += [module] if "." in module else []
    return any(re.search(rf"`(?:[^`\n]*[^`\w.\n])?{one}\b[^`\n]*`", text) for one in wanted)


@every_lesson
def test_no_name_is_used_that_nobody_has_introduced(path):
    earlier, seen, missing = introduced(path), [], {}
    known = imported(path)
    listed = shown(path)
    for i, cell in enumerate(listed):
        if cell.cell_type == "markdown":
            seen.append(cell.source)
            continue
        if is_folded(cell):
            continue
        following = next((c.source for c in listed[i + 1 :] if c.cell_type == "markdown"), "")
        text = "\n".join([earlier, *seen, following])
        own = {n.name for n in ast.walk(ast.parse(cell.source)) if hasattr(n, "name")}
        for name in library_names(cell, known) - own:
            if not is_in_words(name, text):
                missing.setdefault(name, cell.source.splitlines()[0])
    assert not missing


# ------------------------------------------------------------------------------ exercises


def exercises(path):
    "The cells below the heading."
    listed = [cell.source for cell in shown(path)]
    start = listed.index("## Exercises")
    return [source for source in listed[start + 1 :] if not source.startswith("#|")]


ANSWER = re.compile(
    r"<details>\s*<summary>What you should see</summary>\n\n(.+?)\n\n</details>\s*$", re.S
)


@every_lesson
def test_every_exercise_has_its_answer(path):
    found = exercises(path)
    assert len(found) >= 3
    for number, source in enumerate(found, 1):
        assert re.match(
            rf"\*\*{number}\. (Predict|Turn a knob|Break it|Make something)\.\*\* ", source
        ), source
        assert len(ANSWER.search(source)[1].split()) >= 8, source


def bound_names(path):
    "The names that the cells of a page define, and the parameters of its own functions."
    names, parameters = set(dir(builtins)), {}
    for cell in cells(path):
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.alias):
                names.add((node.asname or node.name).split(".")[0])
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
                inside = [n for n in ast.walk(node) if isinstance(n, ast.arguments)]
                own = [a.arg for i in inside for a in [*i.posonlyargs, *i.args, *i.kwonlyargs]]
                parameters.setdefault(node.name, set()).update(own)
                if any(i.kwarg for i in inside):
                    parameters[node.name].add("**")
    return names, parameters


MODULES = sorted(path.stem for path in (NBS.parent / "cadl_flax").glob("[a-z]*.py"))


@functools.cache
def public():
    "What a reader can import from the package, by name."
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"cadl_flax.{name}")
        found |= {key: value for key, value in vars(module).items() if not key.startswith("__")}
    import jax
    import jax.numpy as jnp
    import matplotlib.pyplot as plt
    import numpy as np
    import optax
    from flax import nnx

    found |= dict(inf=np.inf, nan=np.nan, cadl_flax=importlib.import_module("cadl_flax"))
    return found | dict(jax=jax, jnp=jnp, np=np, optax=optax, nnx=nnx, plt=plt)


def signature(target):
    "How something is called; a metaclass of Flax hides it."
    return inspect.signature(target.__init__ if inspect.isclass(target) else target)


def parameters_of(name, own):
    "The names of the arguments that something takes; None if they cannot be known."
    if name in own:
        return None if "**" in own[name] else own[name]
    target = public().get(name.split(".")[0])
    for part in name.split(".")[1:]:
        target = getattr(target, part, None)
    try:
        found = signature(target).parameters
    except (TypeError, ValueError):
        return None
    if any(p.kind == p.VAR_KEYWORD for p in found.values()):
        return None
    return set(found)


def check_code(source, names, own, lent):
    "Faults of a piece of code in an exercise."
    if re.fullmatch(r"\w+=[^=].*", source):  # an argument, of whatever takes it
        name = source.split("=")[0]
        return [] if name in names | lent else [f"nothing takes {name}"]
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []  # a shape, a file, a piece of a line
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            is_symbol = len(node.id) == 1  # of a formula
            if not is_symbol and node.id not in names | lent | set(public()):
                faults.append(f"there is no {node.id}")
        if isinstance(node, ast.Call):
            taken = parameters_of(ast.unparse(node.func), own)
            for keyword in node.keywords:
                if taken is not None and keyword.arg and keyword.arg not in taken:
                    faults.append(f"{ast.unparse(node.func)} takes no {keyword.arg}")
    return faults


@every_lesson
def test_names_in_exercises_exist(path):
    names, own = bound_names(path)
    lent = set().union(*own.values()) if own else set()
    for value in public().values():
        if getattr(value, "__module__", "").startswith("cadl_flax"):
            try:
                lent |= set(signature(value).parameters)
            except (TypeError, ValueError):
                continue
    for source in exercises(path):
        pieces = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", source)
        pieces += re.findall(r"```python\n(.*?)```", source, re.S)
        made = {n for piece in pieces for n in re.findall(r"^(\w+) = ", piece, re.M)}
        for piece in pieces:
            assert check_code(piece, names | made, own, lent) == [], source


def test_a_name_that_does_not_exist_is_found():
    names, own = {"paint", "model"}, {"paint_twice": {"image"}}
    assert check_code("paint(image, sigma=30)", names, own, {"image"}) == ["paint takes no sigma"]
    assert check_code("paint_twice(sigma=1)", names | set(own), own, set())
    assert check_code("no_such_function(model)", names, own, set())
    assert check_code("no_such_argument=3", names, own, set())
    assert check_code("model.layers[0]", names, own, set()) == []


# ------------------------------------------------------------------------------ page 04


def test_mini_batches_come_to_the_point(browser, built):
    "The first picture is on the first screen, and what batch sizes do within four."
    tab = browser.new_page(viewport=dict(width=1280, height=900))
    tab.goto(f"{built.as_uri()}/minibatches.html")
    top = "e => e.getBoundingClientRect().top + window.scrollY"
    first = tab.locator("main .cell-output-display :is(img, svg)").first
    assert first.evaluate(top) < 900
    finding = tab.locator("#the-same-work-other-batches .experiment")
    assert finding.evaluate(top) < 4 * 900
    tab.close()
