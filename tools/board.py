"""Draw nbs/data/board.png: what TensorBoard shows of a painting in training.

    pip install tensorboard && python tools/board.py

It needs Chromium too.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from skimage import data

from cadl_flax.checkpoints import keep
from cadl_flax.painting import paint_chunks
from cadl_flax.pictures import shrink

ROOT = Path(__file__).resolve().parents[1]


def train(folder: Path) -> None:
    "Paint the astronaut, and log it for TensorBoard."
    paintings = paint_chunks(shrink(data.astronaut(), 128), n_epochs=40)
    for _ in keep(paintings, folder / "astronaut", seconds=0, board=True):
        pass  # a run is logged when the next one is asked for


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    "Serve the logs in a folder; the address."
    program = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    options = ["--port", "0", "--load_fast", "false"]
    server = subprocess.Popen(program + options, stderr=subprocess.PIPE, text=True)
    try:
        addresses = (re.search(r"http://\S+", line) for line in server.stderr)
        yield next(found[0] for found in addresses if found)
    finally:
        server.terminate()


def screenshot(url: str) -> Image.Image:
    "The time series that TensorBoard shows at an address."
    with sync_playwright() as p:
        program = shutil.which("chromium")
        browser = p.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport=dict(width=1000, height=1500))
        page.goto(f"{url}#timeseries")
        page.get_by_role("button", name="Close side pane").click()
        page.wait_for_timeout(8_000)  # the cards are drawn one after the other
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    return picture


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder))
        with tensorboard(Path(folder)) as url:
            picture = screenshot(url)
    few_colours = picture.quantize(48, dither=Image.Dither.NONE)
    few_colours.save(ROOT / "nbs" / "data" / "board.png", optimize=True)


if __name__ == "__main__":
    main()
