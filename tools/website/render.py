"HTML from the staged notebooks, by smalldocs or by Quarto."

import subprocess
from pathlib import Path

from website.project import Stop

FOR_QUARTO = ("html-math-method", "respect-user-color-scheme")  # smalldocs warns of them


def render(folder: Path) -> Path:
    "Render the staged notebooks with smalldocs, and return the folder of the site."
    from smalldocs.config import BuildError, ConfigError
    from smalldocs.site import build

    try:
        site = build(folder, quiet=True)
    except (BuildError, ConfigError) as error:
        raise Stop(str(error)) from error
    expected = tuple(f"format.html.{key} is ignored" for key in FOR_QUARTO)
    unexpected = [warning for warning in site.warnings if not warning.endswith(expected)]
    if unexpected:
        raise Stop("; ".join(unexpected))
    return site.out


def render_with_quarto(folder: Path) -> Path:
    "Render the staged notebooks with the Quarto program, and return the folder of the site."
    command = ["quarto", "render", folder, "--no-execute"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Stop(f"quarto render failed\n{done.stdout}")
    for line in done.stdout.splitlines():
        if "WARN" in line:
            print(line)
    return folder / "_site"
