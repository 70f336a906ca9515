"""Each permission of the roles is needed: without it, exactly what docs/settings-and-permissions.md names breaks.

The local AWS evaluates what the functions call in CloudFront, SQS and Secrets Manager. For each of these permissions, the
step removes it from the deployed policy, starts new processes, exercises the functions, and restores the policy. What the
exercises return must then differ from what they return with all permissions in the listed way, and in no other.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from functools import partial

from local_aws import PROJECT, REGION, poll

from scenarios.calls import ACCOUNT
from scenarios.codepipeline import CodePipeline
from scenarios.policies import Permission
from scenarios.slack_requests import WORKSPACE, SlackApp
from scenarios.sqs_queue import SqsQueue
from scenarios.stack import TIMEOUT, Json, Mismatch, Stack, Step, expect, lines_of_invocation

BUCKET = "example-permissions"
KEY = "page.html"
POLICY_BUCKET = "example-policy"
PARAMETER = "/cdn/slack"
POST_TIMEOUT = 1.0  # seconds; a post that a missing permission prevents is not waited for longer
ROW, SLACK_ROW = 2.5, 2.0  # seconds for one row of the tables

Effects = dict[str, list[str]]

DENIED = "not allowed to call cloudfront:"
NOT_CHECKED = f"not checked whether it has a staging distribution with a cache of its own: {DENIED}GetDistributionConfig"
NOT_SKIPPED = "WARN cannot skip changes that are already covered: "
DONE, FAILED = ":white_check_mark: *Pipeline job done*", ":x: *Pipeline job failed*"
SUBMITTED = "SITE: submitted as ID (1 path: /job.html)"
INVALIDATED = [
    "INFO SITE: submitted as ID (1 object became 1 path: /page.html)",
    ":white_check_mark: *Invalidation of changed objects done*",
]

# The effects of the exercises of the function with all permissions: a notification in a message of the queue, whose
# change is covered already, a repeated direct invocation with `wait` and `verify`, a request of a status, a pipeline job,
# and what is announced of them.
WITH_ALL: Effects = {
    "message": ["INFO SITE: nothing to invalidate; 1 already covered by ID"],
    "direct": ["Completed; 1 fresh"],
    "status": ["Completed"],
    "job": [f"Succeeded: {SUBMITTED}"],
    "posts": [DONE],
}

# Those without a permission that differ. The first two invalidate the page again, which is completed before Slack needs it.
WITHOUT: dict[tuple[str, str], Effects] = {
    ("cloudfront:ListInvalidations", "distribution"): {
        "message": [f"{NOT_SKIPPED}{DENIED}ListInvalidations", INVALIDATED[0]],
        "posts": [DONE, INVALIDATED[1]],
    },
    # The job waits here only: with the permission, it would take much longer.
    ("cloudfront:GetInvalidation", "distribution"): {
        "message": [f"{NOT_SKIPPED}{DENIED}GetInvalidation", INVALIDATED[0]],
        "direct": [f"Completed; SITE is not verified: {DENIED}GetInvalidation"],
        "status": [f"permission: {DENIED}GetInvalidation"],
        "job": [f"Failed: PermissionError: submitted, but the job cannot wait for completion: {DENIED}GetInvalidation"],
        "posts": [FAILED, INVALIDATED[1]],
    },
    ("cloudfront:CreateInvalidation", "distribution"): {
        "direct": [f"permission: {DENIED}CreateInvalidation"],
        "job": [f"Failed: PermissionError: {DENIED}CreateInvalidation"],
        "posts": [FAILED],
    },
    ("cloudfront:GetDistributionConfig", "distribution"): {
        "message": [
            f"WARN index.html is assumed to be the default root object: {DENIED}GetDistributionConfig",
            *WITH_ALL["message"],
        ],
        "direct": [f"Completed; 1 fresh; {NOT_CHECKED}"],
        "job": [f"Succeeded: {SUBMITTED}; {NOT_CHECKED}"],
    },
    ("cloudfront:GetDistribution", "distribution"): {
        "direct": [
            "Completed; SITE is not verified: no alias names one host, and its domain name is unknown: "
            "allow cloudfront:GetDistribution"
        ],
    },
    ("cloudfront:ListDistributions", "*"): {
        "message": [f"ERROR will be retried: {DENIED}ListDistributions"],
        "posts": [":x: *Invalidation of changed objects failed*", DONE],
    },
    ("sqs:SendMessage", "SlackQueue"): {"posts": []},
}

DETAILS = "Ask the owner of this command, who finds the details in the log under REQUEST."
LACKS = f"The function lacks a permission in AWS. {DETAILS}"
NOTE = f"Note: not everything about the site could be checked in AWS. {DETAILS}"
COST = "Cost: $0.005 for N path; free within the first 1,000 of the AWS account in a month."
MONTH, FREE = "Paths in N so far:", (
    "The first 1,000 paths of a month are free for all distributions of the AWS account together, so other sites possibly "
    "use some of them. Each further path costs $0.005."
)
UNKNOWN = ["• `https://SITE/page.html`: *unknown*, none of the newest completed invalidations covers it", f"• {NOTE}"]
UNREADABLE = "the message is not a Slack task that this version can read"
NOT_MOVED = [
    f"ERROR failed: {UNREADABLE}",
    "WARN will be handled again in 15 s: not moved to the dead-letter queue: not allowed to call sqs:SendMessage",
]

# The same for the functions for Slack: the replies to commands, and a message of the queue that cannot be read.
SLACK_WITH_ALL: Effects = {
    "purge": ["Purging `/purge.html` of *shop*. A message follows when it is fresh everywhere.", COST],
    "status": ["• *shop*: `ID` is completed, requested TIME: `/page.html`"],
    "usage": [MONTH, "• *shop*: N paths in N purges", FREE],
    "verify": ["• `https://SITE/page.html`: *fresh*, the copy is TIME, ID was created TIME"],
    "queue": [f"ERROR moved to the dead-letter queue: {UNREADABLE}"],
    "dead letters": ["a message"],
}
SLACK_WITHOUT: dict[tuple[str, str], Effects] = {
    ("cloudfront:CreateInvalidation", "distribution"): {"purge": ["Not purged: `/purge.html` of *shop*.", LACKS]},
    ("cloudfront:GetDistributionConfig", "distribution"): {"purge": [*SLACK_WITH_ALL["purge"], NOTE]},
    ("cloudfront:GetDistribution", "distribution"): {"verify": [f"• {NOTE}"]},
    ("cloudfront:ListInvalidations", "distribution"): {
        "usage": [MONTH, f"• *shop*: its purges could not be read. {LACKS}", FREE],
        "verify": UNKNOWN,
    },
    ("cloudfront:GetInvalidation", "distribution"): {
        "status": [f"Not done. {LACKS}"],
        "usage": [MONTH, "• *shop*: N purges; those that could be counted have N paths", FREE],
        "verify": UNKNOWN,
    },
    ("secretsmanager:GetSecretValue", "SlackSecret"): {
        name: ["status 500"] for name in ("purge", "status", "usage", "verify")
    },
    ("sqs:SendMessage", "SlackQueue"): {
        "purge": [
            "Purging `/purge.html` of *shop*. No message follows when it is fresh, because the queue of the function does "
            "not respond; `status` shows it.",
            COST,
        ],
    },
    ("sqs:SendMessage", "SlackDeadLetterQueue"): {"queue": NOT_MOVED, "dead letters": []},
    ("sqs:ChangeMessageVisibility", "SlackQueue"): {
        "queue": [*NOT_MOVED, "WARN not allowed to call sqs:ChangeMessageVisibility"],
        "dead letters": [],
    },
}


# What no function calls itself, with the reason. The policies have no other permission without a call in the run.
POLLER = "Lambda polls the queue"
LOGS = "Lambda writes the log"
NOT_CALLED = {
    Permission("Role", "sqs:ReceiveMessage", "Queue"): POLLER,
    Permission("Role", "sqs:DeleteMessage", "Queue"): POLLER,
    Permission("Role", "sqs:GetQueueAttributes", "Queue"): POLLER,
    Permission("Role", "sqs:SendMessage", "DeadLetterQueue"): "Lambda sends events that failed",
    Permission("Role", "sqs:SendMessage", "UndeliveredQueue"): "Lambda sends events that failed",
    Permission("Role", "logs:CreateLogStream", "LogGroup"): LOGS,
    Permission("Role", "logs:PutLogEvents", "LogGroup"): LOGS,
    Permission("SlackRole", "sqs:ReceiveMessage", "SlackQueue"): POLLER,
    Permission("SlackRole", "sqs:DeleteMessage", "SlackQueue"): POLLER,
    Permission("SlackRole", "sqs:GetQueueAttributes", "SlackQueue"): POLLER,
    Permission("SlackRole", "logs:CreateLogStream", "SlackLogGroup"): LOGS,
    Permission("SlackRole", "logs:PutLogEvents", "SlackLogGroup"): LOGS,
    Permission("SlackRole", "cloudfront:ListDistributions", "*"): "only a continuous deployment policy needs it",
    Permission("SlackRole", "kms:Decrypt", "key"): "Secrets Manager and Systems Manager decrypt for the function",
    **{
        Permission(role, "cloudfront:GetContinuousDeploymentPolicyConfig", "continuous-deployment-policy"): (
            "the local CloudFront has no such policies; tests/wire has the calls"
        )
        for role in ("Role", "SlackRole")
    },
}

# Calls that no statement allows: for distributions that are not the stack's. The steps that make them require the error.
NOT_ALLOWED = {("Role", "cloudfront:CreateInvalidation"), ("Role", "cloudfront:GetDistributionConfig")}


class Calls:
    """The calls of all functions of the stack in the whole run, and the policies that allowed them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [("Each call of the functions is allowed by one statement, and each action is called", self._check)]

    def _check(self) -> None:
        policies = self._stack.policies
        policies.check()
        for permission, count in sorted(policies.used.items()):
            self._stack.print_detail(permission.role, f"{permission.action} on {permission.resource}: {count} calls")
        for role, action, resource in sorted(policies.not_allowed):
            self._stack.print_detail(role, f"{action} on {resource}: not allowed")
        not_called = policies.deployed - policies.used.keys()
        for permission in sorted(not_called):
            reason = NOT_CALLED.get(permission, "no reason")
            self._stack.print_detail(permission.role, f"{permission.action} on {permission.resource}: {reason}")
        expect("permissions that nothing needs", [], sorted(not_called - NOT_CALLED.keys()))
        proven = {Permission("Role", *key) for key in WITHOUT} | {Permission("SlackRole", *key) for key in SLACK_WITHOUT}
        expect("permissions that were not deployed", [], sorted(proven - policies.deployed))
        not_allowed = {(role, action) for role, action, _ in policies.not_allowed}
        expect("calls that no statement allows", NOT_ALLOWED, not_allowed)


class Permissions:
    """Exercises the functions of the stack with all permissions, and without one after the other."""

    def __init__(self, stack: Stack, app: SlackApp) -> None:
        self._stack = stack
        self._app = app
        self._pipeline = CodePipeline(stack)
        self._queue = SqsQueue(stack)
        self._site = ""  # the only distribution of the bucket
        self._site_with_policy = ""  # with a cache policy of the account
        self._invalidation = ""  # the id of one that is completed, and covers the page
        self._changed = ""  # a time before that
        self._started = 0.0
        self._purges = 0
        self._seen: set[str] = set()  # log streams of the functions for Slack

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Permissions: exercise the function with all of them", self._start),
            *(
                (f"Permissions: the function without {action} on {resource}", partial(self._without, action, resource))
                for action, resource in WITHOUT
            ),
            ("Permissions: a cache policy of the account", self._read_cache_policy),
            ("Permissions: exercise the functions for Slack with all of them", self._start_slack),
            *(
                (
                    f"Permissions: the functions for Slack without {action} on {resource}",
                    partial(self._without_in_slack, action, resource),
                )
                for action, resource in SLACK_WITHOUT
            ),
            ("Permissions: the functions for Slack with and without ssm:GetParameter", self._read_parameter),
        ]

    def _start(self) -> None:
        stack = self._stack
        stack.reset_standin()
        self._site = self._create_site(BUCKET, {})
        self._site_with_policy = self._create_site_with_policy()
        stack.aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=b"version 1", ContentType="text/html")
        stack.update(
            {
                "SlackDistributions": f"{self._site},{self._site_with_policy}",
                "SlackSiteNames": "shop,blog",
                "SlackWorkspaces": WORKSPACE,
                "SlackAnnouncements": "all",
            }
            | self._app.parameters()
        )
        self._changed = (datetime.now(timezone.utc) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        response = self._invoke(self._request())
        self._invalidation = response["distributions"][0]["id"]
        stack.new_invocations(1)
        self._restart("Function")
        self._compare(WITH_ALL, {}, self._exercise())

    def _create_site(self, bucket: str, behavior: Json) -> str:
        """Creates a public bucket and a distribution for it; returns the id of the distribution."""
        s3 = self._stack.aws.client("s3")
        s3.create_bucket(Bucket=bucket)
        s3.delete_public_access_block(Bucket=bucket)
        objects = f"arn:aws:s3:::{bucket}/*"
        statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": objects}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        origin = {"DomainName": f"{bucket}.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
        return self._stack.create_distribution(bucket, origin, behavior)

    def _without(self, action: str, resource: str) -> None:
        with self._stack.policies.without(Permission("Role", action, resource)):
            self._restart("Function")
            got = self._exercise(waits=action == "cloudfront:GetInvalidation")
        self._compare(WITH_ALL, WITHOUT[action, resource], got)

    def _exercise(self, *, waits: bool = False) -> Effects:
        """Returns the effects on the function; `waits` is whether the pipeline job waits for completion."""
        self._pace(ROW)
        stack = self._stack
        # First, because the process then remembers no invalidation.
        self._queue.send(self._event(BUCKET))
        lines = stack.new_invocations(1)[0]
        response = self._invoke(self._request())
        stack.new_invocations(1)
        status = self._invoke({"invalidation": self._invalidation, "distribution": self._site})
        stack.new_invocations(1)
        job = self._pipeline.start(json.dumps({"distribution": self._site, "paths": ["/job.html"], "wait": waits}))
        result = self._result(job)
        stack.new_invocations(1)
        posts = stack.aws.slack_hooks.new_posts(2, POST_TIMEOUT)
        self._purge("QueueUrl")
        stack.new_requests()
        return {
            "message": self._messages(lines),
            "direct": [self._summary(response)],
            "status": [status["invalidations"][0]["status"] if "invalidations" in status else self._summary(status)],
            "job": [result],
            "posts": sorted((post.message["text"].split("\n")[0] for post in posts), reverse=True),
        }

    def _create_site_with_policy(self) -> str:
        config = {
            "Name": "own",
            "MinTTL": 0,
            "ParametersInCacheKeyAndForwardedToOrigin": {
                "EnableAcceptEncodingGzip": True,
                "HeadersConfig": {"HeaderBehavior": "none"},
                "CookiesConfig": {"CookieBehavior": "none"},
                "QueryStringsConfig": {"QueryStringBehavior": "none"},
            },
        }
        created = self._stack.aws.client("cloudfront").create_cache_policy(CachePolicyConfig=config)
        return self._create_site(POLICY_BUCKET, {"CachePolicyId": created["CachePolicy"]["Id"]})

    def _read_cache_policy(self) -> None:
        self._restart("Function", "SlackFunction")
        self._queue.send(self._event(POLICY_BUCKET))
        # MiniStack evaluates GetCachePolicy on `*` instead of the policy, so it is always denied here.
        lines = self._messages(self._stack.new_invocations(1)[0])
        self._stack.print_detail("function", "; ".join(lines))
        self._stack.cloudfront_received((self._site_with_policy, [f"/{KEY}*"]))
        self._stack.aws.slack_hooks.new_posts(1, TIMEOUT)
        reply = self._app.send(self._app.command(f"verify blog /{KEY}"))
        self._stack.print_detail("reply", reply.message["text"])

    def _start_slack(self) -> None:
        for queue in ("SlackQueueUrl", "SlackDeadLetterQueueUrl"):
            self._purge(queue)
        self._restart("SlackFunction", "SlackQueueFunction")
        verify = f"verify shop /{KEY}"
        # Without a proof while an invalidation of the page is in progress.
        poll(lambda: "*fresh*" in self._app.send(self._app.command(verify)).text, TIMEOUT)
        self._compare(SLACK_WITH_ALL, {}, self._exercise_slack())

    def _without_in_slack(self, action: str, resource: str) -> None:
        with ExitStack() as removed:
            removed.enter_context(self._stack.policies.without(Permission("SlackRole", action, resource)))
            if action == "sqs:ChangeMessageVisibility":
                # It is needed for a message only that has to be handled again.
                dead_letters = Permission("SlackRole", "sqs:SendMessage", "SlackDeadLetterQueue")
                removed.enter_context(self._stack.policies.without(dead_letters))
            self._restart("SlackFunction", "SlackQueueFunction")
            got = self._exercise_slack()
        self._compare(SLACK_WITH_ALL, SLACK_WITHOUT[action, resource], got)

    def _read_parameter(self) -> None:
        """Deploys the statements that only some parameters add, and reads the secret from a parameter."""
        stack = self._stack
        secret = {"signing_secrets": ",".join(self._app.signing_secrets), "webhook_url": self._app.webhook_url}
        stack.aws.client("ssm").put_parameter(Name=PARAMETER, Type="SecureString", Value=json.dumps(secret))
        stack.update(
            {
                "DistributionId": self._site,
                "InvalidateStaging": "true",
                "SlackSecretParameter": PARAMETER,
                "SlackSecretKmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555",
            }
        )
        statuses = [self._app.send(self._app.command("help")).status]
        with stack.policies.without(Permission("SlackRole", "ssm:GetParameter", "parameter")):
            self._restart("SlackFunction")
            statuses.append(self._app.send(self._app.command("help")).status)
        expect("statuses with and without the permission", [200, 500], statuses)
        stack.print_detail("status", "200, and 500 without the permission")

    def _exercise_slack(self) -> Effects:
        """Returns what commands are replied, and what becomes of a message that cannot be read."""
        self._pace(SLACK_ROW)
        self._purges += 1
        page = f"/purge-{self._purges}.html"
        commands = {
            "purge": f"shop {page}",
            "status": f"status {self._invalidation}",
            "usage": "usage",
            "verify": f"verify shop /{KEY}",
        }
        effects: Effects = {}
        for name, text in commands.items():
            reply = self._app.send(self._app.command(text))
            shown = reply.message["text"] if reply.status == 200 else f"status {reply.status}"
            lines = self._normalized(shown.replace(page, "/purge.html")).split("\n")
            effects[name] = [line for line in lines if not line.startswith("• *blog*")]
        self._purge("SlackQueueUrl")
        self._slack_lines()
        self._stack.aws.client("sqs").send_message(
            QueueUrl=self._stack.outputs["SlackQueueUrl"], MessageBody='{"slackTask":{}}'
        )
        effects["queue"] = poll(self._slack_lines, TIMEOUT) or []
        self._purge("SlackQueueUrl")
        effects["dead letters"] = ["a message"] * self._purge("SlackDeadLetterQueueUrl")
        self._stack.new_requests()
        return effects

    def _slack_lines(self) -> list[str]:
        """Returns the new messages in the log of the functions for Slack."""
        streams = self._stack.log("SlackLogGroupName")
        new = [line for name, lines in streams.items() if name not in self._seen for line in lines_of_invocation(lines)]
        self._seen |= streams.keys()
        return self._messages(new)

    def _messages(self, lines: list[Json]) -> list[str]:
        """Returns level and message of log lines, but debug lines."""
        lines = [line for line in lines if line["level"] != "DEBUG"]
        return [f"{line['level']} {self._normalized(line['message'])}" for line in lines]

    def _purge(self, queue: str) -> int:
        """Deletes the messages of a queue; returns how many were visible."""
        sqs, url = self._stack.aws.client("sqs"), self._stack.outputs[queue]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        sqs.purge_queue(QueueUrl=url)
        return int(attributes["Attributes"]["ApproximateNumberOfMessages"])

    def _pace(self, seconds: float) -> None:
        """Waits until this time has passed since the last call: CloudFront takes a request in two seconds on average."""
        time.sleep(max(0.0, self._started + seconds - time.monotonic()))
        self._started = time.monotonic()

    def _compare(self, with_all: Effects, differences: Effects, got: Effects) -> None:
        """Requires that the effects differ from those with all permissions in this way, and in no other."""
        for name in with_all:
            expect(f"effect on {name}", differences.get(name, with_all[name]), got[name])
        for name in differences:
            self._stack.print_detail(name, "; ".join(got[name]) or "nothing")

    def _restart(self, *functions: str) -> None:
        self._stack.policies.restart(*functions)

    def _request(self) -> Json:
        event = {"paths": [f"/{KEY}"], "distribution": self._site, "idempotencyKey": KEY}
        return event | {"wait": "50s", "verify": True}

    def _invoke(self, event: Json) -> Json:
        name = self._stack.outputs["FunctionName"]
        response = self._stack.aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        return json.load(response["Payload"])

    def _event(self, bucket: str) -> str:
        """Returns the notification of a change before the first invalidation of these steps."""
        event = json.loads((PROJECT / "events/s3-object-created.json").read_text(encoding="utf-8"))
        record = event["Records"][0]
        record["eventTime"] = self._changed
        record["s3"]["bucket"] |= {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"}
        record["s3"]["object"]["key"] = KEY
        return json.dumps(event)

    def _summary(self, response: Json) -> str:
        """Returns what a direct invocation responded: the verdicts and what it notes, or the error."""
        if "errorType" in response:
            return self._normalized(f"{response['errorType']}: {response['errorMessage']}")
        entry, verification = response["distributions"][0], response["verification"]
        verdicts = [f"{count} {verdict}" for verdict, count in verification["counts"].items() if count]
        parts = [entry["status"], *verdicts, *entry["notes"], *response["warnings"], *verification["notes"]]
        return "; ".join(self._normalized(part) for part in parts)

    def _result(self, job: str) -> str:
        """Waits for the result of a job; returns its state and its text."""
        poll(lambda: self._job(job)["state"] != "InProgress", TIMEOUT)
        record = self._job(job)
        body = record["results"][0]["body"]
        details = body.get("failureDetails")
        text = f"{details['type']}: {details['message']}" if details else body["executionDetails"]["summary"]
        return self._normalized(f"{record['state']}: {text}")

    def _job(self, job: str) -> Json:
        return self._stack.aws.call_standin(f"/_standin/jobs/{job}")

    def _normalized(self, text: str) -> str:
        """Returns a text without what differs in each run, and without the rest of a denial."""
        text = text.replace(self._site, "SITE")
        text = re.sub(r"(not allowed to call \S+) on .*", r"\1", text, flags=re.DOTALL)
        text = re.sub(r"(allow [a-z]+:\w+) on \S+", r"\1", text)
        text = re.sub(r"\bI[0-9A-Z]{12,14}\b", "ID", text)
        text = re.sub(r"`[0-9a-f-]{36}`|[0-9a-f-]{36}", "REQUEST", text)
        text = re.sub(r"https://\w+\.cloudfront\.net", "https://SITE", text)
        text = re.sub(r"\b\d+ (s|minutes?) (ago|old)|just now", "TIME", text)
        text = re.sub(r"\b\d{4}-\d{2}\b", "N", text)
        # How many were counted depends on what the process has created itself.
        text = re.sub(r"\bhave \d+ paths?$", "have N paths", text, flags=re.MULTILINE)
        return re.sub(r"(?<![\d,])\d+ (paths? in|purges?|paths?$|path;)", r"N \1", text, flags=re.MULTILINE)
