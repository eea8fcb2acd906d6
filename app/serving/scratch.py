"""Find a directory for temporary files if the root is read-only, as in many containers.

gunicorn's workers report to the master through a file, and prometheus_client stores metrics in files.
"""

import os
import tempfile

SHARED_MEMORY = "/dev/shm"  # a container has it even with a read-only root


def prepare() -> None:
    """Use SHARED_MEMORY for temporary files if no other directory is writable. Raise SystemExit if it is not either."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        os.environ["TMPDIR"] = SHARED_MEMORY  # the workers inherit it
        try:
            tempfile.gettempdir()
        except FileNotFoundError:
            words = f"no directory for temporary files can be written: one of /tmp, {SHARED_MEMORY} or TMPDIR must be"
            raise SystemExit(f"theeye-sync: {words}") from None
