"""What a file that is named as weights is, told from its bytes, and why torch does not load it."""

import re
from pathlib import Path

# How files begin that are no weights but are named so (bytes of a dump, a page, a pointer).
BEGINNINGS = {
    b"\x89HDF": "it is an HDF5 file (of Keras?)",
    b"version https://git-lfs": "it is a pointer of git-lfs: run git lfs pull",
    b"\x1f\x8b": "it is compressed (gzip): unpack it",
    b"<": "it is a web page: the download did not work",
    b"{": "it is JSON",
    b"\x80": "it is a pickle that torch.save did not write, or is cut off",
}
UNSAFE = re.compile(r"Unsupported (?:global|class|operand)[^.]*?: GLOBAL ([\w.]+)|GLOBAL ([\w.]+)")


def is_safetensors(path: Path) -> bool:
    """Return whether a file is of safetensors, whatever its name: the length of its header (8
    bytes), which is JSON.
    """
    with path.open("rb") as file:
        beginning = file.read(9)
    length = int.from_bytes(beginning[:8], "little")
    return beginning[8:] == b"{" and 0 < length < path.stat().st_size


def kind_of(path: Path) -> str:
    """Return what a file that is not loaded seems to be."""
    with path.open("rb") as file:
        beginning = file.read(64).lstrip()
    for known, kind in BEGINNINGS.items():
        if beginning.startswith(known):
            return kind
    return "cut off, or no file of weights" if beginning else "it is empty"


def reason_of(said: str) -> str:
    """Return why torch does not load a file, in a few words; "" where it does not tell."""
    unsafe = UNSAFE.search(said)
    if unsafe:
        kind = unsafe[1] or unsafe[2]
        return f"it holds a {kind} beside tensors, which could run foreign code and is not loaded"
    if "TorchScript" in said:
        return "it is a TorchScript archive"
    if "Can only" in said:  # fill a dictionary or list of a kind of its own
        return "it holds more than tensors, which is not loaded"
    return ""
