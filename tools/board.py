"""Draw nbs/data/board.png, what TensorBoard shows of a painting in training. Needs `pip install tensorboard` besides '.[dev]', and Chromium."""
from __future__ import annotations

import io, re, shutil, subprocess, sys, tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from skimage import data

from cadl_flax.painting import paint_chunks
from cadl_flax.pictures import shrink
from cadl_flax.tracking import keep

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for _ in keep(paint_chunks(shrink(data.astronaut(), 128), n_epochs=40), Path(folder)/"astronaut", seconds=0, board=True): pass
        server = subprocess.Popen([sys.executable, "-m", "tensorboard.main", "--logdir", folder, "--port", "0", "--load_fast", "false"], stderr=subprocess.PIPE, text=True)
        try:
            url = next(m[0] for line in server.stderr if (m := re.search(r"http://\S+", line)))
            with sync_playwright() as p:
                browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                page = browser.new_page(viewport=dict(width=1000, height=1500))
                page.goto(f"{url}#timeseries")
                page.get_by_role("button", name="Close side pane").click()
                page.wait_for_timeout(8_000) # the cards are drawn one after the other
                shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
                browser.close()
        finally: server.terminate()
    shot.quantize(48, dither=Image.Dither.NONE).save(ROOT/"nbs/data/board.png", optimize=True)


if __name__ == "__main__": main()
