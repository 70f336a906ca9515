"""What runs the stack unattended: queues for failures, who may use the queues, alarms and their topic, metrics.

Where failures end is checked by the scenarios that make them fail: `Stack.take_failed` requires that the other queue is
empty. MiniStack ignores the reserved concurrency of a function and the key of a topic in a template.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from scenarios.sqs_queue import SqsQueue
from scenarios.stack import Json, Mismatch, Stack, Step, expect

VISIBLE = "ApproximateNumberOfMessagesVisible"
NAMESPACE = "CloudFrontInvalidator"

# Namespace, metric, resource of the dimension, statistic, seconds of a period, number of periods, threshold.
ALARMS: dict[str, tuple[str, str, str, str, int, int, int]] = {
    "DeadLetterQueueAlarm": ("AWS/SQS", VISIBLE, "DeadLetterQueue", "Maximum", 300, 1, 0),
    "UndeliveredQueueAlarm": ("AWS/SQS", VISIBLE, "UndeliveredQueue", "Maximum", 300, 1, 0),
    "SlackDeadLetterQueueAlarm": ("AWS/SQS", VISIBLE, "SlackDeadLetterQueue", "Maximum", 300, 1, 0),
    "QueueAgeAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Queue", "Maximum", 300, 1, 600),
    "ErrorsAlarm": (NAMESPACE, "Errors", "", "Sum", 300, 1, 0),
    "ThrottlesAlarm": ("AWS/Lambda", "Throttles", "Function", "Sum", 300, 3, 0),
    "DroppedEventsAlarm": ("AWS/Lambda", "AsyncEventsDropped", "Function", "Sum", 300, 1, 0),
    "DestinationFailuresAlarm": ("AWS/Lambda", "DestinationDeliveryFailures", "Function", "Sum", 300, 1, 0),
    "StaleUrlsAlarm": (NAMESPACE, "StaleUrls", "", "Sum", 300, 1, 0),
    "WeeklyPathsAlarm": (NAMESPACE, "Paths", "", "Sum", 604_800, 1, 1_000),
}
WITHOUT_SLACK = sorted(ALARMS.keys() - {"SlackDeadLetterQueueAlarm"})
# The alarms of metrics that do not exist with MetricsNamespace=none.
OF_METRICS = {"StaleUrlsAlarm", "WeeklyPathsAlarm"}

BUCKETS = ["example-listed", "example.listed-too"]
OTHER_BUCKET = "example-unlisted"
KEY = "00000000-1111-2222-3333-444444444444"
ADDRESS = "on-call@example.com"

# Parameters that CloudFormation refuses before it changes a resource.
REFUSED = [
    {"QueueBuckets": "arn:aws:s3:::example-listed"},
    {"QueueBuckets": "example-listed, example-unlisted"},
    {"QueueTopics": "example-topic"},
    {"UndeliveredReaders": "*"},
    {"ReservedConcurrency": "none"},
    {"DailyPathBudget": "-1"},
    {"MetricsNamespace": "AWS/Lambda"},
    {"AlarmEmail": "on-call"},
    {"AlarmTopicKmsKey": "alias/aws/sns"},
    {"AlarmWeeklyPaths": "0"},
]


class Operations:
    """Updates the stack with the parameters for operations, and reads the effect of each."""

    def __init__(self, stack: Stack, queue: SqsQueue) -> None:
        self._stack = stack
        self._queue = queue

    def steps(self) -> list[Step]:
        """Returns the steps in order."""
        return [
            ("Operations: each failure has an alarm, which publishes to a topic", self._check_defaults),
            ("Operations: QueueBuckets and QueueTopics restrict who may send to the queue", self._restrict_senders),
            ("Operations: what EventBridge cannot deliver goes to the undelivered queue", self._check_rule),
            ("Operations: UndeliveredReaders restricts who may receive undelivered events", self._restrict_readers),
            ("Operations: settings of metrics and alarms", self._set),
            ("Operations: without metrics, and without alarms", self._switch_off),
            ("Operations: parameters that are refused", self._refuse),
        ]

    def _check_defaults(self) -> None:
        self._stack.update({})
        self._expect_alarms(WITHOUT_SLACK)
        resources, outputs = self._stack.resources(), self._stack.outputs
        expect("topic of the alarms", resources["AlarmTopic"], outputs["AlarmTopicArn"])
        expect("subscriptions of the topic", [], self._subscriptions())
        topic = self._stack.aws.client("sns").get_topic_attributes(TopicArn=outputs["AlarmTopicArn"])
        source = {"aws:SourceArn": f"arn:aws:cloudwatch:us-east-1:{self._account()}:alarm:*"}
        expected = {
            "Sid": "Alarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": outputs["AlarmTopicArn"],
            "Condition": {"ArnLike": source},
        }
        expect("statements of the topic's policy", [expected], json.loads(topic["Attributes"]["Policy"])["Statement"])
        tags = self._sqs().list_queue_tags(QueueUrl=outputs["UndeliveredQueueUrl"])["Tags"]
        expect("queue in the tag", outputs["QueueUrl"], tags.get("cloudfront-invalidator:queue-url"))
        dashboard = "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards/dashboard/"
        expect("URL of the dashboard", dashboard + resources["OperationsDashboard"], outputs["DashboardUrl"])
        # tests/docs/dashboard.py checks the rest of the dashboard.
        arns = sorted(alarm["AlarmArn"] for alarm in self._stack.alarms().values())
        expect("alarms on the dashboard", ("cloudfront-invalidator-us-east-1", arns), self._dashboard())
        expect("variables of the function", ("0", NAMESPACE, "false"), self._variables())
        self._stack.print_detail("alarms", ", ".join(WITHOUT_SLACK))

    def _restrict_senders(self) -> None:
        sns = self._stack.aws.client("sns")
        listed, other = (sns.create_topic(Name=name)["TopicArn"] for name in ("listed", "unlisted"))
        for bucket in (*BUCKETS, OTHER_BUCKET):
            self._stack.aws.client("s3").create_bucket(Bucket=bucket)
        for topic in (other, listed):
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self._stack.outputs["QueueArn"])
        self._queue.disable_mapping()

        self._stack.update({"QueueBuckets": ",".join(BUCKETS), "QueueTopics": f"arn:aws:sns:eu-west-1:{'1' * 12}:x,{listed}"})
        for bucket in BUCKETS:
            self._notify_queue(bucket)
        try:
            self._notify_queue(OTHER_BUCKET)
        except ClientError as error:
            self._stack.print_detail("refused", str(error))
        else:
            raise Mismatch(f"S3 accepts notifications of {OTHER_BUCKET}, which QueueBuckets does not name")
        self._publish(other, listed)
        expect("senders of the messages in the queue", [listed, "s3:TestEvent", "s3:TestEvent"], self._take_senders(3))

        # By default, all buckets and topics of the account may send.
        self._stack.update({})
        self._notify_queue(OTHER_BUCKET)
        self._publish(other, listed)
        expect("senders of the messages in the queue", [listed, other, "s3:TestEvent"], self._take_senders(3))
        for bucket in (*BUCKETS, OTHER_BUCKET):
            self._stack.notify(bucket, {})
        self._queue.enable_mapping()

    def _check_rule(self) -> None:
        self._stack.update({"SourceBucket": OTHER_BUCKET})
        rule = self._stack.resources()["SourceBucketRule"]
        events = self._stack.aws.client("events")
        target = events.list_targets_by_rule(Rule=rule)["Targets"][0]
        queue = self._queue_attributes()
        expect("dead-letter queue of the rule", queue["QueueArn"], target["DeadLetterConfig"]["Arn"])
        statement = {
            "Sid": "Rule",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue["QueueArn"],
            "Condition": {"ArnEquals": {"aws:SourceArn": events.describe_rule(Name=rule)["Arn"]}},
        }
        expect("statements of the queue's policy", [statement], json.loads(queue["Policy"])["Statement"])
        self._stack.update({})
        expect("policy of the queue", None, self._queue_attributes().get("Policy"))

    def _restrict_readers(self) -> None:
        queue = self._stack.outputs["UndeliveredQueueUrl"]
        self._sqs().send_message(QueueUrl=queue, MessageBody="{}")
        readers = {name: self._user(name) for name in ("on-call-ann", "developer")}
        self._stack.update({"UndeliveredReaders": f"arn:aws:iam::{self._account()}:role/replay,arn:*:iam::*:user/on-call-*"})
        expect("who can receive", {"on-call-ann": True, "developer": False}, self._who_receives(readers, queue))
        # Others still send, and see how many messages there are.
        self._sqs().send_message(QueueUrl=queue, MessageBody="{}")
        attributes = readers["developer"].get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        expect("number of messages", "2", attributes["ApproximateNumberOfMessages"])
        self._stack.update({})
        expect("who can receive", {"on-call-ann": True, "developer": True}, self._who_receives(readers, queue))
        self._sqs().purge_queue(QueueUrl=queue)

    def _set(self) -> None:
        self._stack.update(
            {
                "AlarmEmail": ADDRESS,
                "AlarmTopicKmsKey": KEY,
                "AlarmWeeklyPaths": "250",
                "MetricsNamespace": "Web/CDN",
                "MetricsByDistribution": "true",
                "DailyPathBudget": "100",
                "Dashboard": "false",
            }
        )
        expect("subscriptions of the topic", [("email", ADDRESS)], self._subscriptions())
        expect("variables of the function", ("100", "Web/CDN", "true"), self._variables())
        alarms = self._stack.alarms()
        expect("threshold", 250, alarms["WeeklyPathsAlarm"]["Threshold"])
        namespaces = {alarms[name]["Namespace"] for name in (*OF_METRICS, "ErrorsAlarm")}
        expect("namespaces of the metrics", {"Web/CDN"}, namespaces)
        expect("URL of the dashboard", None, self._stack.outputs.get("DashboardUrl"))

    def _switch_off(self) -> None:
        self._stack.update({"MetricsNamespace": "none"})
        alarms = self._stack.alarms()
        expect("alarms", sorted(set(WITHOUT_SLACK) - OF_METRICS), sorted(alarms))
        # Lambda has a metric of the same name.
        errors = summary(alarms["ErrorsAlarm"])
        function = self._stack.resources()["Function"]
        expected = described("ErrorsAlarm", self._stack.resources())
        expected |= {"Namespace": "AWS/Lambda", "Dimensions": [{"Name": "FunctionName", "Value": function}]}
        expect("alarm", expected, errors)
        self._stack.update({"Alarms": "false", "AlarmEmail": ADDRESS, "AlarmTopicKmsKey": KEY})
        expect("alarms", {}, self._stack.alarms())
        expect("alarms on the dashboard", ("cloudfront-invalidator-us-east-1", []), self._dashboard())
        left = [name for name in (*self._stack.resources(), *self._stack.outputs) if "Alarm" in name]
        expect("other resources and outputs for alarms", [], left)

    def _refuse(self) -> None:
        for parameters in REFUSED:
            try:
                self._stack.update(parameters)
            except ClientError as error:
                self._stack.print_detail("refused", f"{parameters}: {error.response['Error']['Message']}")
            else:
                raise Mismatch(f"{parameters} are not refused")

    def _expect_alarms(self, names: list[str]) -> None:
        """Requires these alarms and no other, each as in `ALARMS`, with a description that ends with a heading."""
        alarms, resources = self._stack.alarms(), self._stack.resources()
        expect("alarms", names, sorted(alarms))
        for name, alarm in alarms.items():
            expect(name, described(name, resources), summary(alarm))
            page, _, anchor = alarm["AlarmDescription"].split()[-1].partition("#")
            expect(f"page in the description of {name}", ("docs/operations.md", True), (page, bool(anchor)))

    def _dashboard(self) -> tuple[str, list[str]]:
        """Returns the name of the only dashboard, and the ARNs of the alarms that it shows."""
        cloudwatch = self._stack.aws.client("cloudwatch")
        (entry,) = cloudwatch.list_dashboards()["DashboardEntries"]
        name = entry["DashboardName"]
        body = cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]
        widgets = json.loads(body)["widgets"]
        return name, sorted(alarm for widget in widgets for alarm in widget["properties"].get("alarms", []))

    def _notify_queue(self, bucket: str) -> None:
        queue = {"QueueArn": self._stack.outputs["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
        self._stack.notify(bucket, {"QueueConfigurations": [queue]})

    def _publish(self, *topics: str) -> None:
        for topic in topics:
            self._stack.aws.client("sns").publish(TopicArn=topic, Message="{}")

    def _take_senders(self, count: int) -> list[str]:
        """Takes all messages from the queue; returns the topic of each, or the event of S3."""
        self._queue.wait_for_count(count)
        bodies = [json.loads(message["Body"]) for message in self._queue.receive(count)]
        self._sqs().purge_queue(QueueUrl=self._stack.outputs["QueueUrl"])
        return sorted((body.get("TopicArn") or body["Event"] for body in bodies))

    def _user(self, name: str) -> Any:
        """Creates a user who may use all queues; returns a client of SQS with an access key of the user."""
        iam = self._stack.aws.client("iam")
        iam.create_user(UserName=name)
        statement = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="UseQueues", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return self._stack.aws.client(
            "sqs", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
        )

    def _who_receives(self, readers: dict[str, Any], queue: str) -> dict[str, bool]:
        """Returns whether each user receives a message of the queue; a received message stays visible."""
        received: dict[str, bool] = {}
        for name, sqs in readers.items():
            try:
                messages = sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0).get("Messages", [])
            except ClientError as error:
                self._stack.print_detail("denied", str(error))
                messages = []
            received[name] = bool(messages)
        return received

    def _queue_attributes(self) -> dict[str, str]:
        """Returns the attributes of the undelivered queue."""
        queue = self._stack.outputs["UndeliveredQueueUrl"]
        return self._sqs().get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]

    def _subscriptions(self) -> list[tuple[str, str]]:
        topic = self._stack.outputs["AlarmTopicArn"]
        subscriptions = self._stack.aws.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        return [(subscription["Protocol"], subscription["Endpoint"]) for subscription in subscriptions]

    def _variables(self) -> tuple[str, str, str]:
        function = self._stack.outputs["FunctionName"]
        configuration = self._stack.aws.client("lambda").get_function_configuration(FunctionName=function)
        variables = configuration["Environment"]["Variables"]
        return (variables["DAILY_PATH_BUDGET"], variables["METRICS_NAMESPACE"], variables["METRICS_BY_DISTRIBUTION"])

    def _account(self) -> str:
        return self._stack.outputs["FunctionArn"].split(":")[4]

    def _sqs(self) -> Any:
        return self._stack.aws.client("sqs")


def described(name: str, resources: dict[str, str]) -> Json:
    """Returns the expected description of an alarm, given the physical id of each resource."""
    namespace, metric, resource, statistic, period, periods, threshold = ALARMS[name]
    dimension = "QueueName" if namespace == "AWS/SQS" else "FunctionName"
    dimensions = [{"Name": dimension, "Value": resources[resource].rpartition("/")[2]}] if resource else []
    return {
        "Namespace": namespace,
        "MetricName": metric,
        "Dimensions": dimensions,
        "Statistic": statistic,
        "Period": period,
        "EvaluationPeriods": periods,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "ActionsEnabled": True,
        "AlarmActions": [resources["AlarmTopic"]],
    }


def summary(alarm: Json) -> Json:
    """Returns the fields of an alarm that `described` has."""
    absent = {"Dimensions": []}
    names = [
        "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods", "Threshold",
        "ComparisonOperator", "TreatMissingData", "ActionsEnabled", "AlarmActions",
    ]  # fmt: skip
    return {name: alarm.get(name, absent.get(name)) for name in names}
