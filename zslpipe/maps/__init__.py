"""From attention maps alone, numpy."""
