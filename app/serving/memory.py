"""Return the memory of large answers to the operating system."""

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE_BYTES = 1 << 20


def give_back_large_blocks() -> None:
    """Make malloc use a separate mapping for each large block, which it unmaps when the block is freed (mallopt(3)).

    By default glibc raises the limit to 32 MiB as blocks are freed, and the process keeps their memory. Do nothing
    without glibc.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
