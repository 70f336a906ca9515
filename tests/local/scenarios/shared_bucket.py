"""One bucket with a folder for each of two distributions: the function finds the distributions by the bucket."""

from __future__ import annotations

from functools import partial

from scenarios.stack import Stack, Step

BUCKET = "example-folders"
REWRITE = b"""
function handler(event) {
    const request = event.request;
    if (request.uri.endsWith('/')) request.uri += 'index.html';
    else if (!request.uri.includes('.')) request.uri += '/index.html';
    return request;
}
"""

# The paths that can be cached of each object, by distribution. On `live`, the function above rewrites /blog and /blog/
# to /blog/index.html. The invalidator does not know its code: a function can also choose another origin path, so objects
# outside /live are invalidated under their own paths. On `preview`, S3's website endpoint returns blog/index.html for
# /blog/, and redirects /blog to /blog/ while the index exists.
UPLOADS = {
    "live/blog/index.html": {"live": ["/blog", "/blog/", "/blog/index", "/blog/index.html"]},
    "live/index.html": {"live": ["/", "/index", "/index.html"]},
    "live/style.css": {"live": ["/style.css"]},
    "preview/blog/index.html": {
        "live": ["/preview/blog", "/preview/blog/", "/preview/blog/index", "/preview/blog/index.html"],
        "preview": ["/blog", "/blog/", "/blog/index.html"],
    },
    "notes/todo.txt": {"live": ["/notes/todo.txt"]},
}


class SharedBucket:
    """Uploads to a bucket that two distributions share."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.distributions: dict[str, str] = {}  # ids by name

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Create two distributions with one bucket; update the stack to name no distribution", self._update),
            ("Configure the bucket to notify the function", partial(self._stack.notify_function, BUCKET)),
            *((f"Upload {key}", partial(self._upload, key)) for key in UPLOADS),
        ]

    def _update(self) -> None:
        stack = self._stack
        stack.reset_standin()
        stack.aws.client("s3").create_bucket(Bucket=BUCKET)
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
            "live": stack.create_distribution("live", live, behavior, root="index.html"),
            "preview": stack.create_distribution("preview", preview),
        }
        stack.update({"DistributionId": "", "SourceBucket": BUCKET})

    def _create_rewrite(self) -> str:
        cloudfront = self._stack.aws.client("cloudfront")
        config = {"Comment": "Serves index.html for directories", "Runtime": "cloudfront-js-2.0"}
        created = cloudfront.create_function(Name="index-documents", FunctionConfig=config, FunctionCode=REWRITE)
        cloudfront.publish_function(Name="index-documents", IfMatch=created["ETag"])
        return created["FunctionSummary"]["FunctionMetadata"]["FunctionARN"]

    def _upload(self, key: str) -> None:
        self._stack.upload(BUCKET, key)
        expected = [(self.distributions[name], paths) for name, paths in UPLOADS[key].items()]
        self._stack.cloudfront_received(*expected)
        self._stack.function_logged(*self.distributions.values(), key)
