"""Find a directory for temporary files where the root is read-only, as containers have it.

gunicorn's workers tell the master through a file that they live, metrics are kept in files, and large forms too.
"""

import os
import tempfile

SHARED_MEMORY = "/dev/shm"  # a container has it even where its root is read-only


def prepare() -> None:
    """Let temporary files go to SHARED_MEMORY where no other directory can be written. Raise SystemExit without any."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        os.environ["TMPDIR"] = SHARED_MEMORY  # the workers inherit it
        try:
            tempfile.gettempdir()
        except FileNotFoundError:
            words = f"no directory for temporary files can be written: one of /tmp, {SHARED_MEMORY} or TMPDIR must be"
            raise SystemExit(f"theeye-sync: {words}") from None
