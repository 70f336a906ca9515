"""The story of a deployment, told by a local AWS: `make demo` prints it, `make test` requires it.

Each step does one thing to the deployed stack, says what CloudFront received and what the callers were told,
and checks both. The first difference between the story and what happened ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from cloud import Cloud, CloudError, Progress, end_on_sigterm
from story.burst import Burst
from story.discovery import Discovery
from story.inbox import Inbox
from story.jobs import Jobs
from story.logs import Logs
from story.queue import Queue
from story.relays import Relays
from story.stage import Mismatch, Part, Stage, Step
from story.terminal import Terminal
from story.uploads import Uploads


def story(stage: Stage) -> list[Step]:
    """Gives all steps, in the order in which a person would take them."""
    uploads, discovery, inbox = Uploads(stage), Discovery(stage), Inbox(stage)
    parts: list[Part] = [
        uploads,
        Jobs(stage, uploads),
        discovery,
        Relays(stage, discovery),
        Queue(stage, inbox, uploads),
        Burst(stage, inbox, uploads),
        Terminal(stage, uploads),
        Logs(stage),
    ]
    return [step for part in parts for step in part.steps()]


def tell(steps: list[Step]) -> None:
    """Takes the steps one by one."""
    for number, (title, step) in enumerate(steps, 1):
        print(f"{number:2}  {title}", flush=True)
        try:
            step()
        except (Mismatch, CloudError) as failure:
            raise Mismatch(f"step {number} ({title}): {failure}") from None
        except (BotoCoreError, ClientError, OSError, LookupError, ValueError) as error:
            raise Mismatch(f"step {number} ({title}): {type(error).__name__}: {error}") from error
    print(f"all {len(steps)} steps went as told")


def main() -> int:
    """Runs the story; exit code 1 says that it did not go as told."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quiet", action="store_true", help="print the steps only")
    parser.add_argument("--venvs", type=Path, default=Path("target/venvs"), help="folder of the two environments")
    options = parser.parse_args()
    end_on_sigterm()
    try:
        with Cloud(options.venvs, Progress()) as cloud:
            try:
                tell(story(Stage(cloud, options.quiet)))
            except Mismatch:
                print(cloud.logs(), file=sys.stderr)
                raise
    except (Mismatch, CloudError) as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
