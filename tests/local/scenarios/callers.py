"""Callers that invoke the function directly, deployed from the templates of examples/.

MiniStack runs state machines and schedules. It invokes the function without their roles, so these are not tested here,
and does not replace the context attributes of a schedule, so this does. It does not have Amazon Q, so this invokes the
function with the payload of the command.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from local_aws import PROJECT, poll
from scenarios.s3_notifications import BUCKET, HASHED, S3Notifications
from scenarios.stack import Json, Stack, Step, expect, expect_in

EXAMPLES = PROJECT / "examples"
TIMEOUT = 30.0  # seconds; an execution takes the time until an invalidation is completed
PATHS = ["/index.html", "/blog/*"]
UNKNOWN = "E2UNKNOWNEXAMPLE"


class Callers:
    """A state machine, a schedule and a chat command for two distributions."""

    def __init__(self, stack: Stack, site: S3Notifications) -> None:
        self._stack = stack
        self._site = site
        self._state_machine = ""
        self._execution = ""  # the ARN of the first execution
        self._created: set[str] = set()  # the ids of its invalidations

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Callers: deploy the examples, a schedule that is due and a state machine", self._deploy),
            ("Step Functions: invalidate and poll until completion, while the schedule invalidates too", self._run),
            ("Step Functions: a retry of the execution finds the invalidations", self._retry),
            ("Step Functions: an execution that needs no invalidation", self._need_nothing),
            ("Step Functions: the execution fails with the error of the function", self._fail),
            ("Step Functions: the execution fails if an invalidation is not completed in time", self._give_up),
            ("Amazon Q: the payload of the command invalidates the path of its argument", self._chat),
        ]

    def _deploy(self) -> None:
        stack = self._stack
        stack.update({"DistributionId": ",".join(self._distributions()), "SourceBucket": BUCKET})
        function = {"FunctionName": stack.outputs["FunctionName"]}
        # MiniStack looks for due schedules every ten seconds, so this one is invoked while the state machine runs.
        due = datetime.now(UTC) - timedelta(seconds=1)
        expression = f"at({due:%Y-%m-%dT%H:%M:%S})"
        attributes = {"<aws.scheduler.schedule-arn>": "nightly-purge", "<aws.scheduler.scheduled-time>": f"{due:%FT%TZ}"}
        parameters = {**function, "ScheduleExpression": expression}
        outputs = stack.aws.deploy_example(EXAMPLES / "schedule.yaml", parameters, attributes)
        stack.print_detail("schedule", f"{outputs['ScheduleName']}: {expression}")
        outputs = stack.aws.deploy_example(EXAMPLES / "state-machine.yaml", function)
        self._state_machine = outputs["StateMachineArn"]
        stack.print_detail("state machine", self._state_machine)

    def _run(self) -> None:
        execution = self._execute({"paths": PATHS}, "SUCCEEDED")
        self._execution = execution["executionArn"]
        expected = [(distribution, paths) for distribution in self._distributions() for paths in (PATHS, ["/*"])]
        requests = self._stack.cloudfront_received(*expected)
        self._created = {request["id"] for request in requests if request["paths"] != ["/*"]}
        completed: list[Json] = json.loads(execution["output"])
        expect("completed invalidations", self._created, {item["id"] for item in completed})
        expect("their status", {"Completed"}, {item["status"] for item in completed})
        polls = sum(item["polls"] for item in completed)
        self._stack.print_detail("result", f"both are completed after {polls} polls")
        # One created these invalidations, and the schedule invoked one, whose lines all name it.
        lines = [line for lines in self._stack.new_invocations(polls + 2) for line in lines]
        problems = [line for line in lines if line["level"] in ("WARN", "ERROR")]
        expect("warnings and errors of the function", [], problems)
        requesters = {line["requestId"]: line.get("requestedByUnverified") for line in lines if line.get("reference")}
        expect("requesters in the log", ["EventBridge Scheduler", None], sorted(requesters.values(), key=str))

    def _retry(self) -> None:
        event = {"paths": PATHS, "wait": False, "idempotencyKey": self._execution}
        self._stack.print_detail("event", json.dumps(event))
        found = self._invoke(json.dumps(event))["distributions"]
        expect("whether they are reused", [True, True], [item["reused"] for item in found])
        expect("their ids", self._created, {item["id"] for item in found})
        self._stack.new_requests()

    def _need_nothing(self) -> None:
        execution = self._execute({"keys": [HASHED], "bucket": BUCKET}, "SUCCEEDED")
        expect("output of the execution", [], json.loads(execution["output"]))
        self._stack.new_invocations(1)
        self._stack.cloudfront_received_nothing()

    def _fail(self) -> None:
        for event, error, parts in (
            ({"paths": PATHS, "distribution": UNKNOWN}, "permission", ["cloudfront:CreateInvalidation", UNKNOWN]),
            ({"paths": PATHS, "dryRun": True}, "mistake", ["dryRun"]),
        ):
            execution = self._execute(event, "FAILED")
            expect("error of the execution", error, execution["error"])
            expect_in("its cause", parts, json.loads(execution["cause"])["errorMessage"])
            self._stack.new_invocations(1)
        accepted = [request for request in self._stack.new_requests() if request["accepted"]]
        expect("requests that CloudFront accepted", [], accepted)

    def _give_up(self) -> None:
        states = self._stack.aws.client("stepfunctions")
        definition = states.describe_state_machine(stateMachineArn=self._state_machine)["definition"]
        expect("number of limits in the definition", 1, definition.count("polls >= 45"))
        states.update_state_machine(
            stateMachineArn=self._state_machine, definition=definition.replace("polls >= 45", "polls >= 1")
        )
        execution = self._execute({"paths": PATHS}, "FAILED")
        requests = self._stack.cloudfront_received(*((distribution, PATHS) for distribution in self._distributions()))
        expect("error of the execution", "NotCompleted", execution["error"])
        named = [request for request in requests if request["id"] in execution["cause"]]
        expect("number of invalidations in its cause", 1, len(named))
        self._stack.new_invocations(3)

    def _chat(self) -> None:
        text = (EXAMPLES / "chat.yaml").read_text(encoding="utf-8")
        payload = re.search(r"--payload (\{.*requestedBy.*})", text)[1].replace("$path", "/blog/*")
        self._stack.print_detail("command", f"@Amazon Q run purge /blog/*: {payload}")
        result = self._invoke(payload)
        sent = [(distribution, ["/blog/*"]) for distribution in self._distributions()]
        ids = {request["id"] for request in self._stack.cloudfront_received(*sent)}
        expect("ids in the response", ids, {item["id"] for item in result["distributions"]})

    def _distributions(self) -> list[str]:
        return [self._site.distribution, self._site.other_distribution]

    def _invoke(self, payload: str) -> Json:
        """Invokes the function synchronously; requires that it succeeds, and returns its response."""
        function = self._stack.outputs["FunctionName"]
        response = self._stack.aws.client("lambda").invoke(FunctionName=function, Payload=payload)
        result: Json = json.load(response["Payload"])
        expect("error of the function", None, response.get("FunctionError") and result)
        self._stack.new_invocations(1)
        return result

    def _execute(self, event: Json, status: str) -> Json:
        """Runs the state machine; requires the status at its end, and returns the description of the execution."""
        states = self._stack.aws.client("stepfunctions")
        self._stack.print_detail("input", json.dumps(event))
        execution = states.start_execution(stateMachineArn=self._state_machine, input=json.dumps(event))
        described: Json = {}

        def ended() -> bool:
            described.update(states.describe_execution(executionArn=execution["executionArn"]))
            return described["status"] != "RUNNING"

        poll(ended, TIMEOUT)
        expect(f"status of the execution of {described.get('cause') or event}", status, described["status"])
        self._stack.print_detail("execution", f"{status} {described.get('error', '')}")
        return described
