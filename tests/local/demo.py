"""Deploys the stack into a local AWS and checks what happens there: `make demo` prints it, `make test` requires it.

Each step does one thing to the deployed stack, prints what CloudFront received and which results the callers got, and
checks both. The first difference ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from local_aws import LocalAws, LocalAwsError, Progress, end_on_sigterm
from scenarios.callers import Callers
from scenarios.command_line import CommandLine
from scenarios.direct_invocation import DirectInvocation
from scenarios.large_batch import LargeBatch
from scenarios.logs import Logs
from scenarios.operations import Operations
from scenarios.permissions import Calls, Permissions
from scenarios.pipeline_jobs import PipelineJobs
from scenarios.replay import Replay
from scenarios.s3_notifications import S3Notifications
from scenarios.shared_bucket import SharedBucket
from scenarios.site_from_nothing import SiteFromNothing
from scenarios.slack import SlackCommands
from scenarios.slack_requests import SlackApp
from scenarios.slack_stack import SlackStack
from scenarios.sns_and_eventbridge import SnsAndEventBridge
from scenarios.sqs_batch import SqsBatch
from scenarios.sqs_queue import SqsQueue
from scenarios.stack import Mismatch, Scenario, Stack, Step
from scenarios.upgrade import Upgrade
from scenarios.verification import Verification
from scenarios.viewer import Viewer


def all_steps(stack: Stack) -> list[Step]:
    """Returns the steps of all scenarios; later scenarios use the resources of earlier ones."""
    site, shared_bucket, queue = S3Notifications(stack), SharedBucket(stack), SqsQueue(stack)
    app = SlackApp(stack)
    scenarios: list[Scenario] = [
        site,
        PipelineJobs(stack, site),
        shared_bucket,
        SnsAndEventBridge(stack, shared_bucket),
        SqsBatch(stack, queue, site),
        LargeBatch(stack, queue, site),
        Viewer(stack, queue, site),
        Verification(stack, site),
        CommandLine(stack, site),
        Callers(stack, site),
        DirectInvocation(stack, site, shared_bucket),
        Operations(stack, queue),
        Replay(stack, queue, site),
        SlackStack(stack, app, between=[SlackCommands(stack, app, site), Permissions(stack, app), Logs(stack)]),
        Calls(stack),
        Upgrade(stack),
        SiteFromNothing(stack),
    ]
    return [step for scenario in scenarios for step in scenario.steps()]


def run(steps: list[Step]) -> None:
    """Runs the steps in order; the first failure names its step."""
    bold, normal = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    for number, (title, step) in enumerate(steps, 1):
        print(f"{number:2}  {bold}{title}{normal}", flush=True)
        try:
            step()
        except (Mismatch, LocalAwsError) as failure:
            raise Mismatch(f"step {number} ({title}): {failure}") from None
        except (BotoCoreError, ClientError, OSError, LookupError, ValueError) as error:
            raise Mismatch(f"step {number} ({title}): {type(error).__name__}: {error}") from error
    print(f"all {len(steps)} steps passed")


def main() -> int:
    """Runs all steps; the exit code is 1 if a step failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quiet", action="store_true", help="print only the titles of the steps")
    parser.add_argument(
        "--venvs", type=Path, default=Path("target/venvs"), help="directory of the virtual environments"
    )
    parser.add_argument("--release", type=Path, help="directory with the archives of a release, instead of a debug build")
    options = parser.parse_args()
    end_on_sigterm()
    try:
        with LocalAws(options.venvs, Progress(), options.release) as aws:
            try:
                run(all_steps(Stack(aws, options.quiet)))
            except Mismatch:
                print(aws.logs(), file=sys.stderr)
                raise
    except (Mismatch, LocalAwsError) as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
