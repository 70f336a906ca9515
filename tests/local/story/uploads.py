"""The shortest way from an upload to an invalidation: the bucket notifies the function for each object."""

from __future__ import annotations

import json
from functools import partial

from story.stage import Stage, Step, expect

BUCKET = "example-site"

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


class Uploads:
    """One bucket, one distribution, one notification for each object."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.distribution = ""
        self.other_distribution = ""  # exists, but the stack does not name it

    def steps(self) -> list[Step]:
        """Gives the steps in order."""
        return [
            ("A distribution and a bucket exist; the stack is deployed for both", self._deploy),
            ("The bucket is told to notify the function", partial(self._stage.notify_function, BUCKET)),
            *((f"Uploaded: {key}", partial(self._upload, key)) for key in UPLOADS),
            (f"Deleted: {DELETED}", self._delete),
        ]

    def _deploy(self) -> None:
        stage = self._stage
        stage.cloud.client("s3").create_bucket(Bucket=BUCKET)
        origin = {"DomainName": f"{BUCKET}.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
        self.distribution = stage.create_distribution("site", origin)
        self.other_distribution = stage.create_distribution("other", origin)
        stage.deploy({"DistributionId": self.distribution, "SourceBucket": BUCKET})
        action = json.loads(stage.outputs["PipelineActionConfiguration"])
        expect("FunctionName of the pipeline action", stage.outputs["FunctionName"], action["FunctionName"])
        expect("its UserParameters", stage.outputs["PipelineUserParameters"], action["UserParameters"])
        stage.say("function", stage.outputs["FunctionName"])

    def _upload(self, key: str) -> None:
        self._stage.upload(BUCKET, key)
        self._invalidated(UPLOADS[key])

    def _delete(self) -> None:
        self._stage.cloud.client("s3").delete_object(Bucket=BUCKET, Key=DELETED)
        self._invalidated(UPLOADS[DELETED])

    def _invalidated(self, paths: list[str]) -> None:
        request = self._stage.cloudfront_received((self.distribution, paths))[0]
        self._stage.say("reference", request["reference"])
        self._stage.function_said(self.distribution, request["id"], *paths)
