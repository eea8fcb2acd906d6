"""Define the names and channels in Redis; docs/redis.md gives a user the rights to them."""

PREFIX = "theeye-sync"  # every name of this service in Redis begins with it
UNHEARD_NAME = f"{PREFIX}:unheard"  # set while notifications are missing, for `theeye-sync check`

FINISHED = "*:job-finished:*"  # TheEye's: a job has ended
CHANGED = "*:job-crud:*"  # TheEye's: a job has changed
WORKFLOW_FINISHED = "*:workflow-job-finished:*"  # TheEye's: a workflow's job has ended; its steps are jobs, too
WORKFLOW_CHANGED = "*:workflow-job-crud:*"  # TheEye's: a workflow's job has changed
# Ours: a request in the history guard's queue has got its slot. The word `turn` stays, since older versions use it.
SLOT_GIVEN = f"{PREFIX}:turn:*"
PATTERNS = (FINISHED, WORKFLOW_FINISHED, CHANGED, WORKFLOW_CHANGED, SLOT_GIVEN)  # all subscriptions of the service
FLUSHED = b"__redis__:invalidate"  # Redis's: with `CLIENT TRACKING` it sends null there when all keys are deleted
