"""The bucket invokes the function for each change: one bucket, one distribution."""

from __future__ import annotations

import json
from functools import partial

from scenarios.stack import Stack, Step, expect

BUCKET = "example-site"

# The paths that can be cached of each object. A space has two encodings in a URL. AWS does not document how CloudFront
# compares paths with a plus sign, so such a path becomes a wildcard that ends before the plus sign.
UPLOADS = {
    "style.css": ["/style.css"],
    "my page.html": ["/my%20page.html", "/my+page.html"],
    "a+b.html": ["/a*"],
    "café/é.html": ["/caf%C3%A9/%C3%A9.html"],
    "blog/index.html": ["/blog/index.html"],
}
DELETED = "style.css"
HASHED = "_next/static/css/1212233ee98d7dc5.css"


class S3Notifications:
    """Uploads and deletions in one bucket, with one invocation for each object."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.distribution = ""
        self.other_distribution = ""  # exists, but the function's role does not allow it

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Create a bucket and a distribution, and deploy the stack for both", self._deploy),
            ("Configure the bucket to notify the function", partial(self._stack.notify_function, BUCKET)),
            *((f"Upload {key}", partial(self._upload, key)) for key in UPLOADS),
            (f"Delete {DELETED}", self._delete),
            ("Upload and delete a file with a hash in its name, which needs no invalidation", self._change_hashed),
        ]

    def _deploy(self) -> None:
        stack = self._stack
        stack.aws.client("s3").create_bucket(Bucket=BUCKET)
        origin = {"DomainName": f"{BUCKET}.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
        self.distribution = stack.create_distribution("site", origin)
        self.other_distribution = stack.create_distribution("other", origin)
        stack.deploy({"DistributionId": self.distribution, "SourceBucket": BUCKET})
        action = json.loads(stack.outputs["PipelineActionConfiguration"])
        expect("FunctionName of the pipeline action", stack.outputs["FunctionName"], action["FunctionName"])
        expect("its UserParameters", stack.outputs["PipelineUserParameters"], action["UserParameters"])
        stack.print_detail("function", stack.outputs["FunctionName"])

    def _upload(self, key: str) -> None:
        self._stack.upload(BUCKET, key)
        self._check(UPLOADS[key])

    def _delete(self) -> None:
        self._stack.aws.client("s3").delete_object(Bucket=BUCKET, Key=DELETED)
        self._check(UPLOADS[DELETED])

    def _change_hashed(self) -> None:
        stack = self._stack
        stack.upload(BUCKET, HASHED)
        stack.function_logged(f"content under these names never changes: {HASHED}")
        stack.aws.client("s3").delete_object(Bucket=BUCKET, Key=HASHED)
        stack.function_logged(f"removed without a path, because open pages can still need these files (KeepRemovedImmutable, --takedown): {HASHED}")
        stack.cloudfront_received_nothing()

    def _check(self, paths: list[str]) -> None:
        request = self._stack.cloudfront_received((self.distribution, paths))[0]
        self._stack.print_detail("reference", request["reference"])
        self._stack.function_logged(self.distribution, request["id"], *paths)
