"The built site: links, documentation, mathematics, and how it does in a browser. CADL_FLAX_SITE names a folder with a site that is built already."
import functools, html, http.server, importlib.util, json, os, re, shutil, subprocess, sys, threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("tools_site", ROOT/"tools/site.py") # not `import site`: Python has a module of that name
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

NOTEBOOKS = sorted((ROOT/"nbs").glob("[!_.]*.ipynb"))


def run(*args, root=ROOT, **env):
    return subprocess.run([sys.executable, root/"tools/site.py", *map(str, args)], capture_output=True, text=True, env={**os.environ, **env})


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    built = os.environ.get("CADL_FLAX_SITE")
    if built: return (ROOT/built).resolve()
    out = tmp_path_factory.mktemp("built")/"site"
    done = run("--out", out)
    assert done.returncode in (0, 1), done.stdout + done.stderr # 1: faults, of which the tests below say more
    return out


def page(site, name): return (site/f"{name}.html").read_text()


def cells(path, kind="code"):
    return [(tool.text(c["source"]), c) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == kind]


def visible(text): return html.unescape(re.sub(r"<[^>]+>", "", text))


def test_no_faults(site):
    assert tool.faults(site) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_page(site, path):
    text = page(site, tool.page_name(path))
    title = next(m[1] for s, _ in cells(path, "markdown") if (m := re.match(r"# (.+)", s)))
    assert html.unescape(re.search(r"<title>(.*?)</title>", text)[1]).startswith(title)
    assert title in visible(re.search(r"<h1.*?</h1>", text)[0])
    assert re.search(r'class="minutes">\s*<p>(Page \d+ · )?\d+ min</p>', text)
    sidebar = text[text.index('id="quarto-sidebar"'):text.index('id="quarto-sidebar-glass"')]
    order = re.findall(r"[\w]+(?=\.ipynb)", (ROOT/"_quarto.yml").read_text())
    assert [Path(h).stem for h in re.findall(r'href="([^"#]+\.html)"', sidebar)] == [tool.page_name(Path(p)) for p in order]
    assert 'href="index.html"' in text[:text.index('id="quarto-sidebar"')] # home, in the navbar
    exported = [s for s, _ in cells(path) if re.search(r"^#\| exports", s, re.M) and not re.search(r"^#\| hide", s, re.M)]
    assert text.count("<summary>Exported source</summary>") + text.count("<summary>Imports</summary>") == len(exported)
    for s in exported:
        for name in re.findall(r"^(?:def|class) ([a-zA-Z]\w*)", s, re.M): assert f'<h3 id="{name.lower()}" class="anchored api"' in text
    for s, _ in cells(path):
        if alt := re.search(r"^#\| fig-alt: *[\"']?(.*?)[\"']?$", s, re.M): assert f'alt="{html.escape(alt[1])}"' in text
        if re.search(r"^#\| hide$", s, re.M): assert s.splitlines()[-1] not in visible(text)
    for s, c in cells(path):
        for o in c["outputs"]:
            if "</picture>" in (film := tool.text(o.get("data", {}).get("text/html"))): assert re.search(r"<picture>.*</picture>", film, re.S)[0] in text


def test_mathematics(site):
    text = page(site, "gradient_descent")
    assert text.count("<math") >= 10 and r"\(" not in text and r"\[" not in text and "katex" not in text
    assert '<math display="block"' in text


def documentation(text, name):
    "What stands between the heading of `name` and its source, in words."
    start = text.index(f'id="{name.lower()}" class="anchored api"')
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
    assert re.search(r'<a href="minibatches\.html#fit"[^>]*><code>fit</code>', page(site, "index"))
    assert re.search(r'<a href="painting\.html#paint"[^>]*><code>paint</code>', page(site, "index")) # the function, not the command
    assert not re.search(r'href="[^"]*#_', page(site, "pictures"))


FAULTS = {
    '<a href="nowhere.html">x</a>': "nowhere.html is not there",
    '<a href="index.html#nowhere">x</a>': "index.html#nowhere has no such place",
    '<a href="#nowhere">x</a>': "#nowhere has no such place",
    '<a href="/index.html">x</a>': "starts at the root of a server",
    '<a href="../secret.html">x</a>': "leaves the site",
    '<img src="https://example.org/x.png" alt="x">': "https://example.org/x.png is loaded from the network",
    '<script src="//example.org/x.js"></script>': "//example.org/x.js is loaded from the network",
    "<style>@import url(https://example.org/x.css);</style>": "https://example.org/x.css is loaded from the network",
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

@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no test in a browser")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if not program: pytest.skip("no chromium on the PATH: no test in a browser")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with playwright.sync_playwright() as p: yield p.chromium.launch(executable_path=program, args=flags)


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


# pictures that are broken or wider than their column, and text whose contrast is under WCAG AA: 4.5, or 3 if it is large
LOOK = """() => {
  const faults = [], rgba = c => (c.match(/[\\d.]+/g) || []).map(Number), column = document.querySelector("main").getBoundingClientRect();
  for (const img of document.images) {
    if (!img.naturalWidth) faults.push("broken picture " + img.alt);
    if (img.getBoundingClientRect().right > column.right + 1) faults.push("wide picture " + img.alt);
  }
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v/12.92 : ((v + .055)/1.055)**2.4); return .2126*r + .7152*g + .0722*b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c.length == 3) return c; } return [255, 255, 255]; };
  const seen = new Set();
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) || !e.checkVisibility() || e.closest("annotation, script, style")) continue;
    const s = getComputedStyle(e), size = parseFloat(s.fontSize), large = size >= 24 || size >= 18.66 && s.fontWeight >= 700;
    const [a, b] = [light(rgba(s.color).slice(0, 3)), light(behind(e))].sort((x, y) => y - x), ratio = (a + .05)/(b + .05);
    if (ratio < (large ? 3 : 4.5)) seen.add(`contrast ${ratio.toFixed(1)} of ${e.tagName} ${e.className}: ${e.textContent.slice(0, 30)}`);
  }
  return faults.concat([...seen]);
}"""


def test_browser(browser, address, site):
    for mode, width in [("light", 390), ("dark", 1280)] if address.startswith("file") else [("dark", 390), ("light", 1280)]:
        context, noise = browser.new_context(viewport=dict(width=width, height=844), color_scheme=mode, reduced_motion="reduce"), []
        tab = context.new_page()
        tab.on("console", lambda m: noise.append(m.text) if m.type in ("error", "warning") else None)
        tab.on("pageerror", lambda e: noise.append(str(e)))
        tab.on("requestfailed", lambda r: None if r.failure == "net::ERR_ABORTED" else noise.append(f"failed: {r.url}")) # cut off by going to the next page
        tab.on("request", lambda r: None if r.url.startswith((address, "data:")) else noise.append(f"outside: {r.url}"))
        for path in sorted(site.glob("*.html")):
            tab.goto(f"{address}/{path.name}")
            tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert tab.evaluate("document.documentElement.classList.contains('quarto-dark')") == (mode == "dark")
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, f"{path.name} is wider than {width} px"
            assert tab.evaluate(LOOK) == [], f"{path.name}, {mode}, {width} px"
        tab.goto(f"{address}/index.html")
        assert tab.evaluate("document.querySelector('picture img').currentSrc == document.querySelector('picture source').srcset") # the still, where motion is not wanted
        tab.fill("input[type=search]", "gradient")
        tab.wait_for_selector(".search-result")
        tab.click(".search-result")
        tab.wait_for_url(re.compile(r"/(?!index)\w+\.html"))
        assert "gradient" in tab.inner_text("main").lower()
        tab.click(".quarto-color-scheme-toggle")
        tab.wait_for_function("dark => document.documentElement.classList.contains('quarto-dark') != dark", arg=mode == "dark")
        assert noise == []
        context.close()
