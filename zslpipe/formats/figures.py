"""A figure's two files: a picture at the size of a screen, and a page of vectors for a paper."""

SCREEN, PAPER = "webp", "pdf"
FIGURE_SUFFIXES = (SCREEN, PAPER)
