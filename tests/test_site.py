"The built site: links, documentation, mathematics, and how it does in a browser. CADL_FLAX_SITE names a folder with a site that is built already."
import functools, html, http.server, importlib.util, json, os, re, shutil, subprocess, sys, threading
from pathlib import Path

import numpy as np, pytest
from skimage.io import imread, imsave

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
    assert re.search(rf'class="minutes">\s*<p>(Page \d+ · )?\d+ min · <a href="notebooks/{path.name}" download', text)
    assert (site/"notebooks"/path.name).read_bytes() == path.read_bytes()
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
        if alt := re.search(r"^#\| fig-alt: *[\"']?(.*?)[\"']?$", s, re.M): assert f'alt="{alt[1]}"' in html.unescape(text)
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
    if ((img.closest(".cell-output-display") || img).getBoundingClientRect().right > column.right + 1) faults.push("wide picture " + img.alt);
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


def test_pages(browser, address, site):
    for mode, width in [("light", 390), ("dark", 1280)] if address.startswith("file") else [("dark", 390), ("light", 1280)]:
        tab, noise = visit(browser, address, mode, width)
        for path in sorted(site.glob("*.html")):
            tab.goto(f"{address}/{path.name}")
            tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert is_dark(tab) == (mode == "dark")
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, f"{path.name} is wider than {width} px"
            assert tab.evaluate(LOOK) == [], f"{path.name}, {mode}, {width} px"
            assert tab.evaluate("[...document.querySelectorAll('math')].filter(m => !m.getBoundingClientRect().height).length") == 0, f"{path.name}: a formula is not drawn"
        assert noise == []
        tab.context.close()


@pytest.mark.parametrize("mode, width", [("dark", 390), ("light", 1280)])
def test_accessibility(browser, site, mode, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed: no accessibility check").Axe()
    # contrast is looked at in every state of every page above, and faster
    tab, only, found = *visit(browser, site.as_uri(), mode, width)[:1], {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": False}}}, set()
    for path in sorted(site.glob("*.html")) if width > 1000 else [site/"index.html", site/"live.html"]:
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
        assert is_dark(tab) != (mode == "dark") # it is remembered
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
            if alt := re.search(r"^#\| fig-alt: *[\"']?(.*?)[\"']?$", s, re.M): assert f"*Figure: {alt[1]}*" in text
            if re.search(r"^#\| exports$", s, re.M): assert re.sub(r"^#\|.*\n", "", s, flags=re.M).strip() in text


def test_an_address_adds_links(tmp_path):
    "With the publishing setting filled in, each page can be opened in Colab, and the commit at its foot leads to it."
    for name in ("settings.ini", "_quarto.yml", "tools", "nbs"): (shutil.copytree if (ROOT/name).is_dir() else shutil.copy)(ROOT/name, tmp_path/name)
    for path in tmp_path.glob("nbs/*.ipynb"): # what they show does not matter here
        nb = json.loads(path.read_text())
        path.write_text(json.dumps({**nb, "cells": nb["cells"][:3]}))
    settings = (tmp_path/"settings.ini").read_text()
    assert "colab" not in run("--out", tmp_path/"site", root=tmp_path).stdout and "colab" not in page(tmp_path/"site", "pictures")
    (tmp_path/"settings.ini").write_text(settings.replace("\ngit_url =", "\ngit_url = https://github.com/someone/cadl_flax"))
    run("--out", tmp_path/"site", root=tmp_path)
    text = page(tmp_path/"site", "pictures")
    assert 'href="https://colab.research.google.com/github/someone/cadl_flax/blob/main/nbs/00_pictures.ipynb">Open in Colab</a>' in text
    assert "%pip install git+https://github.com/someone/cadl_flax" in text


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
