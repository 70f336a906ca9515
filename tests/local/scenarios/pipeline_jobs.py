"""The results of pipeline jobs that succeed, wait or fail."""

from __future__ import annotations

import json

from scenarios.codepipeline import CodePipeline
from scenarios.s3_notifications import S3Notifications
from scenarios.stack import Json, Stack, Step, expect, expect_in

PATHS = ["/index.html", "/blog/*"]
ATTEMPTS = 3  # the first invocation and the two retries that the stack configures


class PipelineJobs:
    """Pipeline jobs for the distribution of the stack, and an event that is not a job."""

    def __init__(self, stack: Stack, site: S3Notifications) -> None:
        self._stack = stack
        self._site = site
        self._pipeline = CodePipeline(stack)

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Pipeline job without parameters", self._without_parameters),
            ("Pipeline job with paths", self._with_paths),
            ("Pipeline job that waits for completion", self._waiting),
            ("Pipeline job with a misspelled parameter", self._with_misspelled_parameter),
            ("Pipeline job for a distribution that the function's role does not allow", self._without_permission),
            ("Event that is neither a pipeline job nor an S3 notification", self._unknown_event),
            ("Validate the results that CodePipeline received", self._pipeline.validate_results),
        ]

    def _without_parameters(self) -> None:
        self._succeeds(None, ["/*"])

    def _with_paths(self) -> None:
        self._succeeds(json.dumps({"distribution": self._site.distribution, "paths": PATHS}), PATHS)

    def _succeeds(self, user_parameters: str | None, paths: list[str]) -> None:
        job = self._pipeline.start(user_parameters)
        invalidation = self._stack.cloudfront_received((self._site.distribution, paths))[0]
        self._stack.print_detail("reference", invalidation["reference"])
        self._check_success(job, invalidation)
        self._stack.new_invocations(1)

    def _waiting(self) -> None:
        job = self._pipeline.start(json.dumps({"paths": PATHS, "wait": "5m", "reference": "release-42"}))
        invalidation = self._stack.cloudfront_received((self._site.distribution, PATHS))[0]
        self._stack.print_detail("reference", invalidation["reference"])
        expect_in("the caller reference", ["release-42-"], invalidation["reference"])
        variables = self._check_success(self._pipeline.continue_job(job), invalidation)
        expect("output variable Status", "Completed", variables["Status"])
        self._stack.new_invocations(2)
        self._stack.cloudfront_received_nothing()

    def _with_misspelled_parameter(self) -> None:
        job = self._pipeline.start(json.dumps({"pathes": ["/x"]}))
        self._check_failure(job, "ConfigurationError", ["pathes", "paths"])
        self._stack.new_invocations(1)
        self._stack.cloudfront_received_nothing()

    def _without_permission(self) -> None:
        distribution = self._site.other_distribution
        job = self._pipeline.start(json.dumps({"distribution": distribution}))
        account = self._stack.outputs["FunctionArn"].split(":")[4]
        arn = f"arn:aws:cloudfront::{account}:distribution/{distribution}"
        self._check_failure(job, "PermissionError", ["cloudfront:CreateInvalidation", arn])
        self._stack.new_invocations(1)
        rejected = self._stack.new_requests()
        expect("requests that CloudFront accepted", [], [request for request in rejected if request["accepted"]])
        self._stack.print_detail("CloudFront", f"{distribution}  denied: the role's policies do not allow it")

    def _unknown_event(self) -> None:
        self._stack.invoke({})
        self._stack.print_detail("event", "{}")
        failure = json.loads(self._stack.take_failed("UndeliveredQueueUrl")["Body"])
        expect("event in the undelivered queue", {}, failure["requestPayload"])
        error = failure["responsePayload"].get("errorMessage", "")
        expect_in("its error", ["CodePipeline", "S3"], error)
        self._stack.new_invocations(ATTEMPTS)
        self._stack.print_detail("undelivered", f"the event, after {ATTEMPTS} attempts: {error}")
        self._stack.cloudfront_received_nothing()

    def _check_success(self, job: str, invalidation: Json) -> Json:
        body = self._pipeline.succeeded(job)
        expect("externalExecutionId", invalidation["id"], body["executionDetails"]["externalExecutionId"])
        variables: Json = body["outputVariables"]
        received = {**variables, "Paths": sorted(variables.get("Paths", "").split(","))}
        expected = {
            "InvalidationIds": invalidation["id"],
            "DistributionIds": self._site.distribution,
            "Paths": sorted(invalidation["paths"]),
            "PathCount": str(len(invalidation["paths"])),
            "Verified": "none",
            "StaleUrls": "none",
        }
        for name, value in expected.items():
            expect(f"output variable {name}", value, received.get(name))
        return variables

    def _check_failure(self, job: str, kind: str, parts: list[str]) -> None:
        details = self._pipeline.failed(job)
        expect("type of the failure", kind, details["type"])
        expect_in("message of the failure", parts, details["message"])
