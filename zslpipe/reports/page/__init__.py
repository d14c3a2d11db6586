"""The page that a run ends with, one module a section."""
