"""One layout of datasets a file; a new dataset is one file here."""
