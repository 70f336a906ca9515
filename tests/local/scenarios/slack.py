"""Slash commands of Slack, from the signed request to the function URL until the posts of the queue.

The update of a setting makes MiniStack start new processes of the functions, so the next request is a cold start. What
takes longest is done at the same time: while CloudFront does not respond to some commands, others are refused, and the
reports are read while purges are completed.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from local_aws import poll

from scenarios.codepipeline import CodePipeline
from scenarios.s3_notifications import BUCKET, S3Notifications
from scenarios.slack_hooks import Post, path_of
from scenarios.slack_requests import CHANNEL, COMMAND, SIGNATURE, TIMESTAMP, USER, WORKSPACE, SlackApp, SlackRequest
from scenarios.stack import FAILURE_QUEUES, STACK, TIMEOUT, Json, Mismatch, Stack, Step, expect, expect_in
from scenarios.verification import PAGE

SLACK_WAITS = 3.0  # seconds
MAX_BODY = 1_000_000  # bytes
MAX_AGE = 300  # seconds
CONTACT = "Ana <#web-team>"
ESCAPED = "Ana &lt;#web-team&gt;"
CONTINUES = "AWS takes longer than usual. The command continues"
UNSIGNED = "the signature matches no signing secret"
PURGE = "shop /a.html /b.html"
PAGES = "`/a.html`, `/b.html` of *shop*"
EVERYTHING = "everything of *shop* and *blog*"
FAILED = ':x: *Pipeline job failed*\n```\nUserParameters: unknown field "pathes" (did you mean "paths"?)\n```'
CHANGED = [
    ":white_check_mark: *Invalidation of changed objects done*\n```\n",
    "1 object became 2 paths: /r%26d.html /r&amp;d.html",
]
REFUSED = "/refused.html"  # the path of all commands that must not reach CloudFront
QUEUES = (*FAILURE_QUEUES, "SlackDeadLetterQueueUrl")  # outputs of the stack


class SlackCommands:
    """Commands for two sites, `shop` and `blog`, in one channel."""

    def __init__(self, stack: Stack, app: SlackApp, site: S3Notifications) -> None:
        self._stack = stack
        self._app = app
        self._site = site
        self._pipeline = CodePipeline(stack)
        self._policy: dict[str, str] = {}  # of the role of the functions
        self._recorded = self._slow = self._stuck = self._denied = app.command()
        self._purges: list[tuple[SlackRequest, str]] = []  # with their subject in replies

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Slack: a cold start, and CloudFront takes 2 s for each call", self._start_with_slow_cloudfront),
            ("Slack: a cold start, and CloudFront takes 10 s for each call", self._start_with_stuck_cloudfront),
            ("Slack: requests that Slack did not sign are refused, without a call of CloudFront", self._refuse),
            ("Slack: other workspaces, channels and users are not allowed", self._disallow),
            ("Slack: the queue finishes each command once, when CloudFront responds again", self._finish),
            ("Slack: a recorded request is refused after 300 s", self._replay_late),
            ("Slack: during a rotation, both signing secrets are valid", self._begin_rotation),
            ("Slack: purges of one site and of all, one replayed within 300 s, and one typed again", self._purge),
            ("Slack: a failed pipeline job and a changed object are announced", self._announce),
            ("Slack: reports while the purges are in progress", self._report),
            ("Slack: the channel sees who purged what, and the announcements", self._complete),
            ("Slack: after the rotation, only the new signing secret is valid", self._end_rotation),
            ("Slack: no secret is in outputs, environment variables and dead letters", self._keep_secrets),
        ]

    def _start_with_slow_cloudfront(self) -> None:
        self._stack.reset_standin()
        self._update(SlackShowInChannel="false", SlackContact="Ben")
        self._set_latency(2)
        self._slow = self._app.command("shop /slow.html")
        text = self._replied(self._slow)
        # The reply depends on the order of two events that are some milliseconds apart.
        if not text.startswith(("Purging `/slow.html` of *shop*.", CONTINUES)):
            raise Mismatch(f"the reply is {text!r}")

    def _start_with_stuck_cloudfront(self) -> None:
        self._update(SlackShowInChannel="false")
        self._set_latency(10)
        self._deny(self._site.other_distribution)
        self._stuck = self._app.command("shop /stuck.html")
        self._denied = self._app.command("blog /stuck.html")
        with ThreadPoolExecutor() as both:
            for text in both.map(self._replied, [self._stuck, self._denied]):
                expect_in("the reply", [CONTINUES], text)

    def _refuse(self) -> None:
        app, text = self._app, f"shop {REFUSED}"
        command = app.command(text)
        later = str(int(command.headers[TIMESTAMP]) + 1)
        self._recorded = app.command("help", age=MAX_AGE - 6)
        refused: list[tuple[str, SlackRequest]] = [
            (UNSIGNED, app.command(text, secret="0" * 32)),
            (UNSIGNED, command.with_body(command.body.replace(b"refused", b"tampered"))),
            (UNSIGNED, command.with_header(TIMESTAMP, later)),
            ("the timestamp is more than 300 s old", app.command(text, age=MAX_AGE + 1)),
            ("the timestamp is more than 300 s in the future", app.command(text, age=-MAX_AGE - 20)),
            (f"the header {SIGNATURE} is missing or repeated", command.without_header(SIGNATURE)),
            (f"the header {TIMESTAMP} is missing or repeated", command.without_header(TIMESTAMP)),
            (f"the header {SIGNATURE} is malformed", command.with_header(SIGNATURE, "v1=0")),
            (f"the header {TIMESTAMP} is malformed", command.with_header(TIMESTAMP, "now")),
            ("the body has more than 1,000,000 bytes", self._padded(text, MAX_BODY + 1)),
            ("the method is not POST", replace(command, method="PUT")),
        ]
        before = len(self._refusals())
        replies = [app.send(request) for _, request in refused]
        expect("statuses and bodies", [(401, "")] * len(refused), [(reply.status, reply.text) for reply in replies])
        for (reason, _), reply in zip(refused, replies, strict=True):
            self._stack.print_detail(f"{1000 * reply.seconds:.0f} ms", reason)
        plain = app.command("help", content_type="text/plain")
        for accepted in (self._recorded, self._padded("help", MAX_BODY), plain):
            expect_in("the reply", ["Sites: *shop* and *blog*"], self._replied(accepted))
        browser = app.send(replace(command, method="GET", body=b""))
        expect("the response to a browser", (200, "text/plain; charset=utf-8"), (browser.status, browser.content_type))
        # On a busy machine, MiniStack assigns the last line of an invocation to the next one.
        poll(lambda: len(self._refusals()) >= before + len(refused), TIMEOUT)
        expect("log lines", sorted(f"refused: {reason}" for reason, _ in refused), sorted(self._refusals()[before:]))

    def _disallow(self) -> None:
        expected = {"response_type": "ephemeral", "text": f"This command is not allowed here; ask {ESCAPED}."}
        for field, value in (("team_id", "T0OTHER"), ("channel_id", "C0OTHER"), ("user_id", "U0OTHER")):
            reply = self._app.send(self._app.command(f"shop {REFUSED}", **{field: value}))
            expect(f"the reply to another {field}", (200, expected), (reply.status, reply.message))
        self._stack.print_detail("reply", expected["text"])

    def _finish(self) -> None:
        # The first request is that of the function that replied, the second one that of the queue.
        poll(lambda: len(self._accepted("/stuck.html")) >= 2, TIMEOUT)
        self._set_latency(0)
        slow, stuck, not_purged = self._posts(*response_paths(self._slow, self._stuck, self._denied))
        self._expect_post(slow, "Purged `/slow.html` of *shop*: fresh everywhere after N s.", in_channel=False)
        self._expect_post(stuck, "Purged `/stuck.html` of *shop*: fresh everywhere after N s.", in_channel=False)
        denied = not_purged.message["text"]
        expect_in("the post", ["Not purged: `/stuck.html` of *blog*.\nThe function lacks a perm", ESCAPED], denied)
        self._stack.print_detail("post", denied)
        self._wait_for_empty_queue()
        self._client("iam").put_role_policy(**self._policy)
        invalidations = self._invalidations()
        expected = [(self._site.distribution, path) for path in ("/slow.html", "/stuck.html")]
        expect("the invalidations", expected, sorted(invalidations.values()))
        dead_letter = self._dead_letters("SlackDeadLetterQueueUrl")[0]
        letter = json.loads(dead_letter)
        expect_in("its reason", ["cloudfront:CreateInvalidation", self._site.other_distribution], letter["reason"])
        expect("its text", "blog /stuck.html", letter["slackTask"]["command"]["text"])
        expect("its response URL", None, letter["slackTask"]["command"].get("responseUrl"))
        self._stack.print_detail("dead letter", dead_letter)

    def _replay_late(self) -> None:
        reply = self._app.send(self._recorded)
        expect("status and body", (401, ""), (reply.status, reply.text))

    def _begin_rotation(self) -> None:
        old = self._app.signing_secrets[0]
        self._app.rotate()
        self._update()
        for secret in (old, self._app.signing_secrets[0]):
            expect_in("the reply", ["Nothing was purged."], self._replied(self._app.command(secret=secret)))

    def _purge(self) -> None:
        app, shop, blog = self._app, self._site.distribution, self._site.other_distribution
        self._stack.reset_standin()
        command, everything, again = (app.command(text) for text in (PURGE, "all", PURGE))
        self._purges = [(command, PAGES), (command, PAGES), (everything, EVERYTHING), (again, PAGES)]
        replies = [self._replied(command) for command, _ in self._purges]
        first_sentences = [f"Purging {subject}" for _, subject in self._purges]
        expect("the replies", first_sentences, [reply.split(". ")[0] for reply in replies])
        invalidations = self._invalidations()
        pages = (shop, "/a.html", "/b.html")
        expected = sorted([pages, pages, (shop, "/*"), (blog, "/*")])
        expect("the invalidations", expected, sorted(invalidations.values()))
        first = next(name for name, invalidation in invalidations.items() if invalidation == pages)
        expect_in("the last reply", ["still in progress", f"`{first}`"], replies[-1])

    def _announce(self) -> None:
        self._pipeline.failed(self._pipeline.start(json.dumps({"pathes": ["/x"]})))
        self._stack.notify_function(BUCKET)
        self._stack.upload(BUCKET, "r&d.html")
        self._stack.cloudfront_received((self._site.distribution, ["/r&d.html", "/r%26d.html"]))
        self._stack.new_invocations(2)
        self._stack.notify(BUCKET, {})

    def _report(self) -> None:
        for text, parts in {
            "": ["Nothing was purged.", "of *shop* and *blog*", "`/cdn-purge all`"],
            "status": ["*shop*: `I", "` is in progress, requested ", ": `/a.html`, `/b.html`", "*blog*: `I"],
            "usage": ["*shop*: 7 paths in 4 purges", "*blog*: 1 path in 1 purge"],
            "shopp /a.html": ["`shopp` is neither a path nor a site", "The nearest match is `shop`."],
        }.items():
            self._stack.print_detail("command", f"{COMMAND} {text}")
            expect_in("the reply", parts, self._replied(self._app.command(text)))

    def _complete(self) -> None:
        webhook = path_of(self._app.webhook_url)
        commands = [command for command, _ in self._purges]
        *finished, one, other = self._posts(*response_paths(*commands), webhook, webhook)
        subjects = {command.response_path: subject for command, subject in self._purges}
        for post in finished:
            text = f"<@{USER}> purged {subjects[post.path]}: fresh everywhere after N s."
            self._expect_post(post, text, in_channel=True)
        changed, failed = sorted([one.message["text"], other.message["text"]])
        self._stack.print_detail("post", changed)
        self._stack.print_detail("post", failed)
        expect_in("the changed object", CHANGED, changed)
        expect("the failed job", FAILED, failed)
        self._wait_for_empty_queue()
        verified = self._replied(self._app.command(f"verify shop {PAGE}"))
        expect_in("the reply", [f"{PAGE}`: *fresh*"], verified)

    def _end_rotation(self) -> None:
        old = self._app.signing_secrets.pop()
        self._update(SlackContact="Ben")
        self._replied(self._app.command("help"))
        refused = self._app.send(self._app.command(f"shop {REFUSED}", secret=old))
        expect("status and body", (401, ""), (refused.status, refused.text))

    def _keep_secrets(self) -> None:
        functions = self._client("lambda").list_functions()["Functions"]
        described = self._client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        dead_letters = {queue: self._dead_letters(queue) for queue in QUEUES}
        texts = {
            "outputs": json.dumps(self._stack.outputs),
            "the description of the stack": json.dumps(described, default=str),
            "environment variables": json.dumps([function["Environment"] for function in functions]),
            "dead letters": json.dumps(dead_letters),
        }
        for name, text in texts.items():
            expect(f"secrets in {name}", [], [secret for secret in self._stack.secrets if secret in text])
        expect("number of dead letters", 1, len(dead_letters["SlackDeadLetterQueueUrl"]))
        self._stack.cloudfront_received_nothing()
        self._app.posts()

    def _update(self, **settings: str) -> None:
        """Updates the stack, and so starts new processes of the functions for the next requests."""
        self._stack.update(
            {
                "DistributionId": self._site.distribution,
                "SourceBucket": BUCKET,
                "SlackDistributions": ",".join(self._distributions()),
                "SlackSiteNames": "shop,blog",
                "SlackWorkspaces": WORKSPACE,
                "SlackChannels": CHANNEL,
                "SlackUsers": USER,
                "SlackContact": CONTACT,
                "SlackAnnouncements": "all",
            }
            | self._app.parameters()
            | settings
        )

    def _distributions(self) -> list[str]:
        return [self._site.distribution, self._site.other_distribution]

    def _padded(self, text: str, size: int) -> SlackRequest:
        """Returns a command whose body has this number of bytes."""
        form = {"padding": "", **dict(parse_qsl(self._app.command(text).body.decode()))}
        return self._app.signed(form | {"padding": "x" * (size - len(urlencode(form)))})

    def _set_latency(self, seconds: int) -> None:
        self._stack.aws.call_standin("/_standin/latency", {"milliseconds": 1000 * seconds})

    def _replied(self, request: SlackRequest) -> str:
        """Sends a command; requires a reply in time for its sender only, and returns its text."""
        reply = self._app.send(request)
        expect("the status", 200, reply.status)
        expect("who sees the reply", "ephemeral", reply.message["response_type"])
        if reply.seconds >= SLACK_WAITS:
            raise Mismatch(f"the reply took {reply.seconds:.1f} s: {reply.text}")
        self._stack.print_detail(f"{reply.seconds:.2f} s", reply.message["text"])
        return reply.message["text"]

    def _posts(self, *paths: str) -> list[Post]:
        """Waits for posts to these paths; returns them in this order."""
        return sorted(self._app.posts(*paths), key=lambda post: paths.index(post.path))

    def _expect_post(self, post: Post, text: str, *, in_channel: bool) -> None:
        """Requires the post at the end of a purge; N is a number of seconds. Cost and notes are below the first line."""
        self._stack.print_detail("post", post.message["text"])
        response_type = "in_channel" if in_channel else "ephemeral"
        expected = {"response_type": response_type, "replace_original": False, "text": text}
        first_line = post.message["text"].split("\n")[0]
        got = post.message | {"text": re.sub(r"after \d+ s", "after N s", first_line)}
        expect("the post", expected, got)

    def _accepted(self, path: str) -> list[Json]:
        """Returns the requests for this path that were accepted so far, without marking them as read."""
        requests = self._stack.aws.call_standin("/_standin/invalidations")
        return [request for request in requests if path in request["paths"] and request["accepted"]]

    def _invalidations(self) -> dict[str, tuple[str, ...]]:
        """Reads the new requests; returns distribution and paths of each accepted invalidation, by id."""
        requests = self._stack.new_requests()
        expect("requests of refused commands", [], [request for request in requests if REFUSED in request["paths"]])
        accepted = [request for request in requests if request["accepted"]]
        return {request["id"]: (request["distribution"], *sorted(request["paths"])) for request in accepted}

    def _deny(self, distribution: str) -> None:
        """Removes a distribution from what the role of the functions can invalidate."""
        iam, resource = self._client("iam"), {"StackName": STACK, "LogicalResourceId": "SlackRole"}
        role = self._client("cloudformation").describe_stack_resource(**resource)["StackResourceDetail"]
        names = {"RoleName": role["PhysicalResourceId"], "PolicyName": "Invalidate"}
        document = iam.get_role_policy(**names)["PolicyDocument"]
        self._policy = {**names, "PolicyDocument": json.dumps(document)}
        for statement in document["Statement"]:
            if isinstance(statement["Resource"], list):
                statement["Resource"] = [arn for arn in statement["Resource"] if not arn.endswith(distribution)]
        iam.put_role_policy(**names, PolicyDocument=json.dumps(document))

    def _refusals(self) -> list[str]:
        """Returns the messages of the log about refused requests."""
        lines = [json.loads(line) for lines in self._stack.log("SlackLogGroupName").values() for line in lines]
        return [line["message"] for line in lines if line["message"].startswith("refused: ")]

    def _wait_for_empty_queue(self) -> None:
        sqs, queue = self._client("sqs"), self._stack.outputs["SlackQueueUrl"]

        def is_empty() -> bool:
            attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
            return all(value == "0" for name, value in attributes.items() if name.startswith("ApproximateNumber"))

        if not poll(is_empty, TIMEOUT):
            raise Mismatch("messages are left in the Slack queue")

    def _dead_letters(self, queue: str) -> list[str]:
        """Receives the messages of a dead-letter queue, without deleting them."""
        queue_url = self._stack.outputs[queue]
        messages = self._client("sqs").receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [message["Body"] for message in messages.get("Messages", [])]

    def _client(self, service: str) -> Any:
        return self._stack.aws.client(service)


def response_paths(*commands: SlackRequest) -> list[str]:
    """Returns the paths at which the posts to the response URLs of these commands arrive."""
    return [command.response_path for command in commands]
