"""Networks, and parts of networks, that know no data."""
