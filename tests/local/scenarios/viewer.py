"""What a visitor gets before, during and after a deploy, through the edge of the stand-in."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

from local_aws import COMPLETES_AFTER, poll

from scenarios.s3_notifications import BUCKET, S3Notifications
from scenarios.sqs_queue import SqsQueue
from scenarios.stack import TIMEOUT, Mismatch, Stack, Step, expect

KEY = "visit.html"
PATH = f"/{KEY}"


class Response(NamedTuple):
    """What the visitor sees."""

    body: str
    x_cache: str
    age: int | None


class Viewer:
    """Requests one page as a browser does, while the queue delays the invalidation of its change."""

    def __init__(self, stack: Stack, queue: SqsQueue, site: S3Notifications) -> None:
        self._stack = stack
        self._queue = queue
        self._site = site
        self._host = ""

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            (f"A visitor requests {PATH}: the edge fetches it from the bucket, and keeps a copy", self._visit),
            ("Upload a new version: the visitor still gets the old copy", self._upload),
            ("Enable the event source mapping: after completion, the visitor gets the new version", self._invalidate),
        ]

    def _visit(self) -> None:
        cloudfront = self._stack.aws.client("cloudfront")
        distribution = cloudfront.get_distribution(Id=self._site.distribution)["Distribution"]
        self._host = distribution["DomainName"]
        self._allow_reads()
        self._put("version 1")
        self._stack.cloudfront_received((self._site.distribution, [PATH]))
        self._queue.wait_for_count(0)
        self._stack.new_invocations(1)
        self._queue.disable_mapping()
        # The invalidation of version 1 takes effect at a moment of its own, so a copy is safe after its completion.
        self._wait(lambda response: response.x_cache.startswith("Hit") and (response.age or 0) > COMPLETES_AFTER)
        expect("the body", "version 1", self._get().body)

    def _upload(self) -> None:
        self._put("version 2")
        self._queue.wait_for_count(1)
        response = self._get()
        expect("the old copy", ("version 1", "Hit from cloudfront"), response[:2])
        self._print(response)

    def _invalidate(self) -> None:
        self._queue.enable_mapping()
        self._queue.wait_for_count(0)
        request = self._stack.cloudfront_received((self._site.distribution, [PATH]))[0]
        self._stack.new_invocations(1)
        self._wait(lambda response: response.body == "version 2")
        expect("the copy after it", ("version 2", "Hit from cloudfront"), self._get()[:2])
        self._stack.print_detail("invalidation", f"{request['id']} of {request['distribution']}")

    def _wait(self, is_reached: Callable[[Response], bool]) -> None:
        """Requests the page until the condition holds; prints each response that differs from the one before."""
        shown: list[tuple[str, str]] = []

        def reached() -> bool:
            response = self._get()
            if shown[-1:] != [response[:2]]:
                shown.append(response[:2])
                self._print(response)
            return is_reached(response)

        if not poll(reached, TIMEOUT + COMPLETES_AFTER):
            raise Mismatch(f"the visitor got {shown}")

    def _get(self) -> Response:
        request = urllib.request.Request(self._stack.aws.standin + PATH, headers={"Host": self._host})
        with urllib.request.urlopen(request, timeout=10) as response:
            age = response.headers["Age"]
            return Response(response.read().decode(), response.headers["X-Cache"], int(age) if age else None)

    def _print(self, response: Response) -> None:
        age = "no Age" if response.age is None else f"Age: {response.age}"
        self._stack.print_detail("visitor", f"{response.body}  (X-Cache: {response.x_cache}, {age})")

    def _put(self, body: str) -> None:
        self._stack.aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=body.encode(), ContentType="text/html")

    def _allow_reads(self) -> None:
        """Makes the bucket public, which is less to set up than an origin access control."""
        s3 = self._stack.aws.client("s3")
        s3.delete_public_access_block(Bucket=BUCKET)
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{BUCKET}/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
