"""Photographs that no weight was trained on, for what the benchmarks judge.

    python benchmarks/photographs.py FOLDER

They are wallpapers of Debian's packages, under free licences that stand in each package, and are
fetched by `apt-get download`. Each becomes a PNG whose longer side has 768 pixels, about a third of
its own, so that nothing of its JPEG is left. Of the two groups, settings were chosen on `chosen`
alone; `judged` was kept for the end.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PACKAGES = """
    lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 mate-backgrounds
    plasma-workspace-wallpapers""".split()
BACKGROUNDS = "usr/share/backgrounds"
WALLPAPERS = "usr/share/wallpapers/{}/contents/images/2560x1600.jpg"
JUDGED = {
    "dragonfly": f"{BACKGROUNDS}/Dragonfly_by_Bolly.jpg",
    "nuthatch": f"{BACKGROUNDS}/Kleiber_by_Lukas_Baubkus.jpg",
    "brushes": f"{BACKGROUNDS}/Picture_1A_by_freespace.jpg",
    "drum": f"{BACKGROUNDS}/Wine_by_Jakkub_Mede.jpg",
    "dogs": f"{BACKGROUNDS}/friends_by_Aitzol_Berasategi.jpg",
    "mountain": f"{BACKGROUNDS}/picosdeeuropa_by_Aitzol_Berasategi.jpg",
    "clock": f"{BACKGROUNDS}/greentock_by_Peter_Nerlich.jpg",
    "boats": WALLPAPERS.format("EveningGlow"),
    "roof": WALLPAPERS.format("Grey"),
    "leaf": WALLPAPERS.format("FallenLeaf"),
}
CHOSEN = {
    "hills": f"{BACKGROUNDS}/aitzgorri_by_Aitzol_Berasategi.jpg",
    "stream": f"{BACKGROUNDS}/life_by_Aitzol_Berasategi.jpg",
    "sunset": f"{BACKGROUNDS}/sunset_by_Aitzol_Berasategi.jpg",
    "bridge": f"{BACKGROUNDS}/Bridge_by_Sander_Klootwijk.jpg",
    "fig": f"{BACKGROUNDS}/Picture_0B_by_freespace.jpg",
    "dune": f"{BACKGROUNDS}/mate/nature/Dune.jpg",
    "cups": WALLPAPERS.format("ColorfulCups"),
    "moss": WALLPAPERS.format("OneStandsOut"),
}
LONGER_SIDE = 768  # pixels


def shrunk(path: Path) -> Image.Image:
    "The photograph, each pixel the mean of an area."
    photograph = Image.open(path).convert("RGB")
    scale = LONGER_SIDE / max(photograph.size)
    size = [round(scale * side) for side in photograph.size]
    how = Image.Resampling.BOX if scale < 0.5 else Image.Resampling.LANCZOS
    return photograph.resize(size, how)


def fetch(folder: Path) -> None:
    "Write both groups of photographs, each into a folder of its own."
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=unpacked, check=True)
        for package in Path(unpacked).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        for group, photographs in dict(judged=JUDGED, chosen=CHOSEN).items():
            (folder / group).mkdir(parents=True, exist_ok=True)
            for name, path in photographs.items():
                shrunk(Path(unpacked, path)).save(folder / group / f"{name}.png")


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
