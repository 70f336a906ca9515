"""A site from nothing, with examples/site and the files of the stack archive.

MiniStack does not expand the template of a nested stack that uses SAM. So template.yaml is expanded here, and `sam deploy`
uploads the result in its place. What MiniStack does not do, this scenario cannot check: certificates, HTTP versions,
compression and lifecycle rules.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import sam
from local_aws import COMPLETES_AFTER, poll

from scenarios.stack import TIMEOUT, Mismatch, Stack, Step, expect

NAME = "site"  # of the stack, in samconfig.toml
ERROR_PAGE, PAGE = "404.html", "blog/index.html"
URLS = ["/blog", "/blog/", "/blog/index.html"]  # of PAGE
# What the viewer request function does is not known to the planner, so /blog/index may be cached too.
PATHS = sorted([*URLS, "/blog/index"])
OUTPUTS = {
    "AlarmTopicArn",
    "BucketName",
    "DashboardUrl",
    "DeadLetterQueueUrl",
    "DistributionDomainName",
    "DistributionId",
    "FunctionArn",
    "FunctionName",
    "LogGroupName",
    "SiteUrl",
    "UploadCommand",
}


class SiteFromNothing:
    """Deploys the site, publishes a page twice, and deletes the stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._outputs: dict[str, str] = {}

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Site from nothing: `sam deploy` creates bucket, distribution and invalidator", self._deploy),
            ("Site from nothing: upload a page: viewers get it, also as its folder; the bucket is private", self._publish),
            ("Site from nothing: upload a new version: viewers get it", self._publish_again),
            ("Site from nothing: delete the stack: the bucket stays, with its objects", self._delete),
        ]

    def _deploy(self) -> None:
        folder = self._stack.aws.stack_folder("site")
        expanded = sam.expand((folder / "template-s3.yaml").read_text(encoding="utf-8"))
        for name in ("CodeBucket", "CodeKey"):
            del expanded["Parameters"][name]
        for resource in expanded["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                resource["Properties"]["Code"] = "function.zip"
        (folder / "template.yaml").write_text(json.dumps(expanded), encoding="utf-8")
        arguments = ["--template-file", "site.yaml", "--config-env", "site"]
        self._outputs = self._stack.aws.sam_deploy(folder, NAME, arguments, {})
        expect("outputs", sorted(OUTPUTS), sorted(self._outputs))
        expect("the URL", f"https://{self._outputs['DistributionDomainName']}/", self._outputs["SiteUrl"])
        self._stack.add_distribution(self._outputs["DistributionId"], "from nothing", self._outputs["SiteUrl"])
        self._stack.print_detail("upload", self._outputs["UploadCommand"])

    def _publish(self) -> None:
        self._put(ERROR_PAGE, "not found")
        self._received(["/404", "/404.html"])
        self._put(PAGE, "version 1")
        self._received(PATHS)
        for url in URLS:
            expect(f"the response of {url}", (200, "version 1"), self._get(url))
        # The function appends index.html to each path without a dot.
        for url in ("/", "/none", "/none.html"):
            expect(f"the response of {url}", (404, "not found"), self._get(url))
        bucket = f"{self._stack.aws.endpoint}/{self._outputs['BucketName']}"
        for url in (bucket, f"{bucket}/{PAGE}"):
            expect("the status of the bucket itself", 403, request(url)[0])

    def _publish_again(self) -> None:
        self._put(PAGE, "version 2")
        self._received(PATHS)
        for url in URLS:
            if not poll(lambda url=url: self._get(url) == (200, "version 2"), TIMEOUT + COMPLETES_AFTER):
                raise Mismatch(f"{url} is {self._get(url)} after its invalidation")
            self._stack.print_detail("visitor", f"{url}: version 2")

    def _delete(self) -> None:
        cloudformation = self._stack.aws.client("cloudformation")
        cloudformation.delete_stack(StackName=NAME)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})
        listed = self._stack.aws.client("s3").list_objects_v2(Bucket=self._outputs["BucketName"])["Contents"]
        expect("objects of the bucket", [ERROR_PAGE, PAGE], [item["Key"] for item in listed])
        functions = self._stack.aws.client("lambda").list_functions()["Functions"]
        names = [function["FunctionName"] for function in functions]
        expect("the function is deleted", False, self._outputs["FunctionName"] in names)

    def _put(self, key: str, body: str) -> None:
        self._stack.aws.client("s3").put_object(
            Bucket=self._outputs["BucketName"], Key=key, Body=body.encode(), ContentType="text/html"
        )

    def _received(self, paths: list[str]) -> None:
        self._stack.cloudfront_received((self._outputs["DistributionId"], paths))

    def _get(self, path: str) -> tuple[int, str]:
        """Returns the status and the body that a viewer gets."""
        return request(self._stack.aws.standin + path, self._outputs["DistributionDomainName"])


def request(url: str, host: str | None = None) -> tuple[int, str]:
    """Requests a URL without credentials; returns the status and the body."""
    headers = {"Host": host} if host else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
