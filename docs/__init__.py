"""The documentation: pages written by hand, and in generated/ what makes the others."""
