"""The site of the project, made from the notebooks and `_quarto.yml`, with Quarto or without.

Each module imports only from those above it:

    project    the folder of the project, and where it is published
    pages      which notebooks are pages, in which order, and under which names
    api        documentation of exported names, read from their source
    reference  the list of all public names and commands
    experiments  figures that are experiments: their places, scripts and data
    figures    drawings of matplotlib in the font and the colours of the page
    lessons    reading time, numbers of figures, the short path, the row of astronauts
    markdown   notebooks as Markdown: twins of the pages, llms.txt, README.md
    notebooks  notebooks as a renderer wants them
    search     what the search box looks through
    render     HTML, by smalldocs or by Quarto
    reach      the keyboard's way past the frame, and buttons in it
    finish     what a rendered page lacks: formulas, downloads, work without a network
    check      faults of a built site
"""
