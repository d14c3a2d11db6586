"""The methods: one paper, one file; what a file has to offer is described in :mod:`zslpipe.method_source`."""
