"""Build the site from the notebooks and check it; make README.md from nbs/index.ipynb.

    python tools/site.py                    build the site into _docs, without Quarto, and check it
    python tools/site.py --out site         into another folder
    python tools/site.py --quarto           render with the Quarto program, 1.8 or newer, which must
                                            be installed
    python tools/site.py --faults _docs     build nothing, check a site that is built
    python tools/site.py --readme           write README.md and README_files/
    python tools/site.py --readme --check   write nothing: are they what index.ipynb gives?

Nothing is executed: the stored outputs of the notebooks are the site, and the documentation of
exported names is read from their source. The pages work from disk and without a network. The check
follows every link of every page and prints each fault as `page: fault`.
Exit code 0: all is well; 1: faults; 2: the site cannot be built.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from website.check import faults
from website.finish import finish_site
from website.markdown import write_readme
from website.notebooks import stage
from website.project import ROOT, Stop
from website.render import render, render_with_quarto


def build(out: Path, quarto: bool):
    "Build the site into the folder `out`, in place of what an earlier build left there."
    if out.exists() and any(out.iterdir()) and not (out / "site_libs").is_dir():
        raise Stop(f"{out} holds something else than a built site: give another --out")
    if quarto and not shutil.which("quarto"):
        raise Stop(
            "there is no `quarto` on the PATH: install it from https://quarto.org, "
            "or leave out --quarto"
        )
    with tempfile.TemporaryDirectory() as tmp:
        staged, pages = stage(Path(tmp))
        site = (render_with_quarto if quarto else render)(staged)
        finish_site(site, pages)
        if out.exists():
            shutil.rmtree(out)
        shutil.copytree(site, out)


def parse_arguments() -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    args = argparse.ArgumentParser("site.py", description=__doc__, formatter_class=formatter)
    default = ROOT / "_docs"
    args.add_argument("--out", type=Path, default=default, help="the folder of the site (_docs)")
    args.add_argument("--quarto", action="store_true", help="render with the Quarto program")
    checked = "build nothing, check the built site in this folder"
    args.add_argument("--faults", type=Path, metavar="SITE", help=checked)
    readme = "no site: write README.md and README_files/"
    args.add_argument("--readme", action="store_true", help=readme)
    compared = "with --readme: write nothing, only compare"
    args.add_argument("--check", action="store_true", help=compared)
    return args.parse_args()


def make_readme(check: bool) -> int:
    "Write README.md, or only compare it."
    differ = write_readme(check)
    for path in differ:
        print(f"{path}: {'is not what index.ipynb gives' if check else 'written'}")
    print(f"{len(differ)} files differ")
    return 1 if check and differ else 0


def main() -> int:
    args = parse_arguments()
    site = (args.faults or args.out).resolve()
    os.chdir(ROOT)
    if args.readme:
        return make_readme(args.check)
    try:
        began = time.time()
        if not args.faults:
            build(site, args.quarto)
            print(f"{site}: {len(list(site.rglob('*.html')))} pages ({time.time() - began:.0f} s)")
        found = faults(site)
    except Stop as error:
        print(f"site.py: {error}", file=sys.stderr)
        return 2
    print(*found, f"{len(found)} faults", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
