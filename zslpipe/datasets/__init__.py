"""The adapters: each reads one layout of files and writes one ``index.h5`` (:mod:`zslpipe.index`)."""
