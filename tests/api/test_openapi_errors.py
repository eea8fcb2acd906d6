"""Test the errors in the document against the classes of app/errors.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.codes import codes_with_statuses, error_classes
from support.contract import Node, code_of, document, documented_codes, errors_of, is_error, responses_of

from app import errors
from app.errors import SyncError
from app.theeye.jobs import Job

JOB = Job("61f42186c38201da80f9a001")
RUNNING = Job(JOB.id, "assigned", "in_progress")
ENDED = Job(JOB.id, "finished", "success")
LATER = "/acme/task/61f3e937c38201da80f96c27/job/61f42186c38201da80f9a001?parse"


def failed(job: Job | None, *words: str) -> SyncError:
    error = errors.FormatterFailed("response", *words)
    error.job = job
    return error


# What raises each of the errors that the document has an example of.
ERRORS: dict[str, SyncError] = {
    "Accepted": errors.Accepted(RUNNING, 0.2, LATER, expected=4.2),
    "EINVALID": errors.BadRequest("wait must be a number of seconds, with three decimals at the most"),
    "Unauthorized": errors.Unauthorized(),
    "EORACC": errors.Forbidden("Forbidden"),
    "ENOTFOUND": errors.NotFound("Job not found"),
    "EMETHOD": errors.MethodNotAllowed("PUT", ["GET", "HEAD", "DELETE"]),
    "Refused": errors.Refused("Invalid Request", status=406, value={"message": "TheEye's own words"}),
    "ETOOSLOW": errors.TooSlow("The body came too slowly: less than 65536 bytes in 10 seconds"),
    "ESTARTING": errors.StillStarting("A request with this Idempotency-Key is still starting its job"),
    "EOUTCOMEUNKNOWN_409": errors.RunUnknown(
        "What a request with this Idempotency-Key did is unknown, its job may have started"
    ),
    "EJOBENDED": errors.AlreadyEnded("The job had already ended", job=ENDED),
    "EJOBGONE_410": errors.RunGone("The job of this Idempotency-Key is gone", job=JOB),
    "EINVALID_411": errors.BadRequest("This server cannot read chunked bodies, send a Content-Length", status=411),
    "ETOOLARGE": errors.TooLarge("The body is larger than 16777216 bytes"),
    "EMEDIATYPE": errors.UnsupportedType(
        "The body must be application/json, application/x-www-form-urlencoded or multipart/form-data"
    ),
    "EMEDIATYPE_of_a_coding": errors.UnsupportedCoding(
        "The body must be in no Content-Encoding, or in one: gzip or deflate"
    ),
    "EKEYREUSED": errors.KeyRefused("This Idempotency-Key was used for another task, workflow, body or query"),
    "ECLIENTGONE": errors.ClientGone("The client has gone", job=RUNNING),
    "EINTERNAL": SyncError("Internal Server Error"),
    "ENOKEYS": errors.NotSupported("Idempotency-Key needs SYNC_REDIS_URL, nothing was started"),
    "EGATEWAY": errors.GatewayFailed("The gateway did not answer: timed out"),
    "ESUPERVISOR": errors.Unavailable("The supervisor did not answer: timed out", job=JOB),
    "EOUTCOMEUNKNOWN_502": errors.UpstreamFailed(
        "The supervisor's answer to the create is not a job, but the job may have started", code="EOUTCOMEUNKNOWN"
    ),
    "EJOBGONE_502": errors.JobGone("TheEye no longer has the job", job=JOB),
    "EJOBTOOLARGE": errors.JobTooLarge("The job is too large: the answer has more than 67108864 bytes", job=JOB),
    "EFORMATTER": failed(ENDED, "the job's output is not JSON"),
    "EFORMATTER_without_a_job": failed(None),
    "EBUSY": errors.TooBusy("1000 requests are waiting already, nothing was started"),
    "EBUSY_about_a_job": errors.NotAsked(
        "TheEye was not asked: too many calls of this caller, task or customer are under way", job=JOB
    ),
    "TheEyeBusy": errors.TheEyeBusy("TheEye is too busy, nothing was started"),
    "EHISTORY": errors.NoFreeSlot(),
    "EKEYSDOWN": errors.KeysUnavailable(
        "Idempotency keys cannot be kept just now, nothing was started: Redis did not answer in time"
    ),
    "ETIMEISUP": errors.TimeIsUp(RUNNING, 0.2, LATER, expected=4.2),
    "EOUTCOMEUNKNOWN_504": errors.OutcomeUnknown(
        "The answer to the create was lost, the job may have started: timed out"
    ),
}


def test_it_has_every_error_code_with_its_statuses_and_nothing_else() -> None:
    documented: dict[str, set[int]] = {}
    for code, status in documented_codes(document()):
        documented.setdefault(code, set()).add(status)
    refused = documented.pop("")
    by_hand = {"EOUTCOMEUNKNOWN": {502}, "EINVALID": {411}}  # statuses that no class has, but places that raise them
    assert documented == {code: known | by_hand.get(code, set()) for code, known in codes_with_statuses().items()}
    assert {202, 400, 404, 409} <= refused


def test_the_examples_of_errors_are_what_the_classes_answer() -> None:
    examples = document()["components"]["examples"]
    shown = {name: example["value"] for name, example in examples.items() if name[0].isupper()}
    assert shown.keys() == ERRORS.keys()
    for name, error in ERRORS.items():
        assert json.dumps(shown[name]) == json.dumps(error.body()), name


def test_there_is_an_example_of_every_error_class() -> None:
    ours = {SyncError, *(error for error in error_classes() if error.__module__ == "app.errors")}
    assert len(ours) > 20
    assert {type(error) for error in ERRORS.values()} == ours


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_documented_under_its_status_with_its_code_and_headers(name: str) -> None:
    found, error = document(), ERRORS[name]
    status = "4XX" if isinstance(error, errors.Refused) else str(error.status)
    places = [
        response
        for known, response in responses_of(found)
        if known == status and error.code in codes_in(found, response) and "content" in response
    ]
    assert places
    for response in places:
        assert error.headers.keys() <= response["headers"].keys()
    assert any(name == Path(node["$ref"]).name for response in places for node in examples_in(response))


def codes_in(found: Node, response: Node) -> set[str]:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    parts = schema.get("anyOf", [schema] if schema else [])
    return {code_of(found, part) for part in parts if is_error(found, part)}


def examples_in(response: Node) -> list[Node]:
    return list(response["content"]["application/json"]["examples"].values())


def test_every_schema_of_an_error_is_used() -> None:
    found = document()
    used = [error for _, response in responses_of(found) for error in errors_of(found, response)]
    known = [node for node in found["components"]["schemas"].values() if node.get("$ref", "").endswith("/Error")]
    assert len(known) > 20
    assert all(node in used for node in known)
