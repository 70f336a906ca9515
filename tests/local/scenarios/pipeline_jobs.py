"""The results of pipeline jobs that succeed, wait or fail."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
from botocore.validate import ParamValidator
from local_aws import poll

from scenarios.s3_notifications import S3Notifications
from scenarios.stack import TIMEOUT, Json, Stack, Step, expect, expect_in

PATHS = ["/index.html", "/blog/*"]
ATTEMPTS = 3  # the first invocation and the two retries that the stack configures


class PipelineJobs:
    """Pipeline jobs for the distribution of the stack, and an event that is not a job."""

    def __init__(self, stack: Stack, site: S3Notifications) -> None:
        self._stack = stack
        self._site = site
        self._jobs: list[str] = []

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Pipeline job without parameters", self._without_parameters),
            ("Pipeline job with paths", self._with_paths),
            ("Pipeline job that waits for completion", self._waiting),
            ("Pipeline job with a misspelled parameter", self._with_misspelled_parameter),
            ("Pipeline job for a distribution that the function's role does not allow", self._without_permission),
            ("Event that is neither a pipeline job nor an S3 notification", self._unknown_event),
            ("Validate the results that CodePipeline received", self._results_are_valid),
        ]

    def _without_parameters(self) -> None:
        self._succeeds(None, ["/*"])

    def _with_paths(self) -> None:
        self._succeeds(json.dumps({"distribution": self._site.distribution, "paths": PATHS}), PATHS)

    def _succeeds(self, user_parameters: str | None, paths: list[str]) -> None:
        job = self._start(user_parameters)
        invalidation = self._stack.cloudfront_received((self._site.distribution, paths))[0]
        self._stack.print_detail("reference", invalidation["reference"])
        self._check_success(job, invalidation)
        self._stack.new_invocations(1)

    def _waiting(self) -> None:
        job = self._start(json.dumps({"paths": PATHS, "wait": "5m", "reference": "release-42"}))
        invalidation = self._stack.cloudfront_received((self._site.distribution, PATHS))[0]
        self._stack.print_detail("reference", invalidation["reference"])
        expect_in("the caller reference", ["release-42-"], invalidation["reference"])
        body = self._result_of(job, "Continued", "PutJobSuccessResult")
        details = body["executionDetails"]
        self._stack.print_detail("pipeline", f"continues ({details['percentComplete']} %): {details['summary']}")
        self._stack.print_detail("", f"token: {body['continuationToken']}")
        # CodePipeline sends the next job after half a minute; the demo sends it at once.
        next_event = self._job(job)["next"]
        self._remember(next_event)
        self._stack.invoke(next_event)
        job = next_event["CodePipeline.job"]["id"]
        self._check_success(job, invalidation)
        variables = self._job(job)["results"][0]["body"]["outputVariables"]
        expect("output variable Status", "Completed", variables["Status"])
        self._stack.new_invocations(2)
        self._stack.cloudfront_received_nothing()

    def _with_misspelled_parameter(self) -> None:
        job = self._start(json.dumps({"pathes": ["/x"]}))
        self._check_failure(job, "ConfigurationError", ["pathes", "paths"])
        self._stack.new_invocations(1)
        self._stack.cloudfront_received_nothing()

    def _without_permission(self) -> None:
        distribution = self._site.other_distribution
        job = self._start(json.dumps({"distribution": distribution}))
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
        message = self._stack.dead_letters()[0]
        queue = self._stack.outputs["DeadLetterQueueUrl"]
        self._stack.aws.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        failure = json.loads(message["Body"])
        expect("event in the dead-letter queue", {}, failure["requestPayload"])
        error = failure["responsePayload"].get("errorMessage", "")
        expect_in("its error", ["CodePipeline", "S3"], error)
        self._stack.new_invocations(ATTEMPTS)
        self._stack.print_detail("dead letter", f"the event, after {ATTEMPTS} attempts: {error}")
        self._stack.cloudfront_received_nothing()

    def _results_are_valid(self) -> None:
        results = [result for job in self._jobs for result in self._job(job)["results"]]
        for result in results:
            validate(result["operation"], result["body"])
        summary = f"{len(results)} results of {len(self._jobs)} jobs, each valid by AWS's service model"
        self._stack.print_detail("CodePipeline", summary)

    def _start(self, user_parameters: str | None) -> str:
        job = self._stack.aws.call_standin("/_standin/jobs", {"userParameters": user_parameters})
        self._remember(job["event"])
        self._stack.invoke(job["event"])
        self._stack.print_detail("job", "UserParameters: " + (user_parameters or "none"))
        return job["id"]

    def _remember(self, event: Json) -> None:
        job = event["CodePipeline.job"]
        self._jobs.append(job["id"])
        credentials = job["data"]["artifactCredentials"]
        self._stack.secrets |= {value for value in credentials.values() if isinstance(value, str)}

    def _job(self, job: str) -> Json:
        return self._stack.aws.call_standin(f"/_standin/jobs/{job}")

    def _result_of(self, job: str, state: str, operation: str) -> Json:
        poll(lambda: self._job(job)["state"] != "InProgress", TIMEOUT)
        record = self._job(job)
        results = [(result["operation"], result["accepted"]) for result in record["results"]]
        expect("results of the job", [(operation, True)], results)
        expect("state of the job", state, record["state"])
        return record["results"][0]["body"]

    def _check_success(self, job: str, invalidation: Json) -> None:
        body = self._result_of(job, "Succeeded", "PutJobSuccessResult")
        expect("externalExecutionId", invalidation["id"], body["executionDetails"]["externalExecutionId"])
        variables: dict[str, Any] = body["outputVariables"]
        received = {**variables, "Paths": sorted(variables.get("Paths", "").split(","))}
        expected = {
            "InvalidationIds": invalidation["id"],
            "DistributionIds": self._site.distribution,
            "Paths": sorted(invalidation["paths"]),
            "PathCount": str(len(invalidation["paths"])),
        }
        for name, value in expected.items():
            expect(f"output variable {name}", value, received.get(name))
        self._stack.print_detail("pipeline", f"succeeded: {body['executionDetails']['summary']}")
        self._stack.print_detail("", "  ".join(f"{name}={value}" for name, value in variables.items()))

    def _check_failure(self, job: str, kind: str, parts: list[str]) -> None:
        details = self._result_of(job, "Failed", "PutJobFailureResult")["failureDetails"]
        expect("type of the failure", kind, details["type"])
        expect_in("message of the failure", parts, details["message"])
        self._stack.print_detail("pipeline", f"failed ({kind}): {details['message']}")


def validate(operation: str, body: Json) -> None:
    """Requires that a request's body is valid by AWS's service model of CodePipeline."""
    model = botocore.session.get_session().get_service_model("codepipeline").operation_model(operation)
    report = ParamValidator().validate(body, model.input_shape)
    expect(f"errors in the body of {operation}", "", report.generate_report())
