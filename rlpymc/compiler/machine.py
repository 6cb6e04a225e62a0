"""Machine code: functions in LLVM's language made to run, and kept on disk for the next process.

What is on disk is found by a fingerprint of the function's text, the version of the compiler and the processor, and is
used only if it is unchanged: each file starts with a fingerprint of the rest.  A file that is not, for whatever reason,
is made anew.  A fingerprint is no signature: files and folders that somebody else can write are not used at all.  Where
nothing can be written, every process compiles for itself.
"""

import ctypes
import errno
import os
import re
import stat
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from rlpymc.storage import write_whole

RECIPE = 1  # to be counted up when `_compile` changes
MOST_FILES = 2000  # the oldest are removed beyond
OWN_FILE = re.compile("[0-9a-f]{64}[.]o")  # whatever else lies in the folder is not ours to remove


class CacheWarning(UserWarning):
    """Machine code is not kept, as others could change it."""


def folder() -> Path:
    """Folder of machine code: the environment's RLPYMC_CACHE, or one in the user's folder for caches."""
    if chosen := os.environ.get("RLPYMC_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "rlpymc"


class Machine:
    """Functions in LLVM's language, compiled.

    Parameters
    ----------
    text : str
        A module, whose functions take one address each and return nothing.
    wide : bool
        Whether to use vectors of 64 bytes, where there are any; numbers one by one do better without them.
    """

    def __init__(self, text: str, wide: bool = True) -> None:
        key = fingerprint(text, wide)
        code = _read(key)
        if code is None:
            code = _compile(text, wide)
            _write(key, code)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target(wide))  # owns the memory
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """A function's address."""
        return int(self._engine.get_function_address(name))

    @lru_cache(maxsize=2048)  # noqa: B019  machines are kept anyway, see `load`
    def function(self, name: str) -> Callable[[int], None]:
        """Return a function; calls of it release Python's lock."""
        return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address(name))


@lru_cache(maxsize=512)
def load(text: str, wide: bool = True) -> Machine:
    """Return a module's functions, compiled once in a process, and seldom in a machine's life."""
    return Machine(text, wide)


def fingerprint(text: str, wide: bool = True) -> str:
    """Key of machine code: a digest of the text, the compiler and its options, and the processor."""
    versions = (RECIPE, llvmlite.__version__, llvm.llvm_version_info, sys.platform, *_processor(wide))
    return sha256(repr((versions, text)).encode()).hexdigest()


@cache
def _processor(wide: bool) -> tuple[str, str, str]:
    features = llvm.get_host_cpu_features()
    if not wide:
        features.update({name: False for name in features if name.startswith("avx512")})
    return llvm.get_process_triple(), llvm.get_host_cpu_name(), features.flatten()


def _target(wide: bool) -> Any:
    """Return a new target machine: engines take theirs over."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple, cpu, features = _processor(wide)
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )


def _compile(text: str, wide: bool) -> bytes:
    module, machine = llvm.parse_assembly(text), _target(wide)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.slp_vectorization = False  # the code is made of vectors
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return bytes(machine.emit_object(module))


def _read(key: str) -> bytes | None:
    """Machine code from the cache, or None if there is none, it is not ours alone, or its digest does not match."""
    try:
        place = _own_folder()
        if place is None:
            return None
        # A link or a pipe in the file's place is not followed, nor waited for.
        file = os.open(place / f"{key}.o", os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, RuntimeError) as problem:  # there is no such file, or no home folder
        if getattr(problem, "errno", None) == errno.ELOOP:
            _doubt(f"{folder() / f'{key}.o'} is a link")
        return None
    if not _is_ours(os.fstat(file), stat.S_ISREG):
        os.close(file)
        _doubt(f"{place / f'{key}.o'} is not a file that only we can write")
        return None
    with os.fdopen(file, "rb") as opened:
        content = opened.read()
    digest, code = content[:32], content[32:]
    return code if sha256(key.encode() + code).digest() == digest else None


def _write(key: str, code: bytes) -> None:
    with suppress(OSError, RuntimeError):  # a disk that is full or locked costs time alone
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        place = _own_folder()
        if place is None:
            return
        # What a failure of the machine spoils is made anew: no kernel waits for the disk.
        write_whole(place / f"{key}.o", sha256(key.encode() + code).digest() + code, lasting=False)
        own = [file for file in place.iterdir() if OWN_FILE.fullmatch(file.name)]
        if len(own) > MOST_FILES:
            own.sort(key=lambda file: file.lstat().st_mtime)
            for old in own[:-MOST_FILES]:
                old.unlink(missing_ok=True)


def _own_folder() -> Path | None:
    """Return the folder of machine code, or None, with a warning, if others can put files into it."""
    place = folder()
    if place.exists() and not place.is_dir():
        return None  # nothing can be kept there, by nobody
    if not _is_ours(os.stat(place), stat.S_ISDIR):
        _doubt(f"{place} is not a folder that only we can write")
        return None
    return place


def _is_ours(found: os.stat_result, kind: Callable[[int], bool]) -> bool:
    """Whether a file or folder is of a kind, belongs to us, and can be written by nobody else."""
    if not kind(found.st_mode):
        return False
    if sys.platform == "win32":  # where owners and modes are not told by stat
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@cache
def _doubt(what: str) -> None:
    """Warn, once in a process, that the cache is not used."""
    warnings.warn(
        f"machine code is compiled anew in each process: {what}; make it yours alone (chmod go-w), remove it, or name "
        "another folder in the environment's RLPYMC_CACHE",
        CacheWarning,
        stacklevel=2,
    )
