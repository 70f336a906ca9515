"""The sample data of the picture of the dashboard: one day of a site, in periods of five minutes, the same in each run.

The site is deployed three times and edited in between. The second deploy is throttled by CloudFront for a while. In the
afternoon, an asynchronous event of a pipeline cannot be handled and ends in the undelivered queue.
"""

import random
import zlib

PERIODS = 24 * 12
DEPLOYS = {9 * 12 + 8: 180, 13 * 12 + 3: 460, 16 * 12 + 6: 120}
FAILED = 16 * 12 + 8
PATHS_OF_30_DAYS = 734

ALARM = "UndeliveredQueueAlarm"

# AWS's own message is shortened.
LOG = [
    (
        "2026-11-22 16:41:07.212",
        "codepipeline",
        "permission",
        "not allowed to call cloudfront:CreateInvalidation on distribution/E2EXAMPLE1ABCD: AccessDenied: …; add this"
        ' statement to a policy of the function\'s role: {"Effect":"Allow","Action":"cloudfront:CreateInvalidation",…}',
    ),
    (
        "2026-11-22 15:58:30.907",
        "codepipeline",
        "mistake",
        'UserParameters: verify needs a wait: add "wait": "5m"',
    ),
    (
        "2026-11-22 14:12:55.480",
        "direct",
        "mistake",
        'direct invocation: unknown field "distributions" (did you mean "distribution"?)',
    ),
    (
        "2026-11-22 13:22:41.335",
        "direct",
        "busy",
        "could not invalidate E2EXAMPLE1ABCD now: Throttling: Rate exceeded; try again in a minute",
    ),
]


def site():
    """Returns the changed objects, the paths and the invalidations of each period in which something changed."""
    numbers = random.Random(17)
    changes = {}
    for period in range(7 * 12, 19 * 12):
        if period in DEPLOYS:
            objects = DEPLOYS[period]
            changes[period] = (objects, numbers.randint(14, 20), numbers.randint(2, 3))
        elif numbers.random() < 0.3:
            objects = numbers.randint(1, 14)
            changes[period] = (objects, max(1, round(objects * numbers.uniform(0.3, 1))), 1)
    return changes


SITE = site()


def noise(key, period):
    """Returns a number from 0 to 1."""
    return random.Random(zlib.crc32(f"{key} {period}".encode())).random()


def throttled(period):
    deploy = 13 * 12 + 3
    return {deploy: 6, deploy + 1: 4, deploy + 2: 1}.get(period, 0)


def lag(period, statistic):
    usual = 21 + 9 * noise("lag", period) + 55 * bool(throttled(period)) + 4 * (period in DEPLOYS)
    return usual * {"p50": 1, "p95": 1.25, "Maximum": 1.4 + 0.3 * noise("longest", period)}[statistic]


def value(name, dimensions, statistic, period):
    """Returns the value of a metric in a period, or None if there is none."""
    objects, paths, invalidations = SITE.get(period, (0, 0, 0))
    queue = dimensions.get("QueueName", "")
    if name == "FreshnessLag":
        return lag(period, statistic) if objects else None
    if name in ("ObjectsChanged", "Paths", "PathsSaved", "Invalidations"):
        values = {"ObjectsChanged": objects, "Paths": paths, "PathsSaved": objects - paths, "Invalidations": invalidations}
        return values[name] if objects else None
    if name == "Throttled":
        return throttled(period) or (0 if objects else None)
    if name == "StaleUrls":
        return 0 if period in [deploy + 1 for deploy in DEPLOYS] else None
    if name == "Invocations":
        return max(objects > 0, min(9, round(objects / 20) + 2 * bool(throttled(period)))) + (period == FAILED)
    if name == "Duration":
        typical = 640 + 420 * noise("duration", period) + 2600 * (objects > 100)
        return typical * (1 if statistic == "p50" else 2.2) if objects else None
    if name == "ConcurrentExecutions":
        return 2 if objects > 100 or throttled(period) else 1 if objects else None
    if name == "AsyncEventsReceived":
        return 1 if period in DEPLOYS or period == FAILED else 0
    if name in ("Throttles", "AsyncEventsDropped", "DestinationDeliveryFailures"):
        return 0
    if name == "Errors" and dimensions:
        return 3 if period == FAILED else 0
    if name == "Errors":
        failures = {FAILED: 1, 15 * 12 + 11: 1, 14 * 12 + 2: 1, 13 * 12 + 4: 1}
        return failures.get(period, 0 if objects else None)
    if name == "ApproximateNumberOfMessagesVisible" and "DeadLetter" not in queue and "Undelivered" not in queue:
        return min(objects, 240)
    if name == "ApproximateNumberOfMessagesVisible":
        return int("Undelivered" in queue and period >= FAILED + 1)
    if name == "ApproximateNumberOfMessagesNotVisible":
        return objects // 2 + 180 * bool(throttled(period))
    if name == "ApproximateAgeOfOldestMessage":
        return (17 + 6 * noise("age", period) + 60 * bool(throttled(period))) if objects or throttled(period) else 0
    raise ValueError(f"no sample data for {name}: add it here")


def series(name, dimensions, statistic):
    return [value(name, dimensions, statistic, period) for period in range(PERIODS)]


def total(name, dimensions, statistic, start):
    """Returns one value for the whole time, as CloudWatch does for `setPeriodToTimeRange`."""
    if start == "-P30D":
        return {"Paths": PATHS_OF_30_DAYS}[name]
    values = sorted(number for number in series(name, dimensions, statistic) if number is not None)
    if statistic == "Sum":
        return sum(values)
    if statistic.startswith("p"):
        return values[round((len(values) - 1) * float(statistic[1:]) / 100)]
    return max(values)
