"""Name what stands in Redis, and the channels there; docs/redis.md gives a user rights to these."""

PREFIX = "theeye-sync"  # of every name in Redis that is ours
UNHEARD_NAME = f"{PREFIX}:unheard"  # tells `theeye-sync check`

FINISHED = "*:job-finished:*"  # TheEye's: a job has ended
CHANGED = "*:job-crud:*"  # TheEye's: a job has changed
WORKFLOW_FINISHED = "*:workflow-job-finished:*"  # TheEye's: a workflow's job has ended; its steps are jobs themselves
WORKFLOW_CHANGED = "*:workflow-job-crud:*"  # TheEye's: a workflow's job has changed
# Ours: a request in the history guard's queue has got its slot. `turn` stays: processes of older versions use it too.
SLOT_GIVEN = f"{PREFIX}:turn:*"
PATTERNS = (FINISHED, WORKFLOW_FINISHED, CHANGED, WORKFLOW_CHANGED, SLOT_GIVEN)  # all that the service subscribes to
FLUSHED = b"__redis__:invalidate"  # Redis's own: with `CLIENT TRACKING`, null is sent there when all is deleted
