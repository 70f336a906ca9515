"""The jobs of a pipeline.

CodePipeline sends the next job of a continuation token after half a minute; the demo sends it at once.
"""

from __future__ import annotations

import botocore.session
from botocore.validate import ParamValidator
from local_aws import poll

from scenarios.stack import TIMEOUT, Json, Stack, expect


class CodePipeline:
    """Starts and continues jobs, and reads the results that CodePipeline received."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._jobs: list[str] = []

    def start(self, user_parameters: str | None) -> str:
        """Invokes the function with a new job; returns its id."""
        job = self._stack.aws.call_standin("/_standin/jobs", {"userParameters": user_parameters})
        self._stack.print_detail("job", "UserParameters: " + (user_parameters or "none"))
        return self._invoke(job["event"])

    def continue_job(self, job: str) -> str:
        """Waits for the continuation token of a job, and invokes the function with the next job; returns its id."""
        body = self.result_of(job, "Continued", "PutJobSuccessResult")
        details = body["executionDetails"]
        self._stack.print_detail("pipeline", f"continues ({details['percentComplete']} %): {details['summary']}")
        self._stack.print_detail("", f"token: {body['continuationToken']}")
        return self._invoke(self._job(job)["next"])

    def result_of(self, job: str, state: str, operation: str) -> Json:
        """Waits for the only result of a job; returns its body."""
        poll(lambda: self._job(job)["state"] != "InProgress", TIMEOUT)
        record = self._job(job)
        results = [(result["operation"], result["accepted"]) for result in record["results"]]
        expect("results of the job", [(operation, True)], results)
        expect("state of the job", state, record["state"])
        return record["results"][0]["body"]

    def succeeded(self, job: str) -> Json:
        """Waits for the success of a job; returns its body."""
        body = self.result_of(job, "Succeeded", "PutJobSuccessResult")
        variables = body["outputVariables"]
        self._stack.print_detail("pipeline", f"succeeded: {body['executionDetails']['summary']}")
        self._stack.print_detail("", "  ".join(f"{name}={value}" for name, value in variables.items()))
        return body

    def failed(self, job: str) -> Json:
        """Waits for the failure of a job; returns its details."""
        details = self.result_of(job, "Failed", "PutJobFailureResult")["failureDetails"]
        self._stack.print_detail("pipeline", f"failed ({details['type']}): {details['message']}")
        return details

    def validate_results(self) -> None:
        """Requires that the results of all jobs are valid."""
        results = [result for job in self._jobs for result in self._job(job)["results"]]
        for result in results:
            validate(result["operation"], result["body"])
        summary = f"{len(results)} results of {len(self._jobs)} jobs, each valid by AWS's service model"
        self._stack.print_detail("CodePipeline", summary)

    def _invoke(self, event: Json) -> str:
        job = event["CodePipeline.job"]
        self._jobs.append(job["id"])
        credentials = job["data"]["artifactCredentials"]
        self._stack.secrets |= {value for value in credentials.values() if isinstance(value, str)}
        self._stack.invoke(event)
        return job["id"]

    def _job(self, job: str) -> Json:
        return self._stack.aws.call_standin(f"/_standin/jobs/{job}")


def validate(operation: str, body: Json) -> None:
    """Requires that a request's body is valid by AWS's service model of CodePipeline."""
    model = botocore.session.get_session().get_service_model("codepipeline").operation_model(operation)
    report = ParamValidator().validate(body, model.input_shape)
    expect(f"errors in the body of {operation}", "", report.generate_report())
