"""What a file that is named as weights is, told from its bytes, and why torch does not load it."""

import re
from pathlib import Path

SHARDED = "it is the list of weights that lie in several files", "put them into one"
SAVE, COPY = "save network.state_dict()", "take another copy"
POINTER = b"version https://git-lfs"
# How files begin that are no weights but are named so (bytes of a dump, a page, a pointer), and
# what to do.
BEGINNINGS = {
    b"\x89HDF": ("it is an HDF5 file (of Keras?)", "take weights of torch"),
    POINTER: ("it is a pointer of git-lfs", "run git lfs pull"),
    b"\x1f\x8b": ("it is compressed (gzip)", "unpack it"),
    b"PK": ("it is a zip file that torch did not write", "unpack it and name the file in it"),
    b"<": ("it is a web page: the download did not work", "download the file itself"),
    b'{"metadata"': SHARDED,
    b'{"weight_map"': SHARDED,
    b"{": ("it is JSON", "name the file of weights beside it"),
    b"\x80": ("it is a pickle that torch.save did not write, or is cut off", SAVE),
}
# A tar file says so at this byte (POSIX.1-1988, ustar).
TAR, TAR_BYTE = b"ustar", 257
UNSAFE = re.compile(r"Unsupported (?:global|class|operand)[^.]*?: GLOBAL ([\w.]+)|GLOBAL ([\w.]+)")


def is_safetensors(path: Path) -> bool:
    """Return whether a file is of safetensors, whatever its name: the length of its header (8
    bytes), which is JSON.
    """
    with path.open("rb") as file:
        beginning = file.read(9)
    length = int.from_bytes(beginning[:8], "little")
    return beginning[8:] == b"{" and 0 < length < path.stat().st_size


def kind_of(path: Path) -> tuple[str, str]:
    """Return what a file that is not loaded seems to be, and what to do about it."""
    with path.open("rb") as file:
        beginning = file.read(TAR_BYTE + len(TAR))
    if beginning[TAR_BYTE:] == TAR:
        return "it is a tar file", "unpack it and name the file in it"
    plain = re.sub(rb"^\s*\{\s+", b"{", beginning).lstrip()  # JSON is indented, or not
    for known, kind in BEGINNINGS.items():
        if plain.startswith(known):
            return kind
    if is_safetensors(path):
        return "its tensors are cut off", COPY
    if not beginning:
        return "it is empty", COPY
    return "cut off, or no file of weights", f"{COPY}, or {SAVE}"


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
