"""Files that are there whole or not at all, and that tell whether they are as they were written."""

import json
import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: bytes, lasting: bool = True) -> None:
    """Write a file under a name of its own, make sure that it is on the disk, and put it in its place.

    Whoever reads sees the old file or the new one, whatever happens meanwhile: the process is killed, the disk is
    full, or another process writes the same file.

    Parameters
    ----------
    path : Path
        Where to; what is there is replaced.
    content : bytes
        What to write.
    lasting : bool
        Whether to wait until it is on the disk, so that it outlives a failure of the machine.

    Raises
    ------
    OSError
        If it cannot be written; the file that was there before is as it was.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    if not lasting:
        return
    with suppress(OSError):  # folders cannot be opened everywhere
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def seal(content: bytes, about: dict[str, Any]) -> bytes:
    """Return content with a last line that says what it is about, and a digest of both."""
    label = json.dumps(about, sort_keys=True)
    digest = sha256(content + label.encode()).hexdigest()
    return b"%s\n%s %s" % (content, digest.encode(), label.encode())


def unseal(data: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return sealed content, and what it is about.

    Raises
    ------
    ValueError
        If there is no seal, or content or seal are not as they were written.
    """
    content, _, seal_line = data.rpartition(b"\n")
    digest, _, label = seal_line.partition(b" ")
    if sha256(content + label).hexdigest().encode() != digest:
        raise ValueError("its digest is missing, or is not that of its content")
    return content, dict(json.loads(label))


def fingerprint(record: Any) -> str:
    """Return a digest of a record that JSON knows, whatever the order of its keys."""
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
