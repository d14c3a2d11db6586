"""Tables, from files of the chain."""
