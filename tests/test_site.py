"""The built site: links, documentation, mathematics, and how it does in a browser.

All of it is asked of two sites: the one that is built here, and the same in the shape that Quarto
gives it. CADL_FLAX_SITE names a folder with a site that is built already.
"""
import contextlib, functools, html, http.server, importlib.util, json, os, re, runpy, shutil, subprocess, sys, threading, unicodedata, warnings
from pathlib import Path

import numpy as np, pytest, quarto_shape, yaml
from conftest import do_without, installed
from nbdev.process import NBProcessor
from nbdev.processors import _do_eval
from skimage.io import imread, imsave

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("tools_site", ROOT/"tools/site.py") # not `import site`: Python has a module of that name
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

NOTEBOOKS = sorted((ROOT/"nbs").glob("[!_.]*.ipynb"))


def run(*args, root=ROOT, **env):
    return subprocess.run([sys.executable, root/"tools/site.py", *map(str, args)], capture_output=True, text=True, env={**os.environ, **env})


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    given = os.environ.get("CADL_FLAX_SITE")
    if given: return (ROOT/given).resolve()
    out = tmp_path_factory.mktemp("built")/"site"
    done = run("--out", out)
    assert done.returncode in (0, 1), done.stdout + done.stderr # 1: faults, of which the tests below say more
    return out


def from_quarto(site): return 'name="generator" content="quarto-' in page(site, "index")


@pytest.fixture(scope="session")
def raw(built, tmp_path_factory):
    "What Quarto would have rendered, before anything is done to it."
    if from_quarto(built): pytest.skip("this site comes from Quarto itself")
    out = tmp_path_factory.mktemp("quarto")/"site"
    quarto_shape.write(built, out)
    return out


@pytest.fixture(scope="session", params=["as built", "as Quarto"])
def site(request, built, tmp_path_factory):
    if request.param == "as built": return built
    out = tmp_path_factory.mktemp("finished")/"site"
    shutil.copytree(request.getfixturevalue("raw"), out)
    with contextlib.chdir(ROOT):
        config = yaml.safe_load((ROOT/"_quarto.yml").read_text())
        tool.finish_site(out, tool.entries(config, ROOT/"nbs"))
    return out


def page(site, name): return (site/f"{name}.html").read_text()


def cells(path, kind="code"):
    return [(tool.text(c["source"]), c) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == kind]


def visible(text): return html.unescape(re.sub(r"<[^>]+>", "", text))


def test_no_faults(site):
    assert tool.faults(site) == []


def test_what_quarto_writes_is_not_fit_to_publish(raw):
    "The recorded shape holds what `finish_site` is for: without it, all of this would be published."
    found = tool.faults(raw)
    assert [f for f in found if "requirejs" in f] and [f for f in found if "jquery" in f]
    fonts = "https://fonts.googleapis.com/css2 is loaded from the network"
    sheets = {f"site_libs/bootstrap/bootstrap{mode}-1.min.css: {fonts}" for mode in ("", "-dark")}
    assert {f for f in found if "googleapis" in f} == sheets
    text = page(raw, "input_representation")
    assert '<p><math display="block"' in text.replace("\n", "") and text.count('id="quarto-bootstrap"') == 3
    assert not [f for f in found if "quarto-bootstrap" in f or "highlighting-styles" in f] # which is no fault


def test_the_program_quarto_is_run(raw, tmp_path):
    "`--quarto`, with a program of that name that writes the recorded shape: all is well, and its warnings are passed on."
    (tmp_path/"bin").mkdir()
    program = tmp_path/"bin/quarto"
    program.write_text(f"""#!/bin/sh
test "$1" = render && test "$3" = --no-execute && test -f "$2/pictures.ipynb" || exit 3
echo '[ 1/23] pictures.ipynb'
echo 'WARN: Unable to resolve link target: x.py'
cp -r '{raw}' "$2/_site"
""")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    done = run("--quarto", "--out", tmp_path/"site", PATH=path)
    warning, built, faults = done.stdout.splitlines()
    assert done.returncode == 0 and faults == "0 faults", done.stdout + done.stderr
    assert warning == "WARN: Unable to resolve link target: x.py" and f"{len(NOTEBOOKS)} pages" in built
    program.write_text("#!/bin/sh\necho 'ERROR: YAMLException'; exit 1\n")
    done = run("--quarto", "--out", tmp_path/"site", PATH=path)
    assert done.returncode == 2 and done.stderr == "site.py: quarto render failed\nERROR: YAMLException\n\n"


def test_nothing_of_the_network_is_left(site):
    "Whatever it is called: no sheet, script, font or address of a library that is fetched."
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        text = re.sub(r"<a\b[^>]*>|<code.*?</code>", "", path.read_text(), flags=re.S)
        assert not re.search(r"""(?:src|@import|\burl\(|<link[^>]*href)\s*=?\s*["'(]?\s*(?:https?:)?//""", text), path.name
        assert not re.search(r"requirejs|require\.min\.js|define\('jquery'|fonts\.googleapis", text), path.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_page(site, path):
    text = page(site, tool.page_name(path))
    title = next(m[1] for s, _ in cells(path, "markdown") if (m := re.match(r"# (.+)", s)))
    assert html.unescape(re.search(r"<title>(.*?)</title>", text)[1]).startswith(title)
    assert title in visible(re.search(r"<h1.*?</h1>", text)[0])
    assert re.search(rf'class="minutes">\s*<p>(Page \d+ · )?\d+ min · <a href="notebooks/{path.name}" download', text)
    offered = (site/"notebooks"/path.name).read_text(encoding="utf-8")
    assert offered == tool.download(path, tool.repository())
    sidebar = text[text.index('id="quarto-sidebar"'):text.index('id="quarto-sidebar-glass"')]
    order = re.findall(r"[\w]+(?=\.ipynb)", (ROOT/"_quarto.yml").read_text())
    assert [Path(h).stem for h in re.findall(r'href="([^"#]+\.html)"', sidebar)] == [tool.page_name(Path(p)) for p in order]
    assert re.search(r'href="(\./)?index.html"', text[:text.index('id="quarto-sidebar"')]) # home, in the navbar
    assert re.search(r"cadl_flax \d+\.\d+\.\d+, (commit \S+, )?built with Python 3\.\d+\.\d+, jax \d", visible(text[text.index("<footer"):]))
    exported = [s for s, _ in cells(path) if re.search(r"^#\| exports", s, re.M) and not re.search(r"^#\| hide", s, re.M)]
    assert text.count("<summary>Exported source</summary>") + text.count("<summary>Imports</summary>") == len(exported)
    for s in exported:
        for name in re.findall(r"^(?:def|class) ([a-zA-Z]\w*)", s, re.M): assert heading(text, name)
    for s, _ in cells(path):
        if alt := tool.directives(s).get("fig-alt"): assert f'alt="{alt}"' in html.unescape(text)
        if re.search(r"^#\| hide$", s, re.M): assert s.splitlines()[-1] not in visible(text)
    for s, c in cells(path):
        for o in c["outputs"]:
            if film := re.search(r"data:image/\w+;base64,[A-Za-z0-9+/=]+", tool.text(o.get("data", {}).get("text/html"))): assert film[0] in text and len(film[0]) < 4/3*150_000


def heading(text, name):
    "The heading of the documentation of `name`, which either renderer writes in its own way."
    return re.search(rf'<(?:h3|section) [^>]*\bid="{name.lower()}"[^>]*\bclass="[^"]*\bapi\b', text)


def test_mathematics(site):
    text = re.sub(r"<script.*?</script>", "", page(site, "gradient_descent"), flags=re.S)
    assert text.count("<math") >= 10 and r"\(" not in text and r"\[" not in text and "katex" not in text
    assert '<math display="block"' in text


def documentation(text, name):
    "What stands between the heading of `name` and its source, in words."
    start = heading(text, name).start()
    return " ".join(visible(text[start:text.index("Exported source", start)]).split())


def test_modules_are_documented(site):
    "nbdev's own documentation fails on Flax modules."
    mlp, fourier = documentation(page(site, "going_deeper"), "MLP"), documentation(page(site, "input_representation"), "FourierFeatures")
    assert "width: int = 64 neurons in each hidden layer" in mlp and "* keyword-only from here" in mlp and ".__call__(x)" in mlp
    assert "rngs: nnx.Rngs decides" in fourier and "*args" not in mlp + fourier


def test_arguments_are_documented(site):
    text = page(site, "minibatches")
    assert "optimizer: optax.GradientTransformation such as" in documentation(text, "train_step") # jitted
    assert "losses: Array (n_epochs, n_batches) of the last call" in documentation(text, "Run")   # a dataclass
    assert "-> Run the trained model and the losses" in documentation(text, "fit")


def test_names_link_to_where_they_are_defined(site):
    assert re.search(r'<a href="(\./)?minibatches\.html#fit"[^>]*><code>fit</code>', page(site, "index"))
    assert re.search(r'<a href="(\./)?painting\.html#paint"[^>]*><code>paint</code>', page(site, "index")) # the function, not the command
    assert not re.search(r'href="[^"]*#_', page(site, "pictures"))


FAULTS = {
    '<a href="nowhere.html">x</a>': "nowhere.html is not there",
    '<a href="index.html#nowhere">x</a>': "index.html#nowhere has no such place",
    '<a href="#nowhere">x</a>': "#nowhere has no such place",
    '<a href="/index.html">x</a>': "starts at the root of a server",
    '<a href="../secret.html">x</a>': "leaves the site",
    '<img src="https://example.org/x.png" alt="x">': "https://example.org/x.png is loaded from the network",
    '<script src="//example.org/x.js"></script>': "//example.org/x.js is loaded from the network",
    f"<p>{'long'*400_000}</p>": "is larger than 1.5 MB",
    "<style>@import url(https://example.org/x.css);</style>": "https://example.org/x.css is loaded from the network",
    '<style>@import url("https://example.org/x.css");</style>': "https://example.org/x.css is loaded from the network",
    '<style>@import"https://example.org/x.css";</style>': "https://example.org/x.css is loaded from the network",
    "<style>@import '//example.org/x.css' screen;</style>": "//example.org/x.css is loaded from the network",
    '<link rel="preconnect" href="https://example.org">': "https://example.org is loaded from the network",
    '<picture><source srcset="x.png 2x"></picture>': "x.png is not there",
    '<img src="data:image/png;base64,AAAA">': "an image has no alt text",
    '<i id="install"></i>': "the id install stands 2 times",
    r"<p>The slope \(x^2\)</p>": "TeX or Markdown left",
    "<p>See [here](x.html)</p>": "TeX or Markdown left",
}


def test_faults_are_found(site, tmp_path):
    copy = tmp_path/"site"
    shutil.copytree(site, copy)
    sound = page(copy, "index")
    for inserted, fault in FAULTS.items():
        (copy/"index.html").write_text(sound.replace("</main>", inserted + "</main>"))
        found = tool.faults(copy)
        assert [f for f in found if f.startswith("index.html: ") and fault in f] == found != [], inserted
    (copy/"index.html").write_text(sound.replace("<h1", "<h2").replace("</h1", "</h2").replace("sidebar-navigation", "x").replace("<title>", "<title></title><b>"))
    assert {"index.html: no h1", "index.html: no sidebar", "index.html: no title"} <= set(tool.faults(copy))
    (copy/"index.html").write_text(sound + '<a href="https://example.org">out</a>')
    for sheet in ('@import"https://example.org/x.css";a{}', "@import url('https://example.org/x.css');a{}"):
        (copy/"styles.css").write_text(sheet)
        assert tool.faults(copy) == ["styles.css: https://example.org/x.css is loaded from the network"]
    (copy/"styles.css").write_text("a { background: url(lost.png) } b { background: url(data:image/png;base64,AAAA) }")
    assert tool.faults(copy) == ["styles.css: lost.png is not there"]
    done = run("--faults", copy)
    assert done.returncode == 1 and done.stdout.splitlines() == ["styles.css: lost.png is not there", "1 faults"]


def test_a_page_out_of_the_sidebar_stops_the_build(tmp_path):
    for name in ("settings.ini", "_quarto.yml", "tools", "nbs"): (shutil.copytree if (ROOT/name).is_dir() else shutil.copy)(ROOT/name, tmp_path/name)
    config = (tmp_path/"_quarto.yml").read_text()
    (tmp_path/"_quarto.yml").write_text(config.replace("01_gradient_descent", "01_ascent"))
    done = run("--out", tmp_path/"site", root=tmp_path)
    assert done.returncode == 2 and done.stderr.splitlines() == ["site.py: _quarto.yml lists 01_ascent.ipynb, not found in nbs"]
    (tmp_path/"_quarto.yml").write_text(config.replace("- 01_gradient_descent.ipynb", ""))
    done = run("--out", tmp_path/"site", root=tmp_path)
    assert done.returncode == 2 and done.stderr.splitlines() == ["site.py: 01_gradient_descent.ipynb would have no link: _quarto.yml does not list it"]


def test_refusals(tmp_path):
    (tmp_path/"mine.txt").write_text("precious")
    done = run("--out", tmp_path)
    assert done.returncode == 2 and "holds something else" in done.stderr and (tmp_path/"mine.txt").exists()
    done = run("--quarto", "--out", tmp_path/"site", PATH=str(tmp_path))
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "no `quarto` on the PATH" in done.stderr


def test_readme_is_what_index_gives():
    assert tool.write_readme(check=True) == [], "run: python tools/site.py --readme"


def test_readme(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    def code(id, source, *outputs): return dict(cell_type="code", id=id, source=source, outputs=list(outputs))
    def prose(source): return dict(cell_type="markdown", id="m", source=source)
    film = f'<picture><source media="(prefers-reduced-motion: reduce)" srcset="data:image/png;base64,{dot}"><img src="data:image/gif;base64,{dot}" alt="a film"></picture>'
    index = [code("a", "#| default_exp x"), prose("# Title\n\n> What it is"), code("b", "#| hide\nsecret()"), prose("See [one](01_x.ipynb), [two](https://example.org), f[0](x)."),
             code("c", "print(1)", dict(output_type="stream", text=["1\n"])), code("d", '#| fig-alt: "A dot."\ndot()', dict(data={"image/png": dot, "text/plain": ["<Figure>"]})),
             code("e", "#| echo: false\nfilm()", dict(data={"text/html": film, "text/plain": "Film"}))]
    (tmp_path/"nbs").mkdir()
    (tmp_path/"nbs/01_x.ipynb").touch()
    (tmp_path/"nbs/index.ipynb").write_text(json.dumps(dict(cells=index)))
    assert tool.write_readme(check=True) and not (tmp_path/"README.md").exists()
    tool.write_readme(check=False)
    assert (tmp_path/"README.md").read_text() == """# Title

> What it is

See [one](nbs/01_x.ipynb), [two](https://example.org), f[0](x).

```python
print(1)
```

```
1
```

```python
dot()
```

![A dot.](README_files/d-0.png)

<picture><source media="(prefers-reduced-motion: reduce)" srcset="README_files/e-1.png"><img src="README_files/e-2.gif" alt="a film"></picture>
"""
    assert tool.write_readme(check=True) == []
    (tmp_path/"README_files/old.png").touch()
    (tmp_path/"README_files/d-0.png").write_bytes(b"changed")
    assert tool.write_readme(check=True) == ["README_files/d-0.png", "README_files/old.png"]
    tool.write_readme(check=False)
    assert tool.write_readme(check=True) == [] and not (tmp_path/"README_files/old.png").exists()


# ------------------------------------------------------------------------------ in a browser

@pytest.fixture(params=["file", "http"])
def address(request, site):
    if request.param == "file": yield site.as_uri()
    else:
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args): pass
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()


# pictures that are broken or wider than their column, printed lines that are cut, and text whose
# contrast is under WCAG AA: 4.5, or 3 if it is large; seen through what is half transparent
LOOK = """() => {
  const faults = [], rgba = c => (c.match(/[\\d.]+/g) || []).map(Number), column = document.querySelector("main").getBoundingClientRect();
  for (const img of document.images) {
    if (!img.naturalWidth) faults.push("broken picture " + img.alt);
    if ((img.closest(".cell-output-display") || img).getBoundingClientRect().right > column.right + 1) faults.push("wide picture " + img.alt);
  }
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v/12.92 : ((v + .055)/1.055)**2.4); return .2126*r + .7152*g + .0722*b; };
  for (const pre of document.querySelectorAll(".cell-output pre")) if (pre.scrollWidth > pre.clientWidth) faults.push("cut: " + pre.textContent.slice(0, 60));
  const behind = e => {
    const over = [];
    let ground = [255, 255, 255];
    for (; e; e = e.parentElement) {
      const [r, g, b, a = 1] = rgba(getComputedStyle(e).backgroundColor);
      if (a == 1) { ground = [r, g, b]; break; }
      over.push([r, g, b, a]);
    }
    return over.reduceRight((c, [r, g, b, a]) => [r, g, b].map((v, i) => a*v + (1 - a)*c[i]), ground);
  };
  const seen = new Set();
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) || !e.checkVisibility() || e.closest("annotation, script, style")) continue;
    const s = getComputedStyle(e), size = parseFloat(s.fontSize), large = size >= 24 || size >= 18.66 && s.fontWeight >= 700;
    const [a, b] = [light(rgba(s.color).slice(0, 3)), light(behind(e))].sort((x, y) => y - x), ratio = (a + .05)/(b + .05);
    if (ratio < (large ? 3 : 4.5)) seen.add(`contrast ${ratio.toFixed(1)} of ${e.tagName} ${e.className}: ${e.textContent.slice(0, 30)}`);
  }
  return faults.concat([...seen]);
}"""


def shown(site, built):
    "The pages to look at: all of the site that is built, and of the other what differs."
    return sorted(site.glob("*.html")) if site == built else [site/f"{name}.html" for name in VARIED]


def visit(browser, address, mode, width):
    "A tab that is cut off from the network, and the list of what goes wrong in it."
    context, noise = browser.new_context(viewport=dict(width=width, height=844), color_scheme=mode, reduced_motion="reduce", accept_downloads=True), []
    def cut_off(route, request):
        if request.url.startswith((address, "data:", "blob:")): return route.continue_()
        noise.append(f"outside: {request.url}")
        route.abort()
    context.route("**", cut_off)
    tab = context.new_page()
    tab.on("console", lambda m: noise.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda e: noise.append(str(e)))
    tab.on("requestfailed", lambda r: None if r.failure == "net::ERR_ABORTED" else noise.append(f"failed: {r.url}")) # cut off by going to the next page
    return tab, noise


def is_dark(tab): return tab.evaluate("!!document.querySelector('html.quarto-dark, body.quarto-dark')")


# every kind of content: wide tables, formulas, films, long outputs, folds, arguments, the painter
VARIED = ["command_line", "errata", "gallery", "glossary", "index", "input_representation", "live", "minibatches", "painting", "tracking"]


def test_pages(browser, address, site, built):
    for mode, width in [("light", 390), ("dark", 1280)] if address.startswith("file") else [("dark", 390), ("light", 1280)]:
        tab, noise = visit(browser, address, mode, width)
        for path in shown(site, built):
            tab.goto(f"{address}/{path.name}")
            tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert is_dark(tab) == (mode == "dark")
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, f"{path.name} is wider than {width} px"
            assert tab.evaluate(LOOK) == [], f"{path.name}, {mode}, {width} px"
            assert tab.evaluate("[...document.querySelectorAll('math')].filter(m => !m.getBoundingClientRect().height).length") == 0, f"{path.name}: a formula is not drawn"
        assert noise == []
        tab.context.close()


def test_the_header_stays(browser, site):
    "The search and the switch to dark are there on the way down, and nothing of the sidebars is under them."
    for width in (390, 1280):
        tab, _ = visit(browser, site.as_uri(), "light", width)
        tab.goto(site.as_uri() + "/errata.html")
        tab.mouse.wheel(0, 3000)
        tab.wait_for_function("scrollY > 1000")
        tab.wait_for_timeout(400)
        box = tab.locator("#quarto-header").bounding_box()
        assert box["y"] == 0 and tab.is_visible("#quarto-search")
        if width > 1000:
            for bar in ("#quarto-sidebar", "#quarto-margin-sidebar"):
                assert tab.locator(bar).bounding_box()["y"] >= box["height"] - 1, bar
        tab.context.close()


def test_what_is_drawn_in_formulas_is_in_the_font(browser, site):
    "Without a font for mathematics an exponent floats a line too high; the one here is a part of STIX Two Math."
    held = re.search(r"unicode-range:(.*?);", (site/"styles.css").read_text(), re.S)[1]
    spans = [[int(n, 16) for n in r.split("-")] for r in re.findall(r"U\+([0-9A-F-]+)", held)]

    def drawn(formula):
        "Its characters; a variable of one letter is drawn as the italic of mathematics."
        text = re.sub(r"<annotation.*?</annotation>", "", formula, flags=re.S)
        for letter in re.findall(r"<mi>(.)</mi>", text):
            names = [unicodedata.name(letter).replace("LATIN ", "").replace("GREEK ", "").replace(" LETTER", "")]
            yield from (c for n in names if (c := italics.get(f"MATHEMATICAL ITALIC {n}")))
        yield from visible(text)
    italics = {unicodedata.name(chr(c), ""): chr(c) for c in [*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C)]}
    missing = {(path.name, c) for path in site.glob("*.html") for f in re.findall(r"<math\b.*?</math>", path.read_text(), re.S)
               for c in drawn(f) if not c.isspace() and not any(span[0] <= ord(c) <= span[-1] for span in spans)}
    assert missing == set()
    tab, noise = visit(browser, site.as_uri(), "light", 1280)
    tab.goto(site.as_uri() + "/input_representation.html")
    assert tab.evaluate("document.fonts.load('16px \"STIX Two Math\"', 'x').then(f => f.length == 1 && f[0].status == 'loaded')")
    assert tab.evaluate("[...document.querySelectorAll('math')].every(m => getComputedStyle(m).fontFamily.startsWith('\"STIX Two Math\"'))")
    hang = tab.evaluate("""() => { const [x, one] = [...document.querySelectorAll('main msub')].find(e => e.checkVisibility()).children;
      return (one.getBoundingClientRect().bottom - x.getBoundingClientRect().bottom)/parseFloat(getComputedStyle(x).fontSize); }""")
    assert hang > .1 # an index hangs below the foot of its letter; without the font it stands beside it
    assert noise == []
    tab.context.close()


@pytest.mark.parametrize("mode, width", [("dark", 390), ("light", 1280)])
def test_accessibility(browser, site, built, mode, width):
    axe = installed("axe_playwright_python.sync_playwright").Axe()
    # contrast is looked at in every state of every page above, and faster
    tab, only, found = *visit(browser, site.as_uri(), mode, width)[:1], {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": False}}}, set()
    for path in shown(site, built) if width > 1000 else [site/"index.html", site/"live.html"]:
        tab.goto(path.as_uri())
        found |= {(path.name, f["id"], f["nodes"][0]["html"][:200]) for f in axe.run(tab, options=only).response["violations"] if f["impact"] in ("serious", "critical")}
    assert found == set()
    tab.goto(site.as_uri() + "/index.html")
    tab.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<p style=\"color: #888; background: #999\">pale</p><img src=\"favicon.svg\">')")
    assert {"color-contrast", "image-alt"} <= {f["id"] for f in axe.run(tab).response["violations"]} # it does find faults
    tab.context.close()


def test_search_and_the_dark_mode(browser, address):
    for mode, width in [("light", 390), ("dark", 1280)]:
        tab, noise = visit(browser, address, mode, width)
        tab.goto(f"{address}/index.html")
        assert tab.evaluate("document.querySelector('picture img').currentSrc == document.querySelector('picture source').srcset") # the still, where motion is not wanted
        if tab.locator(".aa-DetachedSearchButton").count(): tab.click(".aa-DetachedSearchButton")
        tab.fill("input[type=search]", "surrogate")
        tab.wait_for_selector(RESULT)
        tab.click(RESULT)
        tab.wait_for_url(re.compile(r"/(?!index)\w+\.html"))
        assert "surrogate" in tab.inner_text("main").lower()
        tab.click(".quarto-color-scheme-toggle")
        tab.wait_for_function("dark => !!document.querySelector('html.quarto-dark, body.quarto-dark') != dark", arg=mode == "dark")
        tab.reload()
        if address.startswith("http") or tab.evaluate("!!window.smalldocsToggleScheme"): # Quarto remembers nothing from disk
            assert is_dark(tab) != (mode == "dark")
        assert noise == []
        tab.context.close()


RESULT = ".search-result, .search-result-link"


def test_the_keyboard_reaches_everything(browser, site):
    tab, _ = visit(browser, site.as_uri(), "light", 1280)
    tab.goto(site.as_uri() + "/gradient_descent.html")
    seen = set()
    for _ in range(60):
        tab.keyboard.press("Tab")
        where, outlined = tab.evaluate("""() => {
          const e = document.activeElement, s = getComputedStyle(e), parts = {".navbar-brand": "home", ".quarto-color-scheme-toggle": "mode", "input, .aa-DetachedSearchButton": "search",
            "#quarto-sidebar a": "sidebar", "main pre": "code", "main summary": "fold", "#TOC a": "contents", "main p a": "text"};
          return [Object.keys(parts).filter(p => e.matches(p)).map(p => parts[p]), s.outlineStyle != "none" || s.boxShadow != "none"];
        }""")
        seen |= set(where)
        assert outlined, f"nothing shows that {where} has the focus"
    assert {"home", "mode", "search", "sidebar", "fold", "text"} <= seen
    tab.focus(".quarto-color-scheme-toggle")
    tab.keyboard.press("Enter")
    tab.wait_for_function("!!document.querySelector('html.quarto-dark, body.quarto-dark')")
    tab.context.close()


def said(tab):
    "What the live page says of its training: steps, loss, decibels."
    return [float(n) for n in re.findall(r"[\d.]+(?!\w)", tab.inner_text("#painter-says"))]


def until(tab, step): tab.wait_for_function("n => Number(document.getElementById('painter-says').textContent.split(' ')[1]) > n", arg=step)


def test_the_live_page_learns(browser, address, tmp_path):
    tab, noise = visit(browser, address, "light", 800)
    tab.goto(f"{address}/live.html")
    assert said(tab)[0] == 0
    before = said(tab)[2]
    tab.click("#painter-go")
    until(tab, 0)
    first = said(tab)
    until(tab, first[0] + 1000)
    later = said(tab)
    assert later[1] < .8*first[1] and later[2] > before + 5 and later[3] > before + 5 # loss, seen and hidden pixels
    tab.click("#painter-go")
    paused = said(tab)[0]
    tab.wait_for_timeout(600)
    assert said(tab)[0] == paused and tab.inner_text("#painter-go") == "Go on"
    with tab.expect_download() as saved: tab.click("#painter-save")
    picture = imread(saved.value.path())
    assert picture.shape[:2] == (512, 512) and picture[..., :3].std() > 20
    tab.click("#painter-again")
    assert said(tab)[0] == 0 and said(tab)[2] == before # the same seed, the same network
    tab.fill("#painter-seed", "7")
    tab.press("#painter-seed", "Tab")
    assert said(tab)[2] != before
    photo = tmp_path/"photo.png"
    imsave(photo, np.tile(np.linspace(0, 255, 90, dtype=np.uint8)[:, None, None], (1, 45, 3)))
    tab.set_input_files("#painter-file", photo)
    tab.wait_for_function("document.getElementById('painter-learned').width == 32 && document.getElementById('painter-learned').height == 64")
    (tmp_path/"words.png").write_text("not a picture")
    tab.set_input_files("#painter-file", tmp_path/"words.png")
    tab.wait_for_function("document.getElementById('painter-says').textContent == 'words.png: this browser cannot read it as a picture'")
    tab.click("#painter-in")
    assert tab.inner_text("#painter-zoom") == "1.5 ×"
    tab.focus("#painter-look")
    tab.keyboard.press("-")
    assert tab.inner_text("#painter-zoom") == "1.0 ×"
    assert noise == []
    tab.context.close()


def test_markdown_twins(site):
    index = (site/"llms.txt").read_text()
    assert index.startswith("# cadl_flax\n\n> ")
    assert re.findall(r"^## (.*)$", index, re.M) == ["Start here", "Session 2", "Beyond", "Appendix"]
    linked = re.findall(r"^- \[.+?\]\((\w+\.md)\): \S", index, re.M)
    assert linked == [tool.page_name(Path(p)) + ".md" for p in re.findall(r"\w+\.ipynb", (ROOT/"_quarto.yml").read_text())]
    for path in NOTEBOOKS:
        text, name = (site/f"{tool.page_name(path)}.md").read_text(), tool.page_name(path)
        assert text.startswith("# ") and len(text) < 120_000 and not re.search("base64,[A-Za-z0-9]", text)
        assert f'type="text/markdown" href="{name}.md"' in page(site, name)
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        for target in re.findall(r"\]\((\w+\.(?:md|ipynb))[)#]", prose): assert (site/target).is_file(), (name, target)
        for s, _ in cells(path):
            if alt := tool.directives(s).get("fig-alt"): assert f"*Figure: {alt}*" in text
            if re.search(r"^#\| exports$", s, re.M): assert re.sub(r"^#\|.*\n", "", s, flags=re.M).strip() in text


def copy_project(folder, **settings):
    "What the site is built from, with other settings."
    for name in ("settings.ini", "_quarto.yml", "pyproject.toml", "tools", "nbs", "cadl_flax"):
        (shutil.copytree if (ROOT/name).is_dir() else shutil.copy)(ROOT/name, folder/name)
    text = (folder/"settings.ini").read_text()
    for key, value in settings.items():
        text, n = re.subn(rf"^{key} =.*$", f"{key} = {value}", text, flags=re.M)
        assert n == 1, key
    (folder/"settings.ini").write_text(text)


def in_copy(folder, *command):
    "A command of Python in the copy, which imports the copy's package."
    return subprocess.run([sys.executable, *map(str, command)], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(folder)})


NBDEV_EXPORT = ("-c", "from nbdev.doclinks import nbdev_export as e; e()")


def test_an_address_adds_links_and_breaks_none(tmp_path):
    "With the publishing settings filled in, sources, Colab and the commit are linked, and the site still works from disk."
    git = "https://github.com/someone/elsewhere"
    copy_project(tmp_path, git_url=git, doc_host="https://someone.github.io", doc_baseurl="/elsewhere")
    assert in_copy(tmp_path, *NBDEV_EXPORT).returncode == 0
    done = in_copy(tmp_path, "tools/site.py", "--out", "site")
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "0 faults", done.stdout + done.stderr
    built = tmp_path/"site"
    text = page(built, "pictures")
    assert 'href="https://colab.research.google.com/github/someone/elsewhere/blob/main/nbs/00_pictures.ipynb">Open in Colab</a>' in text
    assert tool.in_colab(git) in text
    for path in built.glob("*.html"):
        text = path.read_text()
        for link, module, line in re.findall(r'href="([^"]*/blob/main/cadl_flax/(\w+)\.py#L([^"]*))"', text):
            assert link.startswith(git + "/blob/"), link
            assert re.match(r"(@|def |class )", (tmp_path/f"cadl_flax/{module}.py").read_text().splitlines()[int(line) - 1]), link
        assert 'href="https://someone.github.io' not in re.sub(r"<(?:link|meta)\b[^>]*>", "", text), path.name
        assert "None" not in re.findall(r'href="([^"]*)"', text)
    assert page(built, "minibatches").count('/blob/main/cadl_flax/training.py#L') >= 4
    assert re.search(r'<a href="(\./)?minibatches\.html#fit"[^>]*><code>fit</code>', page(built, "index"))
    assert "/blob/main/cadl_flax/painting.py#L" not in page(built, "command_line") # the command `paint` is not the function


def test_no_address_no_links(tmp_path):
    copy_project(tmp_path, git_url="", doc_host="", doc_baseurl=".")
    for path in tmp_path.glob("nbs/*.ipynb"): # what they show does not matter here
        nb = json.loads(path.read_text())
        path.write_text(json.dumps({**nb, "cells": nb["cells"][:3]}))
    in_copy(tmp_path, "tools/site.py", "--out", "site")
    text = page(tmp_path/"site", "pictures")
    assert "colab" not in text and "github.com" not in text and "/blob/" not in text


# ------------------------------------------------------------------------------ what other programs read

@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_directive_is_yaml(path):
    "Quarto reads `#| key: value` as YAML, and stops where it is none: a text with a colon needs quotes."
    for source, cell in cells(path):
        for line in re.findall(r"^#\| *([\w-]+: .*)$", source, re.M):
            try:
                (key, value), = yaml.safe_load(line).items()
            except (yaml.YAMLError, AttributeError, ValueError) as e:
                pytest.fail(f"{path.name}, cell {cell['id']}: #| {line}\n{e}")
            if key in ("fig-alt", "fig-cap", "tbl-cap", "code-summary"):
                assert isinstance(value, str) and value.strip(), line


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_cell_mixes_imports_and_other_code(path):
    "nbdev runs cells that import, to document what they define, and warns where that runs more."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cell in NBProcessor(path).nb.cells: _do_eval(cell)


def test_nbdev_prepares_the_notebooks(tmp_path):
    "The step of nbdev_docs before Quarto's, with nbdev's own documentation of names."
    copy_project(tmp_path)
    step = "import warnings; warnings.filterwarnings('error', 'Found cells'); from nbdev.serve import proc_nbs; proc_nbs(n_workers=0, force=True)"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLAX_DOC_BUILD", "1")
        done = in_copy(tmp_path, "-c", step)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path/"_proc").glob("*.ipynb"))) == len(NOTEBOOKS)


def test_nbdev_leaves_the_readme_alone(tmp_path):
    "nbdev_docs and nbdev_prepare write README.md anew where it is older than the index, without our pictures and links."
    copy_project(tmp_path)
    (tmp_path/"README.md").write_text("ours")
    os.utime(tmp_path/"README.md", (0, 0))
    done = in_copy(tmp_path, "-c", "from nbdev.quarto import nbdev_readme; nbdev_readme.__wrapped__(chk_time=True)")
    assert done.returncode == 0 and "python tools/site.py --readme" in done.stdout
    assert (tmp_path/"README.md").read_text() == "ours"


def workflow(name): return yaml.safe_load((ROOT/f".github/workflows/{name}.yml").read_text())


def test_the_workflow_publishes_only_what_it_has_tested():
    site = workflow("site")
    build, publish = site["jobs"]["build"], site["jobs"]["publish"]
    used = {step["uses"].partition("@")[0]: step for step in [*build["steps"], *publish["steps"]] if "uses" in step}
    assert "pull_request" in site[True] and "pull_request" in publish["if"] and "PUBLISH_SITE" in publish["if"] # True: YAML's `on`
    assert build["permissions"] == {"contents": "read"} and publish["permissions"] == {"pages": "write", "id-token": "write"}
    version = used["quarto-dev/quarto-actions/setup"]["with"]["version"]
    assert [int(n) for n in version.split(".")] >= [1, 8, 0] and version.count(".") == 2
    majors = {used[f"actions/{name}"]["uses"].partition("@")[2] for name in ("upload-pages-artifact", "deploy-pages")}
    assert len(majors) == 1 # they are made for each other
    assert publish["environment"]["url"] == "${{ steps.deployment.outputs.page_url }}" and publish["steps"][-1]["id"] == "deployment"


@pytest.mark.parametrize("name", ["site", "test"])
def test_a_workflow_asks_for_little_and_skips_nothing(name):
    found = workflow(name)
    assert found["permissions"] == {} and "group" in found["concurrency"]
    for job in found["jobs"].values():
        assert job["permissions"] and job["timeout-minutes"]
    tested = [job for job in found["jobs"].values() if any("pytest" in step.get("run", "") for step in job["steps"])]
    assert tested and all((found.get("env", {}) | job.get("env", {}))["CADL_FLAX_BROWSER"] == "required" for job in tested)


def test_a_missing_browser_fails_where_it_is_required(monkeypatch):
    def outcome(what, name):
        try:
            what(name)
        except (pytest.skip.Exception, pytest.fail.Exception) as e: # a skip here would skip this test
            return type(e), str(e)
    monkeypatch.delenv("CADL_FLAX_BROWSER", raising=False)
    assert outcome(do_without, "none") == (pytest.skip.Exception, "none: no test in a browser")
    monkeypatch.setenv("CADL_FLAX_BROWSER", "required")
    assert outcome(do_without, "none") == (pytest.fail.Exception, "none: no test in a browser")
    assert outcome(installed, "no_such.x") == (pytest.fail.Exception, "no_such is not installed: no test in a browser")


def targets(text):
    "The links and pictures of a Markdown text, without those in code."
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'\b(?:src|srcset|href)="([^"]+)"', text)


def relative(found): return [t for t in found if not re.match(r"https?://|#", t)]


def test_what_the_readme_leads_to_is_there():
    found = relative(targets((ROOT/"README.md").read_text()))
    assert len(found) > 20
    for target in found: assert (ROOT/target.partition("#")[0]).is_file(), target


def test_the_readme_leads_to_no_program_in_a_notebook(monkeypatch):
    "GitHub runs no script of a notebook that it shows."
    said = "See [paint here](nbs/live.ipynb#x) and [page 01](nbs/01_gradient_descent.ipynb)."
    built = "paint here (on the built site: `python tools/site.py`, then open `_docs/live.html`)"
    published = "[paint here](https://someone.github.io/elsewhere/live.html)"
    for host, base, goal in (("", ".", built), ("https://someone.github.io", "/elsewhere", published)):
        monkeypatch.setattr("nbdev.config.get_config", lambda host=host, base=base: dict(doc_host=host, doc_baseurl=base))
        assert tool.lead_to_scripts(said) == f"See {goal} and [page 01](nbs/01_gradient_descent.ipynb)."
    assert "live.ipynb" not in (ROOT/"README.md").read_text()


def test_the_text_of_the_package_has_no_broken_link():
    "PyPI shows README.md without the repository around it."
    with contextlib.chdir(ROOT): describe = runpy.run_path("setup.py", run_name="setup")["describe"]
    text = (ROOT/"README.md").read_text() + '\n[a `b`](x.md) <a href="y.md">y</a> ![z](z.png) <img src="w.png">\n\n```python\nf[0](x)\n```\n'
    away = describe(text, "https://github.com/someone/elsewhere", "main")
    assert relative(targets(away)) == [] and len(targets(away)) == len(targets(text))
    assert "[a `b`](https://github.com/someone/elsewhere/blob/main/x.md)" in away
    assert "![z](https://github.com/someone/elsewhere/raw/main/z.png)" in away
    nowhere = describe(text, "", "main")
    assert relative(targets(nowhere)) == [] and "<img" not in nowhere and "figcaption" not in nowhere
    assert "a `b` y" in nowhere and "[Creative Applications of Deep Learning with TensorFlow](https://" in nowhere
    for shown in (away, nowhere): assert "f[0](x)" in shown


def test_modules_work_from_disk(browser, tmp_path):
    "A browser loads no module from disk, and Quarto writes some: they are put into the page."
    (tmp_path/"lib").mkdir()
    (tmp_path/"lib/b.js").write_text("export const word = 'ä</b>';")
    (tmp_path/"lib/a.js").write_text('import * as b from "./b.js";\nimport { word } from \'./b.js\';\ndocument.title = b.word + word;')
    (tmp_path/"page.html").write_text(tool.inline_modules('<meta charset="utf-8"><title>no</title><script src="lib/a.js" type="module"></script>', tmp_path))
    tab = browser.new_page()
    tab.goto((tmp_path/"page.html").as_uri())
    tab.wait_for_function("document.title == 'ä</b>ä</b>'", timeout=5000)
    tab.close()
