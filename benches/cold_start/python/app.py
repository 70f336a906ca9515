"""The function that a user would write with boto3: it invalidates for a CodePipeline job, for S3 and for SQS."""

import json
import os
import time
from urllib.parse import unquote_plus

import boto3

cloudfront = boto3.client("cloudfront")
codepipeline = boto3.client("codepipeline")


def invalidate(distribution, paths):
    cloudfront.create_invalidation(
        DistributionId=distribution,
        InvalidationBatch={
            "Paths": {"Quantity": len(paths), "Items": paths},
            "CallerReference": str(time.time_ns()),
        },
    )


def run_job(job):
    try:
        parameters = json.loads(job["data"]["actionConfiguration"]["configuration"].get("UserParameters") or "{}")
        invalidate(parameters.get("distribution", os.environ["DISTRIBUTION_ID"]), parameters.get("paths", ["/*"]))
    except Exception as error:
        codepipeline.put_job_failure_result(
            jobId=job["id"], failureDetails={"type": "JobFailed", "message": str(error)[:5000]}
        )
    else:
        codepipeline.put_job_success_result(jobId=job["id"])


def keys(records):
    for record in records:
        if record["eventSource"] == "aws:sqs":
            yield from keys(json.loads(record["body"])["Records"])
        else:
            yield unquote_plus(record["s3"]["object"]["key"])


def handler(event, context):
    if "CodePipeline.job" in event:
        return run_job(event["CodePipeline.job"])
    paths = sorted({"/" + key for key in keys(event["Records"])})
    # CloudFront accepts at most 3,000 paths in progress.
    invalidate(os.environ["DISTRIBUTION_ID"], paths if len(paths) <= 3000 else ["/*"])
    return {"batchItemFailures": []}
