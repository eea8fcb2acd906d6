"""Give the memory of large answers back to the operating system."""

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE_BYTES = 1 << 20


def give_back_large_blocks() -> None:
    """Let malloc map what is large by itself, so that freeing it returns it; elsewhere than with glibc do nothing.

    glibc's own limit grows to 32 MiB with what is freed (mallopt(3)): a process would keep what it once took.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
