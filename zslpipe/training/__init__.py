"""All that a method is given and calls."""
