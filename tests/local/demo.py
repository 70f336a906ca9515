"""The story of a deployment, told by a local AWS: `make demo` prints it, `make test` requires it.

Each step does one thing to the deployed stack, says what CloudFront received and what the pipeline was told,
and checks both. The first difference between the story and what happened ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError
from botocore.validate import ParamValidator
from cloud import Cloud, CloudError, Progress, end_on_sigterm, poll

STACK = "cloudfront-invalidator"
BUCKET = "example-site"
REPLY_DEADLINE = 20.0  # seconds; an answer takes well under one on an idle machine
NOTIFIED = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"]

# What viewers may have cached of an object. A space has two spellings in a URL, and which URLs with a plus
# CloudFront takes for one is not documented: such a path is cut before the plus and ends in a wildcard.
UPLOADS = {
    "style.css": ["/style.css"],
    "my page.html": ["/my%20page.html", "/my+page.html"],
    "a+b.html": ["/a*"],
    "café/é.html": ["/caf%C3%A9/%C3%A9.html"],
    "blog/index.html": ["/blog/index.html"],
}
DELETED = "style.css"
JOB_PATHS = ["/index.html", "/blog/*"]

Json = dict[str, Any]


class Mismatch(Exception):
    """Something else happened than the story says."""


def expect(what: str, expected: object, got: object) -> None:
    """Ends the story unless both are equal."""
    if got != expected:
        raise Mismatch(f"{what}\n  expected  {expected!r}\n  got       {got!r}")


def expect_in(what: str, parts: list[str], text: str) -> None:
    """Ends the story unless the text holds every part."""
    for part in parts:
        if part not in text:
            raise Mismatch(f"{what}\n  expected  a text with {part!r}\n  got       {text!r}")


class Demo:
    """The steps, in the order in which a person would take them."""

    def __init__(self, cloud: Cloud, quiet: bool) -> None:
        self._cloud = cloud
        self._quiet = quiet
        self._told = 0  # how many of the requests to CloudFront the story has told so far
        self._jobs: list[str] = []
        self._secrets: set[str] = set()

    def run(self) -> None:
        """Tells the whole story."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("A distribution and a bucket exist; the stack is deployed for both", self._deploy),
            ("The bucket is told to notify the function", self._connect_bucket),
            *((f"Uploaded: {key}", partial(self._upload, key)) for key in UPLOADS),
            (f"Deleted: {DELETED}", self._delete),
            ("Pipeline job without parameters", self._job_without_parameters),
            ("Pipeline job with paths", self._job_with_paths),
            ("Pipeline job with a typing error in its parameters", self._job_with_typing_error),
            ("Pipeline job for a distribution that the role does not cover", self._job_without_permission),
            ("An event that is neither a pipeline job nor an S3 notification", self._unknown_event),
            ("What was sent to CodePipeline, and what was logged", self._records),
        ]
        for number, (title, step) in enumerate(steps, 1):
            print(f"{number:2}  {title}", flush=True)
            try:
                step()
            except (Mismatch, CloudError) as failure:
                raise Mismatch(f"step {number} ({title}): {failure}") from None
            except (BotoCoreError, ClientError, OSError, LookupError, ValueError) as error:
                raise Mismatch(f"step {number} ({title}): {type(error).__name__}: {error}") from error
        print(f"all {len(steps)} steps went as told")

    def _deploy(self) -> None:
        cloudfront = self._cloud.client("cloudfront")
        self._distribution = create_distribution(cloudfront, "site")
        self._other_distribution = create_distribution(cloudfront, "other")
        self._cloud.client("s3").create_bucket(Bucket=BUCKET)
        parameters = {"DistributionId": self._distribution, "SourceBucket": BUCKET}
        self._outputs = self._cloud.deploy(STACK, parameters)
        action = json.loads(self._outputs["PipelineActionConfiguration"])
        expect("FunctionName of the pipeline action", self._outputs["FunctionName"], action["FunctionName"])
        expect("its UserParameters", self._outputs["PipelineUserParameters"], action["UserParameters"])
        self._say("distribution", self._distribution)
        self._say("bucket", BUCKET)
        self._say("function", self._outputs["FunctionName"])

    def _connect_bucket(self) -> None:
        target = {"Id": "InvalidateCloudFront", "LambdaFunctionArn": self._outputs["FunctionArn"], "Events": NOTIFIED}
        self._cloud.client("s3").put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"LambdaFunctionConfigurations": [target]}
        )
        self._say("asked", ", ".join(NOTIFIED))

    def _upload(self, key: str) -> None:
        self._cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"<p>hello</p>")
        self._cloudfront_received(UPLOADS[key])

    def _delete(self) -> None:
        self._cloud.client("s3").delete_object(Bucket=BUCKET, Key=DELETED)
        self._cloudfront_received(UPLOADS[DELETED])

    def _job_without_parameters(self) -> None:
        job = self._start_job(None)
        invalidation = self._cloudfront_received(["/*"])
        self._pipeline_was_told_success(job, invalidation)

    def _job_with_paths(self) -> None:
        job = self._start_job(json.dumps({"distribution": self._distribution, "paths": JOB_PATHS}))
        invalidation = self._cloudfront_received(JOB_PATHS)
        self._pipeline_was_told_success(job, invalidation)

    def _job_with_typing_error(self) -> None:
        job = self._start_job(json.dumps({"pathes": ["/x"]}))
        self._pipeline_was_told_failure(job, "ConfigurationError", ["pathes", "paths"])
        self._cloudfront_received_nothing()

    def _job_without_permission(self) -> None:
        job = self._start_job(json.dumps({"distribution": self._other_distribution}))
        account = self._outputs["FunctionArn"].split(":")[4]
        arn = f"arn:aws:cloudfront::{account}:distribution/{self._other_distribution}"
        self._pipeline_was_told_failure(job, "PermissionError", ["cloudfront:CreateInvalidation", arn])
        refused = self._new_requests()
        expect("requests that CloudFront accepted", [], [each for each in refused if each["accepted"]])
        self._say("CloudFront", f"{self._other_distribution}  refused by the role's policy")

    def _unknown_event(self) -> None:
        self._invoke({})
        self._say("asked", "{}")
        sqs = self._cloud.client("sqs")
        queue = self._outputs["DeadLetterQueueUrl"]
        messages = poll(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), REPLY_DEADLINE)
        if not messages:
            raise Mismatch(f"nothing is in the dead-letter queue after {REPLY_DEADLINE:.0f} s")
        failure = json.loads(messages[0]["Body"])
        expect("event in the dead-letter queue", {}, failure["requestPayload"])
        why = failure["responsePayload"].get("errorMessage", "")
        expect_in("its error", ["CodePipeline", "S3"], why)
        self._say("kept", f"in the dead-letter queue: {why}")
        self._cloudfront_received_nothing()

    def _records(self) -> None:
        answers = [answer for job in self._jobs for answer in self._job(job)["answers"]]
        for answer in answers:
            validate(answer["operation"], answer["body"])
        self._say("CodePipeline", f"{len(answers)} answers to {len(self._jobs)} jobs, each valid by its service model")
        lines = self._function_log()
        for line in lines:
            check_log_line(line)
        for secret in self._secrets:
            expect("log lines with a job's credentials", [], [line for line in lines if secret in line])
        self._say("log", f"{len(lines)} lines, each JSON with timestamp and level, none with a job's credentials")

    def _start_job(self, user_parameters: str | None) -> str:
        job = self._cloud.ask_standin("/_standin/jobs", {"userParameters": user_parameters})
        credentials = job["event"]["CodePipeline.job"]["data"]["artifactCredentials"]
        self._secrets |= {value for value in credentials.values() if isinstance(value, str)}
        self._jobs.append(job["id"])
        self._invoke(job["event"])
        self._say("asked", "UserParameters: " + (user_parameters or "none"))
        return job["id"]

    def _invoke(self, event: Json) -> None:
        """Invokes the function as CodePipeline and S3 do: asynchronously."""
        self._cloud.client("lambda").invoke(
            FunctionName=self._outputs["FunctionName"], InvocationType="Event", Payload=json.dumps(event)
        )

    def _requests(self) -> list[Json]:
        return self._cloud.ask_standin("/_standin/invalidations")

    def _new_requests(self) -> list[Json]:
        requests = self._requests()
        new, self._told = requests[self._told :], len(requests)
        return new

    def _cloudfront_received(self, paths: list[str]) -> Json:
        poll(lambda: len(self._requests()) > self._told, REPLY_DEADLINE)
        requests = self._new_requests()
        got = [(each["distribution"], sorted(each["paths"]), each["accepted"]) for each in requests]
        expect("requests to CloudFront", [(self._distribution, sorted(paths), True)], got)
        request = requests[0]
        self._say("CloudFront", f"{request['distribution']}  {'  '.join(request['paths'])}")
        self._say("reference", request["reference"])
        return request

    def _cloudfront_received_nothing(self) -> None:
        expect("requests to CloudFront", [], self._new_requests())
        self._say("CloudFront", "nothing")

    def _job(self, job: str) -> Json:
        return self._cloud.ask_standin(f"/_standin/jobs/{job}")

    def _answer_to(self, job: str, state: str, operation: str) -> Json:
        poll(lambda: self._job(job)["state"] != "InProgress", REPLY_DEADLINE)
        record = self._job(job)
        answers = [(each["operation"], each["accepted"]) for each in record["answers"]]
        expect("answers to the job", [(operation, True)], answers)
        expect("state of the job", state, record["state"])
        return record["answers"][0]["body"]

    def _pipeline_was_told_success(self, job: str, invalidation: Json) -> None:
        body = self._answer_to(job, "Succeeded", "PutJobSuccessResult")
        expect("externalExecutionId", invalidation["id"], body["executionDetails"]["externalExecutionId"])
        variables = body["outputVariables"]
        told = {**variables, "Paths": sorted(variables["Paths"].split(","))}
        expected = {
            "InvalidationIds": invalidation["id"],
            "DistributionIds": self._distribution,
            "Paths": sorted(invalidation["paths"]),
            "PathCount": str(len(invalidation["paths"])),
        }
        expect("output variables", expected, told)
        self._say("pipeline", f"succeeded: {body['executionDetails']['summary']}")
        self._say("", "  ".join(f"{name}={variables[name]}" for name in expected))

    def _pipeline_was_told_failure(self, job: str, kind: str, parts: list[str]) -> None:
        details = self._answer_to(job, "Failed", "PutJobFailureResult")["failureDetails"]
        expect("type of the failure", kind, details["type"])
        expect_in("message of the failure", parts, details["message"])
        self._say("pipeline", f"failed ({kind}): {details['message']}")

    def _function_log(self) -> list[str]:
        """Gives what the function wrote, without the three lines that MiniStack puts around an invocation."""
        pages = self._cloud.client("logs").get_paginator("filter_log_events")
        events = [
            event["message"].strip()
            for page in pages.paginate(logGroupName=self._outputs["LogGroupName"])
            for event in page["events"]
        ]
        lines = [line for line in events if line and not line.startswith(("START ", "END ", "REPORT "))]
        if not lines:
            raise Mismatch(f"the function's log group {self._outputs['LogGroupName']} is empty")
        return lines

    def _say(self, label: str, text: str) -> None:
        if not self._quiet:
            lines = textwrap.wrap(text, 96, break_long_words=False, break_on_hyphens=False)
            print(textwrap.indent("\n".join(lines), " " * 18).replace(" " * 18, f"    {label:<13} ", 1), flush=True)


def create_distribution(cloudfront: Any, name: str) -> str:
    """Creates a distribution in front of the bucket; gives its id."""
    origin = {
        "Id": "bucket",
        "DomainName": f"{BUCKET}.s3.amazonaws.com",
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }
    behavior = {
        "TargetOriginId": "bucket",
        "ViewerProtocolPolicy": "redirect-to-https",
        "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",  # CachingOptimized, managed by AWS
    }
    created = cloudfront.create_distribution(
        DistributionConfig={
            "CallerReference": name,
            "Comment": name,
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": behavior,
        }
    )
    return created["Distribution"]["Id"]


def validate(operation: str, body: Json) -> None:
    """Requires that AWS's own model of CodePipeline accepts a request's body."""
    model = botocore.session.get_session().get_service_model("codepipeline").operation_model(operation)
    report = ParamValidator().validate(body, model.input_shape)
    expect(f"errors in the body of {operation}", "", report.generate_report())


def check_log_line(line: str) -> None:
    """Requires what Lambda needs to filter by level: JSON with `level` and an RFC 3339 `timestamp`."""
    try:
        fields = json.loads(line)
        # Python before 3.11 reads an offset but not the letter for none.
        moment = datetime.fromisoformat(fields["timestamp"].replace("Z", "+00:00"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Mismatch(f"log line\n  expected  JSON with an RFC 3339 timestamp\n  got       {line!r}") from None
    expect(f"offset in the timestamp of {line!r}", True, moment.tzinfo is not None)
    expect_in(f"level of {line!r}", [str(fields.get("level"))], "TRACE DEBUG INFO WARN ERROR")


def main() -> int:
    """Runs the story; exit code 1 says that it did not go as told."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quiet", action="store_true", help="print the steps only")
    parser.add_argument("--venvs", type=Path, default=Path("target/venvs"), help="folder of the two environments")
    options = parser.parse_args()
    end_on_sigterm()
    try:
        with Cloud(options.venvs, Progress()) as cloud:
            try:
                Demo(cloud, options.quiet).run()
            except Mismatch:
                print(cloud.logs(), file=sys.stderr)
                raise
    except (Mismatch, CloudError) as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
