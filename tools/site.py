"""Build the site from the notebooks and check it; make README.md from nbs/index.ipynb.

    python tools/site.py                    build the site into _docs, with pip packages only, and check it
    python tools/site.py --out site         into another folder
    python tools/site.py --quarto           render with the Quarto program, 1.8 or newer, which must be installed
    python tools/site.py --faults _docs     build nothing, check a site that is built
    python tools/site.py --readme           write README.md and README_files/
    python tools/site.py --readme --check   write nothing: are they what index.ipynb gives?

Nothing is executed: the stored outputs of the notebooks are the site, and the documentation of exported names is read from their source. The pages work
from disk and without a network. The check follows every link of every page and prints each fault as `page: fault`.
Exit code 0: all is well; 1: faults; 2: the site cannot be built.
"""
from __future__ import annotations

import argparse, ast, base64, html, io, json, os, platform, re, shutil, subprocess, sys, tempfile, time, tokenize
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT/"tools")) # where tests import this file, it is not there

from downloads import download, in_colab, to_install


class Stop(Exception):
    "The site cannot be built, and why."


def text(x) -> str: return "".join(x) if isinstance(x, list) else x or ""


def directives(source: str) -> dict[str, object]:
    """The lines `#| key: value` of a cell, read as Quarto reads them: as YAML.

    A bare word such as `#| hide`, which is nbdev's, has the value None.
    """
    import yaml
    found = {}
    for line in re.findall(r"^#\| *(.+?) *$", source, re.M):
        try:
            read = yaml.safe_load(line)
        except yaml.YAMLError as e:
            raise Stop(f"#| {line}\n  is no YAML: quote its text ({e})") from e
        found.update(read if isinstance(read, dict) else {line.split()[0]: None})
    return found


# ------------------------------------------------------------------------------ documentation of exported names

def declarations(node, comments: dict[int, str]) -> list[tuple[str, str]]:
    """Declarations (`size: int = 8`) and meanings of the arguments of a function or class, or of the fields of a dataclass, as they stand in the source.

    The meaning is the comment on an argument's own line; `comments` are those of the source by line.
    """
    if isinstance(node, ast.ClassDef):
        init = constructor(node)
        if init: return declarations(init, comments)
        given = [(f, f.target.id, f.annotation, None if isinstance(f.value, ast.Call) else f.value) for f in node.body if isinstance(f, ast.AnnAssign)]
    else:
        a = node.args
        plain = [*a.posonlyargs, *a.args]
        given = [(p, p.arg, p.annotation, d) for p, d in zip(plain, [None]*(len(plain) - len(a.defaults)) + a.defaults) if p.arg != "self"]
        if a.vararg: given.append((a.vararg, f"*{a.vararg.arg}", a.vararg.annotation, None))
        elif a.kwonlyargs: given.append((None, "*", None, None))
        given += [(p, p.arg, p.annotation, d) for p, d in zip(a.kwonlyargs, a.kw_defaults)]
        if a.kwarg: given.append((a.kwarg, f"**{a.kwarg.arg}", a.kwarg.annotation, None))
    def meaning(at): return comments.get(at.lineno, "") if at.lineno > node.lineno else ""
    found = [(name + (f": {ast.unparse(kind)}" if kind else "") + (f" = {ast.unparse(default)}" if default else ""),
              meaning(at) if at else "keyword-only from here") for at, name, kind, default in given]
    result = getattr(node, "returns", None)
    return found + [(f"-> {ast.unparse(result)}", meaning(result))] if result and meaning(result) else found


def constructor(node: ast.ClassDef): return next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)


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
    return known.code(name)


def documentation(node, source: str, module: str) -> str:
    """Markdown for a function or class: a heading, the docstring, and folded up what the arguments mean. Its source, with the signature, follows on the page.

    All of it is read from the source. nbdev's `show_doc` executes the exported cells, misses the star before keyword-only arguments, the comments on arguments
    of jitted functions and on fields of classes, and fails on Flax modules. Of a command only the summary is shown: its options describe themselves.
    """
    name, is_class = node.name, isinstance(node, ast.ClassDef)
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.COMMENT}
    summary, _, more = (ast.get_docstring(node) or "").partition("\n\n")
    lines = ["### {} {{#{} .api}}".format(name.replace("_", r"\_"), name.lower()), summary]
    if at := source_link(name, module):
        lines.insert(1, f"[source]({at}){{.source-link}}")
    if not any(isinstance(d, ast.Call) and getattr(d.func, "attr", "") in ("command", "group") for d in node.decorator_list):
        entries = [(f"`{shown}`", said) for shown, said in declarations(node, comments)]
        methods = [f for f in node.body if isinstance(f, ast.FunctionDef) and (f.name == "__call__" or f.name[0] != "_")] if is_class else []
        for f in methods:
            given = ", ".join(shown.partition(":")[0] for shown, _ in declarations(f, {}))
            shown = f".{f.name}" if any(getattr(d, "id", "") == "property" for d in f.decorator_list) else f".{f.name}({given})"
            entries.append((f'<span id="{name.lower()}.{f.name.lower()}">`{shown}`</span>', ast.get_docstring(f)))
        lines.append(more)
        if any(said for shown, said in entries if shown != "`*`"):
            label = ("Fields" if is_class and not constructor(node) else "Arguments") + (" and methods" if methods else "")
            listed = [f"{shown}\n:   {' '.join((said or '<i></i>').split())}" for shown, said in entries]
            lines += [f'<details class="arguments"><summary>{label}</summary>', *listed, "</details>"]
    return "\n\n".join(filter(None, [DOCUMENTED, *lines, "::::"]))


DOCUMENTED = ":::: {.documented}"


# ------------------------------------------------------------------------------ notebooks to pages

def page_name(path: Path) -> str:
    "The name a page is published under, without its suffix: nbdev's links leave out the number."
    return re.sub(r"^\d+[a-zA-Z0-9]*_", "", path.stem)


def address(settings) -> str:
    "Where the site is published, as nbdev puts it before its pages; \"\" if nowhere."
    host, base = settings["doc_host"], settings["doc_baseurl"]
    return urljoin(f"{host}/", base) + "/" if host else ""


def processors():
    "nbdev's notebook processors, with our own documentation of exported names."
    from execnb.nbio import mk_cell
    from nbdev import processors as nbdev
    from nbdev.config import get_config
    from nbdev.doclinks import NbdevLookup

    class Documented(nbdev.Processor):
        "Puts the documentation of public names before the exported cell with their source."
        def begin(self):
            cells, module = [], ""
            for cell in self.nb.cells:
                module = (cell.directives_.get("default_exp") or [module])[0]
                shown = cell.cell_type == "code" and {"export", "exports"} & cell.directives_.keys() and "hide" not in cell.directives_
                public = [n for n in (shown and cell.parsed_()) or [] if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0] != "_"]
                cells += [*(mk_cell(documentation(n, cell.source, module), "markdown") for n in public), cell]
            self.nb.cells = cells

    def link(cell):
        "Backticked names link to where they are defined; a command is not the function that it is named after."
        lib = get_config().lib_name
        links = NbdevLookup(skip_mods=(f"{lib}.__main__",))
        # nbdev writes the site's address out, and a copy on disk would link away from itself
        away = address(links.entries[lib]["settings"])

        def linked(source): return links.linkify(source).replace(f"]({away}", "](")
        if cell.cell_type == "markdown": cell.source = linked(cell.source)
        for o in cell.get("outputs", []):
            if "text/markdown" in o.get("data", {}): o.data["text/markdown"] = linked(text(o.data["text/markdown"]))

    def fold(cell):
        "Exported source stands in a fold: open, but for cells that only import."
        if cell.cell_type != "code" or "exports" not in cell.directives_: return
        imports = all(isinstance(n, (ast.Import, ast.ImportFrom)) for n in cell.parsed_())
        cell.source = f'#| code-fold: {"true" if imports else "show"}\n#| code-summary: "{"Imports" if imports else "Exported source"}"\n{cell.source}'

    class Procs(nbdev.FilterDefaults):
        def base_procs(self):
            ours = {nbdev.add_show_docs: Documented, nbdev.add_links: link, nbdev.add_fold: fold}
            without = {nbdev.insert_warning, nbdev.clean_show_doc, nbdev.exec_show_docs, nbdev.mv_exports}
            return [ours.get(p, p) for p in super().base_procs() if p not in without]
    return Procs


def minutes(cells) -> int:
    "Reading time of what a page shows, but for documentation, which repeats the source: 200 words a minute, 20 lines of code a minute, at least a minute."
    words = sum(len(text(c["source"]).split()) for c in cells if c["cell_type"] == "markdown" and not text(c["source"]).startswith(DOCUMENTED))
    lines = sum(1 for c in cells if c["cell_type"] == "code" for s in text(c["source"]).splitlines() if s.strip() and not s.startswith("#|"))
    return max(1, round(words/200 + lines/20))


def finish_notebook(nb: dict, number: str, names: dict[str, str]) -> dict:
    "What a page needs that nbdev does not give it: links by published name, and none to private names; headings apart from names; alt text; reading time."
    documented = {m[1] for c in nb["cells"] if (m := re.match(DOCUMENTED + r"\n\n### .* \{#(\S+) ", text(c["source"])))}

    def relink(s):
        s = re.sub(r'(\]\(|href=")(?:\./)?([\w-]+)\.(?:ipynb|html)(?=[)#"])', lambda m: m[1] + names.get(m[2], m[2]) + ".html", s)
        return re.sub(r"\[(`[^`\]]+`)\]\([^()]*#(?:\w+\.)?_(?!_call__)[^()]*\)", r"\1", s)

    def rename(m): return f"{m[0]} {{#on-{m[1].lower()}}}" if m[1].lower() in documented else m[0]

    for cell in nb["cells"]:
        source = text(cell["source"])
        if cell["cell_type"] == "raw": source = re.sub(r"^output-file: .*\n", "", source, flags=re.M)
        if cell["cell_type"] == "markdown": source = re.sub(r"^##+ +(\w+) *$", rename, relink(source), flags=re.M)
        cell["source"] = source
        alt = directives(source).get("fig-alt") if cell["cell_type"] == "code" else None
        for data in (o["data"] for o in cell.get("outputs", []) if "data" in o):
            for kind in {"text/html", "text/markdown"} & data.keys(): data[kind] = relink(text(data[kind]))
            if alt and "text/html" in data:
                data["text/html"] = re.sub(r"<img(?![^>]*\balt=)", f'<img alt="{html.escape(alt)}"', data["text/html"])
    head = f"{f'Page {number} · ' if number else ''}{minutes(nb['cells'])} min"
    nb["cells"].insert(1, dict(cell_type="markdown", id="minutes", metadata={}, source=f"::: {{.minutes}}\n{head}\n:::"))
    return nb


class Entry:
    "A page: its notebook, the name it is published under, and where the sidebar has it."
    def __init__(self, path: Path, section: str):
        cells = json.loads(path.read_text())["cells"]
        head = next((text(c["source"]) for c in cells if c["cell_type"] == "markdown"), "")
        self.path, self.section, self.name, self.number = path, section, page_name(path), re.match(r"\d*", path.stem)[0]
        self.title, self.says = (m[1].strip() if (m := re.search(rf"^{sign} +(.+)", head, re.M)) else "" for sign in "#>")


def entries(config: dict, nbs: Path) -> list[Entry]:
    "The pages in the order of the sidebar, which must name each notebook once."
    listed = []
    for part in config["website"]["sidebar"]["contents"]:
        listed += [(page, part["section"]) for page in part["contents"]] if "section" in part else [(part["file"], "")]
    there = {p.name for p in nbs.glob("[!_.]*.ipynb")}
    if lost := {page for page, _ in listed} - there: raise Stop(f"_quarto.yml lists {', '.join(sorted(lost))}, not found in {nbs.name}")
    if lost := there - {page for page, _ in listed}: raise Stop(f"{', '.join(sorted(lost))} would have no link: _quarto.yml does not list it")
    return [Entry(nbs/page, section) for page, section in listed]


def colophon() -> str:
    "The state of the project and the versions that the site is built with."
    from nbdev.config import get_config
    said = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"], capture_output=True, text=True)
    commit, url = said.stdout.strip(), get_config().git_url
    source = f"commit {f'[{commit}]({url}/tree/{commit})' if url and '-' not in commit else commit}, " if commit else ""
    packages = ", ".join(f"{name} {version(name)}" for name in ("jax", "flax", "optax", "numpy", "scikit-image"))
    return f"{get_config().lib_name} {get_config().version}, {source}built with Python {platform.python_version()}, {packages}"


def stage(folder: Path) -> tuple[Path, list[Entry]]:
    "Write nbdev's processed notebooks and the configuration below `folder`, where a renderer finds them as it would in the project; and the pages."
    import yaml
    from execnb.nbio import read_nb, write_nb
    from nbdev.config import get_config
    from nbdev.doclinks import NbdevLookup
    from nbdev.quarto import refresh_quarto_yml
    lib = get_config().lib_name
    if lib not in NbdevLookup().entries: raise Stop(f"{lib} is not installed, so names would have no links: pip install -e '.[dev]'")
    refresh_quarto_yml()
    nbs, into = get_config().nbs_path, folder/"nbs"
    into.mkdir()
    config, settings = yaml.safe_load((ROOT/"_quarto.yml").read_text()), yaml.safe_load((nbs/"nbdev.yml").read_text())
    pages = entries(config, nbs)
    names = {p.path.stem: p.name for p in pages}
    for page in pages:
        nb = read_nb(page.path)
        processors()()(nb)
        write_nb(finish_notebook(nb, page.number, names), into/f"{page.name}.ipynb")
    for path in nbs.iterdir():
        if path.suffix != ".ipynb" and path.name != "nbdev.yml" and path.name[0] != "." and path.is_file(): shutil.copy(path, into)
    # the pages call each other by their numbers, so the sidebar shows them
    shown = {p.path.name: {"text": f"{p.number} {p.title}", "file": f"{p.name}.ipynb"} if p.number else f"{p.name}.ipynb" for p in pages}
    for part in config["website"]["sidebar"]["contents"]:
        if "section" in part: part["contents"] = [shown[page] for page in part["contents"]]
    settings["project"]["output-dir"] = "_site"
    settings["website"]["page-footer"] = {"center": colophon()}
    for known, keys in ((get_config().doc_host, ["site-url"]), (get_config().git_url, ["repo-url", "repo-branch"])): # no address, no links to it
        for key in keys if not known else (): settings["website"].pop(key, None)
    (into/"nbdev.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (folder/"_quarto.yml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return into, pages


# ------------------------------------------------------------------------------ pages to a site

# web fonts of the themes, however they are asked for: @import url(https://…), @import"https://…"
FONTS = re.compile(r"""@import\s*(?:url\(\s*)?(["']?)(?:https?:)?//[^"')]*\1\s*\)?[^;{}]*;?""")
REMOTE = re.compile(r'<(?:link|script)\b[^>]*(?:href|src)="(?:https?:)?//[^>]*>(?:\s*</script>)?')
# Quarto hands jQuery from the network to require.js from the network; without them this is an error
DEFINE = re.compile(r"""<script\b[^>]*>\s*define\(\s*['"]jquery['"].*?</script>""", re.S)
# its header hides on the way down, and with it the search and the switch to dark
HEADROOM = re.compile(r'<script\b[^>]*src="[^"]*/headroom\.min\.js"[^>]*></script>')
# its formulas and tables stand bare, where smalldocs' stand in boxes that scroll
BARE = re.compile(r'(?<!<span class="math display">)<math\b[^>]*\bdisplay="block".*?</math>', re.S)
TABLE = re.compile(r'(?<!<div class="sd-table">)(?<!<div class="sd-table">\n)<table\b.*?</table>', re.S)
FORMULA = re.compile(r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>', re.S)
HEAD = """<script src="{0}site.js" defer></script><script>if (location.protocol == "file:") document.write('<script src="{0}search.js"><\\/script>')</script>"""
SEARCH = """// A page opened from disk may not fetch search.json: it gets this copy.
var shownWarning = true; // Quarto's search gives up from disk, unless it believes to have said so
{const entries = %s; const remote = window.fetch;
window.fetch = (what, ...how) => String(what).endsWith("search.json") ? Promise.resolve(new Response(JSON.stringify(entries))) : remote(what, ...how);}
"""


def render(folder: Path) -> Path:
    "Render the staged notebooks with smalldocs."
    from smalldocs.config import BuildError, ConfigError
    from smalldocs.site import build
    try: site = build(folder, quiet=True)
    except (BuildError, ConfigError) as e: raise Stop(str(e)) from e
    for_quarto = ("html-math-method", "respect-user-color-scheme")
    if odd := [w for w in site.warnings if not w.endswith(tuple(f"format.html.{k} is ignored" for k in for_quarto))]: raise Stop("; ".join(odd))
    return site.out


def render_with_quarto(folder: Path) -> Path:
    "Render the staged notebooks with the Quarto program."
    done = subprocess.run(["quarto", "render", folder, "--no-execute"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode: raise Stop(f"quarto render failed\n{done.stdout}")
    for line in done.stdout.splitlines():
        if "WARN" in line:
            print(line)
    return folder/"_site"


def mathml(formulas: list[tuple[str, str]]) -> list[str]:
    "MathML for each (inline or display, TeX), in one call of pandoc."
    import pypandoc
    if not formulas: return []
    marks = {"inline": "$", "display": "$$"}
    found = pypandoc.convert_text("\n\n".join(f"{marks[k]}{x.strip()}{marks[k]}" for k, x in formulas), "html", "markdown", ["--mathml", "--wrap=none"])
    found = re.findall(r"<p>(.*?)</p>", found, re.S)
    found = [re.sub(r"(<mo>&#8289;</mo>)(?=</mrow>(?!<mo[^>]*>\(|<mspace))", r'\1<mspace width="0.167em"></mspace>', f) for f in found] # "tanh s", not "tanhs"
    if bad := [x for (_, x), m in zip(formulas, found, strict=True) if "<math" not in m]: raise Stop(f"not a formula that pandoc reads: {bad[0]}")
    return found


def repository() -> str:
    "The address of the repository, without a suffix; empty while the project has no public one."
    from nbdev.config import get_config
    return get_config().git_url.removesuffix("/").removesuffix(".git")


def colab(path: Path) -> str:
    "A link to open a notebook of a published project in Colab, and what to run there first; nothing while the project has no public address."
    from nbdev.config import get_config
    url = repository()
    if not (m := re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", url)): return ""
    goal = f"https://colab.research.google.com/github/{m[1]}/blob/{get_config().branch}/{path.relative_to(ROOT).as_posix()}"
    return f' · <a href="{goal}">Open in Colab</a> {in_colab(url)}'


def inline_modules(page: str, folder: Path) -> str:
    "Put the modules that a page in `folder` loads into the page: from disk a browser loads none. What a module imports becomes an address that holds its content."
    def content(path):
        def address(m): return f"{m[1]}data:text/javascript;base64,{base64.b64encode(content(path.parent/m[3]).encode()).decode()}{m[2]}"
        return re.sub(r"""(\b(?:from|import)\s*(["']))(\.\.?/[^"']+)\2""", address, path.read_text())
    def script(m): return '<script type="module">' + content(folder/m[1]).replace("</script", "<\\/script") + "</script>"
    return re.sub(r'<script(?=[^>]*\btype="module")[^>]*\bsrc="([^":]+)"[^>]*></script>', script, page)


def self_contained(page: str, formulas) -> str:
    "A page with its formulas drawn, what is wide in boxes that scroll, and nothing of the network."
    page = FORMULA.sub(lambda m: f'<span class="math {m[1]}">{next(formulas)}</span>', page)
    page = BARE.sub(r'<span class="math display">\g<0></span>', page)
    page = TABLE.sub(r'<div class="sd-table">\g<0></div>', page)
    return HEADROOM.sub("", DEFINE.sub("", REMOTE.sub("", page)))


def offer(entry: Entry, site: Path, names: dict[str, str]) -> str:
    "Put the notebook of a page and its Markdown twin into the site; links to them."
    file, markdown_file = f"notebooks/{entry.path.name}", f"{entry.name}.md"
    (site/file).write_text(download(entry.path, repository()), encoding="utf-8")
    (site/markdown_file).write_text(twin(entry.path, names), encoding="utf-8")
    links = [f'<a href="{file}" download>Download this notebook</a> {to_install(repository())}',
             f'<a href="{markdown_file}">Markdown</a>{colab(entry.path)}']
    return "".join(f" · {link}" for link in links)


def finish_page(path: Path, page: str, site: Path, links: str) -> str:
    "A page with `links` beside its reading minutes, and the scripts that make it work from disk."
    head = ""
    if links:
        head = f'<link rel="alternate" type="text/markdown" href="{path.stem}.md">'
        page = re.sub(r'class="minutes">\s*<p>[^<]*', lambda m: m[0].rstrip() + links, page, count=1)
    up = "../"*(len(path.relative_to(site).parts) - 1)
    page = inline_modules(page, path.parent)
    return page.replace("</head>", head + HEAD.format(up) + "</head>", 1)


def finish_site(site: Path, pages: list[Entry]):
    "Make the pages work without a network, and the search from disk; add the notebooks, Markdown twins of the pages, and llms.txt."
    texts = {p: p.read_text() for p in sorted(site.rglob("*.html"))}
    formulas = iter(mathml([(m[1], html.unescape(m[2])) for t in texts.values() for m in FORMULA.finditer(t)]))
    known, names = {p.name: p for p in pages}, {p.path.stem: p.name for p in pages}
    (site/"notebooks").mkdir()
    for path, rendered in texts.items():
        links = offer(known[path.stem], site, names) if path.stem in known else ""
        path.write_text(finish_page(path, self_contained(rendered, formulas), site, links))
    for path in site.rglob("*.css"): path.write_text(FONTS.sub("", path.read_text()))
    (site/"search.js").write_text(SEARCH % (site/"search.json").read_text().replace("</", "<\\/"))
    for path in (ROOT/"nbs").iterdir():
        if path.suffix in (".js", ".woff2", ".txt"):
            shutil.copy(path, site)
    (site/"llms.txt").write_text(llms(pages))


def build(out: Path, quarto: bool):
    "Build the site into the folder `out`, in place of what an earlier build left there."
    if out.exists() and any(out.iterdir()) and not (out/"site_libs").is_dir(): raise Stop(f"{out} holds something else than a built site: give another --out")
    if quarto and not shutil.which("quarto"): raise Stop("there is no `quarto` on the PATH: install it from https://quarto.org, or leave out --quarto")
    with tempfile.TemporaryDirectory() as tmp:
        staged, pages = stage(Path(tmp))
        site = (render_with_quarto if quarto else render)(staged)
        finish_site(site, pages)
        if out.exists(): shutil.rmtree(out)
        shutil.copytree(site, out)


# ------------------------------------------------------------------------------ the check

LOADING = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "preconnect",
           "dns-prefetch", "manifest", "apple-touch-icon"}


def style_loads(css: str) -> list[str]:
    "What a style sheet loads: the addresses of its url(…) and @import."
    found = re.findall(r"""(?:@import\s*(?:url\(\s*)?|\burl\(\s*)(["']?)([^"')]+)""", css)
    return [link.strip() for _, link in found]


class Page(HTMLParser):
    "What the check needs to know of a page."
    VOID = {"img", "br", "hr", "input", "link", "meta", "source", "wbr", "col"}

    def __init__(self, path: Path):
        super().__init__()
        self.ids, self.links, self.loads, self.faults, self.seen, self.open, self.title, self.prose = [], [], [], [], set(), [], "", ""
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in self.VOID: self.open.append(tag)
        self.seen |= {tag, *(attrs.get("class") or "").split()}
        # Quarto gives one id to three <link>, and its script asks for them by it
        if "id" in attrs and tag != "link": self.ids.append(attrs["id"])
        if tag == "a" and attrs.get("href"): self.links.append(attrs["href"])
        if tag == "link" and set((attrs.get("rel") or "").split()) & LOADING: self.loads.append(attrs.get("href") or "")
        if tag in ("img", "script", "iframe", "video", "audio", "source", "embed"): self.loads += filter(None, [attrs.get("src")])
        self.loads += [u for c in (attrs.get("srcset") or "").split(", ") if (u := c.split(" ")[0])]
        self.loads += style_loads(attrs.get("style") or "")
        if tag == "img" and not (attrs.get("alt") or "").strip(): self.faults.append(f"an image has no alt text: {(attrs.get('src') or '')[:60]}")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID: self.open.pop()

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag: pass

    def handle_data(self, data):
        if "title" in self.open and "svg" not in self.open: self.title += data
        if "style" in self.open: self.loads += style_loads(data)
        if not {"style", "script", "math", "code", "pre", "title"} & set(self.open): self.prose += data


def faults(site: Path) -> list[str]:
    "All faults of the built site, as `page: fault`."
    pages = {p: Page(p) for p in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site}: no pages"]

    def target(path: Path, link: str) -> str | None:
        "What is wrong with a link that stands in the file `path`."
        url = urlsplit(link)
        if url.scheme or url.netloc: return None
        goal = path if not url.path else (site/unquote(url.path).lstrip("/") if url.path[0] == "/" else (path.parent/unquote(url.path)).resolve())
        if url.path[:1] == "/": return f"{link} starts at the root of a server, so it is broken from disk"
        if goal.is_dir(): goal = goal/"index.html"
        if site not in goal.parents: return f"{link} leaves the site"
        if not goal.is_file(): return f"{link} is not there"
        if url.fragment and goal in pages and unquote(url.fragment) not in pages[goal].ids: return f"{link} has no such place"

    def loaded(path: Path, link: str) -> str | None:
        "What is wrong with a picture, script or style that the file `path` loads."
        if link.startswith(("data:", "#")): return None
        return f"{link} is loaded from the network" if re.match(r"(https?:)?//", link) else target(path, link)

    for path, page in pages.items():
        wrong = page.faults + [f for link in page.links if (f := target(path, link))] + [f for link in page.loads if (f := loaded(path, link))]
        wrong += [f"the id {i} stands {page.ids.count(i)} times" for i in sorted(set(page.ids)) if page.ids.count(i) > 1]
        if not page.title.strip(): wrong.append("no title")
        if path.stat().st_size > 1_500_000: wrong.append(f"is larger than 1.5 MB: {path.stat().st_size:,} bytes")
        if "h1" not in page.seen: wrong.append("no h1")
        if "sidebar-navigation" not in page.seen: wrong.append("no sidebar")
        if page.open: wrong.append(f"not closed: {page.open}")
        left = re.compile(r"\\[()\[\]]|\$\$|\\(?:frac|mathbf|text|left)\b|\]\(|:::|\{[#.]")
        wrong += [f"TeX or Markdown left in the text: {line.strip()}" for line in page.prose.splitlines() if left.search(line)]
        found += [f"{path.relative_to(site)}: {w}" for w in dict.fromkeys(wrong)]
    for path in sorted(site.rglob("*.css")):
        links = style_loads(path.read_text())
        found += [f"{path.relative_to(site)}: {f}" for link in dict.fromkeys(links) if (f := loaded(path, link.split("?")[0]))]
    return found


# ------------------------------------------------------------------------------ Markdown

def markdown(path: Path, relink, figure) -> str:
    """A page as Markdown: what is hidden left out, text outputs under their code.

    `relink` changes the target of a link; `figure` gives Markdown for an output with pictures, from the cell, the output's data and the alternative text.
    """
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        source = text(cell["source"])
        if cell["cell_type"] == "markdown":
            source = re.sub(r"(\]\(|href=\")([^)\"#\s]+)", lambda m: m[1] + relink(m[2]), source)
            parts.append(re.sub(r"^:::.*\n?", "", source, flags=re.M))
        if cell["cell_type"] != "code": continue
        options = directives(source)
        if {"hide", "export", "exporti", "default_exp"} & options.keys(): continue
        if options.get("include") is False: continue
        code = re.sub(r"^#\|.*\n?", "", source, flags=re.M).strip()
        if code and options.get("echo") is not False: parts.append(f"```python\n{code}\n```")
        for output in cell["outputs"] if options.get("output") is not False else ():
            data = {k: text(v) for k, v in output.get("data", {}).items()}
            if any(k == "text/html" or k.startswith("image/") for k in data): parts.append(figure(cell, data, options.get("fig-alt", "")))
            elif "text/markdown" in data: parts.append(data["text/markdown"])
            else: parts.append(f"```\n{(text(output.get('text')) or data.get('text/plain', '')).rstrip()}\n```")
    return "\n\n".join(p.strip() for p in parts if p.strip()) + "\n"


def twin(path: Path, names: dict[str, str]) -> str:
    "The Markdown twin of a page, for reading machines: links lead to the other twins, and of a picture stands what it shows."
    def relink(target): return f"{names[stem]}.md" if (stem := target.removesuffix(".ipynb")) in names and stem != target else target

    def figure(cell, data, alt):
        alts = [alt] if alt else [html.unescape(a) for a in re.findall(r'<img[^>]*\balt="([^"]+)"', data.get("text/html", ""))]
        words = " ".join(html.unescape(re.sub(r"<(style|script|svg).*?</\1>|<[^>]+>", " ", data.get("text/html", ""), flags=re.S)).split())
        return "\n\n".join([*(f"*Figure: {a}*" for a in dict.fromkeys(alts)), *filter(None, [words])])

    return markdown(path, relink, figure)


def llms(pages: list[Entry]) -> str:
    "`llms.txt`: what the project is, and a link to the twin of each page with what it says."
    from nbdev.config import get_config
    lines = [f"# {get_config().title}", f"> {get_config().description}", "Each page of the course is a notebook; these are their texts, code and printed results as Markdown."]
    for section in dict.fromkeys(p.section for p in pages):
        lines += [f"## {section or 'Start here'}", "\n".join(f"- [{p.number} {p.title}]({p.name}.md): {p.says}".replace("[ ", "[") for p in pages if p.section == section)]
    return "\n\n".join(lines) + "\n"


def readme() -> dict[str, bytes]:
    "README.md and its pictures, by path, as nbs/index.ipynb gives them, with pictures as files."
    files = {}

    def stored(cell, kind: str, data: str) -> str:
        "Keep a picture, and return its path."
        suffix = {"jpeg": "jpg", "svg+xml": "svg"}.get(kind, kind)
        path = f"README_files/{cell['id']}-{len(files)}.{suffix}"
        files[path] = data.encode() if suffix == "svg" and "<svg" in data else base64.b64decode(data)
        return path

    def figure(cell, data, alt):
        if "text/html" in data:
            return re.sub(r"data:image/([\w+.-]+);base64,([A-Za-z0-9+/=\s]+)", lambda m: stored(cell, m[1], m[2]), data["text/html"])
        kind = next(k for k in data if k.startswith("image/"))
        return f"![{alt}]({stored(cell, kind[6:], data[kind])})"

    def relink(target): return f"nbs/{target}" if (ROOT/"nbs"/target).is_file() else target # from here, not from the notebook

    page = markdown(ROOT/"nbs/index.ipynb", relink, figure)
    return {"README.md": lead_to_scripts(page).encode(), **files}


def lead_to_scripts(page: str) -> str:
    """Links to notebooks whose outputs are programs lead to the site, where the programs run.

    GitHub shows notebooks, and runs no script in them. A project that is published nowhere says
    how to build the site.
    """
    from nbdev.config import get_config
    home = address(get_config()).rstrip("/")

    def lead(m):
        notebook = ROOT/m[2]
        if not (notebook.is_file() and any("<script" in output for output in outputs(notebook))):
            return m[0]
        name = page_name(notebook)
        if home:
            return f"[{m[1]}]({home}/{name}.html)"
        how = f"`python tools/site.py`, then open `_docs/{name}.html`"
        return f"{m[1]} (on the built site: {how})"

    return re.sub(r"\[([^\[\]]+)\]\((nbs/\w+\.ipynb)[^)]*\)", lead, page)


def outputs(path: Path) -> list[str]:
    "The HTML that the cells of a notebook put out."
    cells = json.loads(path.read_text()).get("cells", []) if path.stat().st_size else []
    found = [o.get("data", {}).get("text/html") for c in cells for o in c.get("outputs", [])]
    return [text(output) for output in found if output]


def write_readme(check: bool) -> list[str]:
    "Write what `readme` gives and remove other pictures, or with `check` only name the files that differ."
    files = readme()
    there = {p.relative_to(ROOT).as_posix() for p in [ROOT/"README.md", *(ROOT/"README_files").rglob("*")] if p.is_file()}
    differ = sorted(p for p in there | files.keys() if p not in there or p not in files or (ROOT/p).read_bytes() != files[p])
    for path in () if check else differ:
        if path not in files: (ROOT/path).unlink()
        else:
            (ROOT/path).parent.mkdir(exist_ok=True)
            (ROOT/path).write_bytes(files[path])
    return differ


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--out", type=Path, default=ROOT/"_docs", help="the folder of the site (_docs)")
    args.add_argument("--quarto", action="store_true", help="render with the Quarto program")
    args.add_argument("--faults", type=Path, metavar="SITE", help="build nothing, check the built site in this folder")
    args.add_argument("--readme", action="store_true", help="no site: write README.md and README_files/")
    args.add_argument("--check", action="store_true", help="with --readme: write nothing, only compare")
    args = args.parse_args()
    site = (args.faults or args.out).resolve()
    os.chdir(ROOT)
    if args.readme:
        differ = write_readme(args.check)
        print(*(f"{p}: {'is not what index.ipynb gives' if args.check else 'written'}" for p in differ), f"{len(differ)} files differ", sep="\n")
        return 1 if args.check and differ else 0
    try:
        began = time.time()
        if not args.faults:
            build(site, args.quarto)
            print(f"{site}: {len(list(site.rglob('*.html')))} pages ({time.time() - began:.0f} s)")
        found = faults(site)
    except Stop as e:
        print(f"site.py: {e}", file=sys.stderr)
        return 2
    print(*found, f"{len(found)} faults", sep="\n")
    return 1 if found else 0


if __name__ == "__main__": sys.exit(main())
