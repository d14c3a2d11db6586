"""Generalized zero-shot recognition: published methods, one feature cache, one command."""
