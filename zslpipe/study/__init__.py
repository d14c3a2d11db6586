"""The configuration and what follows from it; asked by the Snakefile."""
