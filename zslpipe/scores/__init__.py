"""From score matrices alone, numpy."""
