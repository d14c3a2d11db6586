"""A method as configured, on a dataset, from a seed."""
