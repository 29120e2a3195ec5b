"""The site of the project, made from the notebooks and `_quarto.yml`, with Quarto or without.

Each module imports only from those above it:

    project    the folder of the project, and where it is published
    pages      which notebooks are pages, in which order, and under which names
    api        documentation of exported names, read from their source
    notebooks  notebooks as a renderer wants them
    markdown   notebooks as Markdown: twins of the pages, llms.txt, README.md
    render     HTML, by smalldocs or by Quarto
    finish     what a rendered page lacks: formulas, downloads, work without a network
    check      faults of a built site
"""
