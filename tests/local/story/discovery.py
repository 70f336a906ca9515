"""One bucket, two distributions with a folder each: the stack names neither, and the function finds both."""

from __future__ import annotations

from functools import partial

from story.stage import Stage, Step

BUCKET = "example-folders"
REWRITE = b"""
function handler(event) {
    const request = event.request;
    if (request.uri.endsWith('/')) request.uri += 'index.html';
    else if (!request.uri.includes('.')) request.uri += '/index.html';
    return request;
}
"""

# What viewers may have cached of each object, by distribution. A viewer of `live` who asks for /blog or /blog/ gets
# blog/index.html by the function above; on `preview`, S3's website endpoint answers so to /blog/, and redirects /blog
# there for as long as the index exists.
UPLOADS = {
    "live/blog/index.html": {"live": ["/blog", "/blog/", "/blog/index.html"]},
    "live/index.html": {"live": ["/", "/index.html"]},
    "live/style.css": {"live": ["/style.css"]},
    "preview/blog/index.html": {"preview": ["/blog", "/blog/", "/blog/index.html"]},
    "notes/todo.txt": {},
}


class Discovery:
    """What each distribution receives for an object, and why."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.distributions: dict[str, str] = {}  # ids by name

    def steps(self) -> list[Step]:
        """Gives the steps in order."""
        return [
            ("Two distributions share a bucket; the stack is changed, and names neither", self._change),
            ("The bucket is told to notify the function", partial(self._stage.notify_function, BUCKET)),
            *((f"Uploaded: {key}", partial(self._upload, key)) for key in UPLOADS),
        ]

    def _change(self) -> None:
        stage = self._stage
        stage.rest()
        stage.cloud.client("s3").create_bucket(Bucket=BUCKET)
        live = {
            "DomainName": f"{BUCKET}.s3.us-east-1.amazonaws.com",
            "OriginPath": "/live",
            "S3OriginConfig": {"OriginAccessIdentity": ""},
        }
        preview = {
            "DomainName": f"{BUCKET}.s3-website-us-east-1.amazonaws.com",
            "OriginPath": "/preview",
            "CustomOriginConfig": {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only"},
        }
        function = {"FunctionARN": self._create_rewrite(), "EventType": "viewer-request"}
        behavior = {"FunctionAssociations": {"Quantity": 1, "Items": [function]}}
        self.distributions = {
            "live": stage.create_distribution("live", live, behavior, root="index.html"),
            "preview": stage.create_distribution("preview", preview),
        }
        stage.change({"DistributionId": "", "SourceBucket": BUCKET})

    def _create_rewrite(self) -> str:
        cloudfront = self._stage.cloud.client("cloudfront")
        config = {"Comment": "Serves index.html for directories", "Runtime": "cloudfront-js-2.0"}
        created = cloudfront.create_function(Name="index-documents", FunctionConfig=config, FunctionCode=REWRITE)
        cloudfront.publish_function(Name="index-documents", IfMatch=created["ETag"])
        return created["FunctionSummary"]["FunctionMetadata"]["FunctionARN"]

    def _upload(self, key: str) -> None:
        self._stage.upload(BUCKET, key)
        expected = [(self.distributions[name], paths) for name, paths in UPLOADS[key].items()]
        if expected:
            self._stage.cloudfront_received(*expected)
        self._stage.function_said(*self.distributions.values(), key)
        if not expected:
            self._stage.cloudfront_received_nothing()
