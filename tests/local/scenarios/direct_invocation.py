"""Direct invocations through Lambda's Invoke API, as a CMS, a state machine or a schedule makes them.

Lambda repeats the request id when it retries an asynchronous invocation. MiniStack gives each attempt a new one, so the
retried events here have an idempotency key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial

from jsonschema import Draft202012Validator
from local_aws import COMPLETES_AFTER, PROJECT

from scenarios.s3_notifications import BUCKET as SITE
from scenarios.s3_notifications import S3Notifications
from scenarios.shared_bucket import BUCKET, SharedBucket
from scenarios.stack import TIMEOUT, Json, Mismatch, Stack, Step, expect, expect_in

SCHEMA = PROJECT / "docs/cf-invalidate.schema.json"
ATTEMPTS = 3  # the first invocation and the two retries that the stack configures

WAITING = {
    "paths": ["/blog/*"],
    "wait": "1m",
    "idempotencyKey": "publish-42",
    "requestedBy": "editor@example.com",
}
ASYNCHRONOUS = {"paths": ["/news.html"]}
# The first attempt ends after about 4 s. The invalidation completes during the second one.
RETRIED = {"paths": ["/a.html"], "wait": "5s", "onTimeout": "fail", "idempotencyKey": "publish-43"}
# All attempts end before the invalidation is completed.
FAILING = {"paths": ["/b.html"], "wait": "1s", "onTimeout": "fail", "idempotencyKey": "publish-44"}

# Events that are refused, with the error.
REFUSED: list[tuple[Json, str]] = [
    (
        {},
        'unknown event: expected a CodePipeline job ("CodePipeline.job"), an S3 notification, direct or through SQS, '
        'SNS or EventBridge, or a direct invocation ("paths", "keys" or "invalidation"), but received an empty object',
    ),
    (
        {"paths": ["/a.html"], "refrence": "release-42"},
        'direct invocation: unknown field "refrence" (did you mean "reference"?)',
    ),
    ({"keys": ["a.html"]}, 'direct invocation: "keys" needs "bucket": the name of the bucket that has the objects'),
]
NO_DISTRIBUTION = 'no distribution is named: give one in "distribution", or set DISTRIBUTION_ID'
REFUSED_WITHOUT_DISTRIBUTION: list[tuple[Json, str]] = [
    ({"paths": ["/a.html"]}, NO_DISTRIBUTION),
    ({"invalidation": "I2J0I21PCUYOIK"}, NO_DISTRIBUTION),
]

# The objects need not exist. SharedBucket explains their paths; a space has two encodings in a URL.
KEYS = ["live/index.html", "live/my photo.jpg", "preview/style.css"]
PATHS_OF_KEYS = {
    "live": ["/", "/index", "/index.html", "/my%20photo.jpg", "/my+photo.jpg", "/preview/style.css"],
    "preview": ["/style.css"],
}


class DirectInvocation:
    """Invocations for the distribution of the stack, and for those of a bucket after the stack names none."""

    def __init__(self, stack: Stack, site: S3Notifications, shared_bucket: SharedBucket) -> None:
        self._stack = stack
        self._site = site
        self._shared_bucket = shared_bucket
        self._created: Json = {}  # what the first response has about its distribution

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        without_distribution = partial(self._refuse, REFUSED_WITHOUT_DISTRIBUTION)
        return [
            ("Update the stack to the first distribution", self._update),
            ("Direct invocation: invalidate paths, and wait for completion", self._create),
            ("Direct invocation: the same event again creates nothing", self._create_again),
            ("Direct invocation: request the status of the invalidation", self._request_status),
            ("Direct invocation: asynchronous, twice without a key", self._create_asynchronously),
            ("Direct invocation: the retry of an asynchronous event finds the existing invalidation", self._retry),
            ("Direct invocation: an asynchronous event that fails three times", self._fail),
            ("Direct invocation: refused events", partial(self._refuse, REFUSED)),
            ("Direct invocation: keys, after an update of the stack to name no distribution", self._create_for_keys),
            ("Direct invocation: refused events, because no distribution is named", without_distribution),
        ]

    def _update(self) -> None:
        self._stack.reset_standin()
        self._stack.update({"DistributionId": self._site.distribution, "SourceBucket": SITE})

    def _create(self) -> None:
        response = self._respond(WAITING, "create")
        request = self._stack.cloudfront_received((self._site.distribution, WAITING["paths"]))[0]
        self._created = response["distributions"][0]
        seconds = self._created["seconds"]
        expect(f"that {seconds} s is the time until completion", True, COMPLETES_AFTER - 1 <= seconds < TIMEOUT)
        self._check_response(response, request, reused=False)
        self._check_log(self._new_invocations(1)[0], WAITING["requestedBy"])

    def _create_again(self) -> None:
        response = self._respond(WAITING, "create")
        request = self._stack.cloudfront_received((self._site.distribution, WAITING["paths"]))[0]
        expect("id of the invalidation", self._created["id"], request["id"])
        expect("creation of the invalidation", self._created["created"], response["distributions"][0]["created"])
        self._check_response(response, request, reused=True)
        self._check_log(self._new_invocations(1)[0], WAITING["requestedBy"])

    def _request_status(self) -> None:
        response = self._respond({"invalidation": self._created["id"]}, "status_result")
        names = ["distribution", "id", "created", "reference", "status", "paths", "invalidation"]
        invalidation = {name: self._created[name] for name in names}
        expected = {"invalidations": [invalidation], "exit_code": 0, "error": None}
        expect("response", expected, response)
        self._stack.print_detail("response", f"{invalidation['id']} {invalidation['status']}")
        self._check_log(self._new_invocations(1)[0])
        self._stack.cloudfront_received_nothing()

    def _create_asynchronously(self) -> None:
        references = set()
        for _ in range(2):
            self._send(ASYNCHRONOUS)
            request = self._stack.cloudfront_received((self._site.distribution, ASYNCHRONOUS["paths"]))[0]
            references.add(request["reference"])
            lines = self._new_invocations(1)[0]
            self._check_log(lines)
            expect_in("message of the function", [f"submitted as {request['id']}"], lines[-1]["message"])
            expect("warnings and errors of the function", [], failures(lines))
        # The request id makes each event another one.
        expect("number of caller references", 2, len(references))

    def _retry(self) -> None:
        self._send(RETRIED)
        first, second = self._new_invocations(2)
        self._check_one_invalidation(2, RETRIED)
        self._check_log(first)
        self._check_log(second)
        expect_in("error of the first attempt", ["not completed after"], failures(first)[-1]["message"])
        expect("errors of the second attempt", [], failures(second))
        messages = "\n".join(line["message"] for line in second)
        expect_in("messages of the second attempt", ["already submitted", "1 of 1 completed"], messages)

    def _fail(self) -> None:
        self._send(FAILING)
        failure = json.loads(self._stack.take_failed("UndeliveredQueueUrl")["Body"])
        expect("event in the undelivered queue", FAILING, failure["requestPayload"])
        request = self._check_one_invalidation(ATTEMPTS, FAILING)
        error = failure["responsePayload"]
        expect_in("its error", [request["id"], "not completed after"], error["errorMessage"])
        expect("type of its error", "unavailable", error["errorType"])
        for lines in self._new_invocations(ATTEMPTS):
            self._check_log(lines)
        self._stack.print_detail("undelivered", f"the event, after {ATTEMPTS} attempts: {error['errorMessage']}")

    def _refuse(self, refused: list[tuple[Json, str]]) -> None:
        for event, message in refused:
            response = self._invoke(event, "RequestResponse")
            expect("FunctionError", "Unhandled", response.get("FunctionError"))
            error = json.load(response["Payload"])
            expect("error", {"errorType": "mistake", "errorMessage": message}, error)
            logged = [(line["level"], line["message"]) for line in self._new_invocations(1)[0]]
            expect("last line of the log", ("ERROR", message), logged[-1])
            self._stack.print_detail("error", message)
        self._stack.cloudfront_received_nothing()

    def _create_for_keys(self) -> None:
        stack = self._stack
        stack.update({"DistributionId": "", "SourceBucket": BUCKET})
        response = self._respond({"keys": KEYS, "bucket": BUCKET}, "create")
        ids = self._shared_bucket.distributions
        requests = stack.cloudfront_received(*((ids[name], paths) for name, paths in PATHS_OF_KEYS.items()))
        sent = sorted((request["distribution"], request["id"], sorted(request["paths"])) for request in requests)
        entries = response["distributions"]
        received = sorted((entry["distribution"], entry["id"], sorted(entry["paths"])) for entry in entries)
        expect("response", sent, received)
        expect("statuses", {"InProgress"}, {entry["status"] for entry in entries})
        stack.print_detail("response", ", ".join(f"{entry['id']} {entry['status']}" for entry in entries))
        self._check_log(self._new_invocations(1)[0])

    def _invoke(self, event: Json, invocation_type: str) -> Json:
        self._stack.print_detail("event", json.dumps(event))
        return self._stack.aws.client("lambda").invoke(
            FunctionName=self._stack.outputs["FunctionName"],
            InvocationType=invocation_type,
            Payload=json.dumps(event),
        )

    def _send(self, event: Json) -> None:
        """Invokes the function asynchronously."""
        response = self._invoke(event, "Event")
        expect("status code", 202, response["StatusCode"])
        expect("payload", b"", response["Payload"].read())
        self._stack.print_detail("response", "202, without a body")

    def _respond(self, event: Json, definition: str) -> Json:
        """Invokes the function synchronously; returns the response, which must have this form in the schema."""
        response = self._invoke(event, "RequestResponse")
        payload = json.load(response["Payload"])
        if "FunctionError" in response:
            raise Mismatch(f"the function failed: {payload}")
        validate(payload, definition)
        return payload

    def _check_response(self, response: Json, request: Json, reused: bool) -> None:
        """Requires the response to `WAITING` about this request to CloudFront."""
        paths = WAITING["paths"]
        entry = response["distributions"][0]
        distribution = {
            "distribution": self._site.distribution,
            "paths": paths,
            "from": 1,
            "merged": [],
            "objects": None,
            "unchanged": None,
            "notes": [],
            "reused": reused,
            "id": request["id"],
            "created": entry["created"],
            "reference": request["reference"],
            "status": "Completed",
            "seconds": entry["seconds"],
            "takedown": [],
            "error": None,
            "invalidation": request["id"],
            "failure": None,
        }
        expected = {
            "paths": paths,
            "path_count": 0 if reused else 1,
            "planned_path_count": 1,
            "dry_run": False,
            "distributions": [distribution],
            "warnings": [],
            "verification": None,
            "exit_code": 0,
            "error": None,
        }
        expect("response", expected, response)
        summary = f"{entry['id']} {entry['status']} after {entry['seconds']} s, reused: {json.dumps(reused)}"
        self._stack.print_detail("response", summary)

    def _check_one_invalidation(self, attempts: int, event: Json) -> Json:
        """Requires that all attempts sent one caller reference and got one invalidation; returns a request."""
        requests = self._stack.cloudfront_received(*[(self._site.distribution, event["paths"])] * attempts)
        expect("number of caller references", 1, len({request["reference"] for request in requests}))
        expect("number of invalidations", 1, len({request["id"] for request in requests}))
        return requests[0]

    def _new_invocations(self, count: int) -> list[list[Json]]:
        """Waits for this number of new invocations; returns the log lines of each, oldest first, but debug lines."""
        invocations = self._stack.new_invocations(count)
        lines = [[line for line in lines if line["level"] != "DEBUG"] for lines in invocations]
        return sorted(lines, key=lambda lines: lines[0]["timestamp"])

    def _check_log(self, lines: list[Json], requester: str | None = None) -> None:
        """Requires the caller, who it claims to be, and the request id in the log of an invocation."""
        first = lines[0]
        expect("caller in the log", "direct", first.get("caller"))
        expect("requester in the log", requester, first.get("requestedByUnverified"))
        request_ids = {line.get("requestId") for line in lines}
        expect("request ids in the log", request_ids & self._request_ids(), request_ids)
        expect("number of request ids in the log", 1, len(request_ids))
        claimed = f", requestedByUnverified {requester}" if requester else ""
        self._stack.print_detail("function", f"caller direct{claimed}, requestId {first['requestId']}")
        for line in lines[1:]:
            self._stack.print_detail("", line["message"])

    def _request_ids(self) -> set[str]:
        """Returns the request ids in the lines that MiniStack adds to the log, as Lambda does."""
        pages = self._stack.aws.client("logs").get_paginator("filter_log_events")
        pages = pages.paginate(logGroupName=self._stack.outputs["LogGroupName"])
        messages = [event["message"] for page in pages for event in page["events"]]
        return {message.split()[2] for message in messages if message.startswith("START RequestId: ")}


def failures(lines: Iterable[Json]) -> list[Json]:
    """Returns the warnings and errors."""
    return [line for line in lines if line["level"] in ("WARN", "ERROR")]


def validate(response: Json, definition: str) -> None:
    """Requires that a response has the form of a definition in the schema of the command line's output."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{definition}"})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(response)]
    expect(f"differences between the response and `{definition}` in {SCHEMA.name}", [], errors)
