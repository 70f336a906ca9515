"""What a pipeline's action gets as its answer, whether its job can be done or not."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
from botocore.validate import ParamValidator
from cloud import poll

from story.stage import REPLY_DEADLINE, Json, Mismatch, Stage, Step, expect, expect_in
from story.uploads import Uploads

PATHS = ["/index.html", "/blog/*"]
TRIES = 3  # the first and the two that the stack asks Lambda for


class Jobs:
    """Jobs for the distribution that the stack was deployed for, and an event that is none."""

    def __init__(self, stage: Stage, uploads: Uploads) -> None:
        self._stage = stage
        self._uploads = uploads
        self._jobs: list[str] = []

    def steps(self) -> list[Step]:
        """Gives the steps in order."""
        return [
            ("Pipeline job without parameters", self._without_parameters),
            ("Pipeline job with paths", self._with_paths),
            ("Pipeline job that waits until the edge is fresh", self._waiting),
            ("Pipeline job with a typing error in its parameters", self._with_typing_error),
            ("Pipeline job for a distribution that the role does not cover", self._without_permission),
            ("An event that is neither a pipeline job nor an S3 notification", self._unknown_event),
            ("What was sent to CodePipeline", self._answers_are_valid),
        ]

    def _without_parameters(self) -> None:
        self._succeeds(None, ["/*"])

    def _with_paths(self) -> None:
        self._succeeds(json.dumps({"distribution": self._uploads.distribution, "paths": PATHS}), PATHS)

    def _succeeds(self, user_parameters: str | None, paths: list[str]) -> None:
        job = self._start(user_parameters)
        invalidation = self._stage.cloudfront_received((self._uploads.distribution, paths))[0]
        self._stage.say("reference", invalidation["reference"])
        self._pipeline_was_told_success(job, invalidation)
        self._stage.take_invocations(1)

    def _waiting(self) -> None:
        job = self._start(json.dumps({"paths": PATHS, "wait": "5m", "reference": "release-42"}))
        invalidation = self._stage.cloudfront_received((self._uploads.distribution, PATHS))[0]
        self._stage.say("reference", invalidation["reference"])
        expect_in("the caller reference", ["release-42-"], invalidation["reference"])
        body = self._answer_to(job, "Continued", "PutJobSuccessResult")
        details = body["executionDetails"]
        self._stage.say("pipeline", f"goes on ({details['percentComplete']} %): {details['summary']}")
        self._stage.say("", f"token: {body['continuationToken']}")
        # CodePipeline does this half a minute later; what follows does not depend on that.
        going_on = self._job(job)["next"]
        self._remember(going_on)
        self._stage.invoke(going_on)
        job = going_on["CodePipeline.job"]["id"]
        self._pipeline_was_told_success(job, invalidation)
        variables = self._job(job)["results"][0]["body"]["outputVariables"]
        expect("output variable Status", "Completed", variables["Status"])
        self._stage.take_invocations(2)
        self._stage.cloudfront_received_nothing()

    def _with_typing_error(self) -> None:
        job = self._start(json.dumps({"pathes": ["/x"]}))
        self._pipeline_was_told_failure(job, "ConfigurationError", ["pathes", "paths"])
        self._stage.take_invocations(1)
        self._stage.cloudfront_received_nothing()

    def _without_permission(self) -> None:
        distribution = self._uploads.other_distribution
        job = self._start(json.dumps({"distribution": distribution}))
        account = self._stage.outputs["FunctionArn"].split(":")[4]
        arn = f"arn:aws:cloudfront::{account}:distribution/{distribution}"
        self._pipeline_was_told_failure(job, "PermissionError", ["cloudfront:CreateInvalidation", arn])
        self._stage.take_invocations(1)
        refused = self._stage.take_requests()
        expect("requests that CloudFront accepted", [], [each for each in refused if each["accepted"]])
        self._stage.say("CloudFront", f"{distribution}  refused by the role's policy")

    def _unknown_event(self) -> None:
        self._stage.invoke({})
        self._stage.say("asked", "{}")
        sqs = self._stage.cloud.client("sqs")
        queue = self._stage.outputs["DeadLetterQueueUrl"]
        messages = poll(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), REPLY_DEADLINE)
        if not messages:
            raise Mismatch(f"nothing is in the dead-letter queue after {REPLY_DEADLINE:.0f} s")
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=messages[0]["ReceiptHandle"])
        failure = json.loads(messages[0]["Body"])
        expect("event in the dead-letter queue", {}, failure["requestPayload"])
        why = failure["responsePayload"].get("errorMessage", "")
        expect_in("its error", ["CodePipeline", "S3"], why)
        self._stage.take_invocations(TRIES)
        self._stage.say("kept", f"in the dead-letter queue after {TRIES} tries: {why}")
        self._stage.cloudfront_received_nothing()

    def _answers_are_valid(self) -> None:
        answers = [answer for job in self._jobs for answer in self._job(job)["results"]]
        for answer in answers:
            validate(answer["operation"], answer["body"])
        told = f"{len(answers)} answers to {len(self._jobs)} jobs, each valid by its service model"
        self._stage.say("CodePipeline", told)

    def _start(self, user_parameters: str | None) -> str:
        job = self._stage.cloud.ask_standin("/_standin/jobs", {"userParameters": user_parameters})
        self._remember(job["event"])
        self._stage.invoke(job["event"])
        self._stage.say("asked", "UserParameters: " + (user_parameters or "none"))
        return job["id"]

    def _remember(self, event: Json) -> None:
        job = event["CodePipeline.job"]
        self._jobs.append(job["id"])
        credentials = job["data"]["artifactCredentials"]
        self._stage.secrets |= {value for value in credentials.values() if isinstance(value, str)}

    def _job(self, job: str) -> Json:
        return self._stage.cloud.ask_standin(f"/_standin/jobs/{job}")

    def _answer_to(self, job: str, state: str, operation: str) -> Json:
        poll(lambda: self._job(job)["state"] != "InProgress", REPLY_DEADLINE)
        record = self._job(job)
        answers = [(each["operation"], each["accepted"]) for each in record["results"]]
        expect("answers to the job", [(operation, True)], answers)
        expect("state of the job", state, record["state"])
        return record["results"][0]["body"]

    def _pipeline_was_told_success(self, job: str, invalidation: Json) -> None:
        body = self._answer_to(job, "Succeeded", "PutJobSuccessResult")
        expect("externalExecutionId", invalidation["id"], body["executionDetails"]["externalExecutionId"])
        variables: dict[str, Any] = body["outputVariables"]
        told = {**variables, "Paths": sorted(variables.get("Paths", "").split(","))}
        expected = {
            "InvalidationIds": invalidation["id"],
            "DistributionIds": self._uploads.distribution,
            "Paths": sorted(invalidation["paths"]),
            "PathCount": str(len(invalidation["paths"])),
        }
        for name, value in expected.items():
            expect(f"output variable {name}", value, told.get(name))
        self._stage.say("pipeline", f"succeeded: {body['executionDetails']['summary']}")
        self._stage.say("", "  ".join(f"{name}={value}" for name, value in variables.items()))

    def _pipeline_was_told_failure(self, job: str, kind: str, parts: list[str]) -> None:
        details = self._answer_to(job, "Failed", "PutJobFailureResult")["failureDetails"]
        expect("type of the failure", kind, details["type"])
        expect_in("message of the failure", parts, details["message"])
        self._stage.say("pipeline", f"failed ({kind}): {details['message']}")


def validate(operation: str, body: Json) -> None:
    """Requires that AWS's own model of CodePipeline accepts a request's body."""
    model = botocore.session.get_session().get_service_model("codepipeline").operation_model(operation)
    report = ParamValidator().validate(body, model.input_shape)
    expect(f"errors in the body of {operation}", "", report.generate_report())
