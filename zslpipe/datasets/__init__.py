"""A user's files become index.h5, words.h5 and lists of images."""
