"""From files of the chain to what is read by people."""
