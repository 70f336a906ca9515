//! Each sample in `events/`, run by `cf-invalidate invoke`: what CloudFront receives, and what the function returns.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::environment::{Environment, account};

/// The distribution of the samples, with the bucket `example-site`.
const DISTRIBUTION: &str = "E2EXAMPLE1ABCD";

/// A file in `events/`, and what follows from it.
struct Sample {
    file: &'static str,
    /// The paths that CloudFront receives; empty if no invalidation is created.
    paths: &'static [&'static str],
    /// What the function returns.
    answer: Answer,
}

/// What the function returns.
enum Answer {
    /// A text, which contains this one.
    Text(&'static str),
    /// A partial batch response with this message to retry, which is exit code 1.
    Retry(&'static str),
    /// The object of `create`, with this status of the only distribution.
    Created(&'static str),
    /// The object of `status`, of an invalidation in progress.
    Status,
}

const SAMPLES: [Sample; 13] = [
    Sample {
        file: "amazon-q.json",
        paths: &["/blog/*"],
        answer: Answer::Created("InProgress"),
    },
    Sample {
        file: "codepipeline-job.json",
        paths: &["/blog/*", "/index.html"],
        answer: Answer::Text("submitted"),
    },
    Sample {
        file: "direct-keys.json",
        paths: &[
            "/",
            "/blog/my%20first%20post.html",
            "/blog/my+first+post.html",
            "/index.html",
        ],
        answer: Answer::Created("InProgress"),
    },
    Sample {
        file: "direct-paths.json",
        paths: &["/blog/*", "/index.html"],
        answer: Answer::Created("Completed"),
    },
    Sample {
        file: "direct-status.json",
        paths: &["/a"],
        answer: Answer::Status,
    },
    Sample {
        file: "eventbridge-object-deleted.json",
        paths: &["/blog/my%20old%20post.html", "/blog/my+old+post.html"],
        answer: Answer::Text("submitted"),
    },
    Sample {
        file: "eventbridge-rule.json",
        paths: &["/news/", "/news/launch"],
        answer: Answer::Created("InProgress"),
    },
    Sample {
        file: "s3-object-created.json",
        paths: &["/blog/my%20first%20post.html", "/blog/my+first+post.html"],
        answer: Answer::Text("submitted"),
    },
    Sample {
        file: "s3-test-event.json",
        paths: &[],
        answer: Answer::Text("nothing to invalidate"),
    },
    Sample {
        file: "scheduler.json",
        paths: &["/*"],
        answer: Answer::Created("InProgress"),
    },
    Sample {
        file: "sns-notification.json",
        paths: &["/blog/index.html"],
        answer: Answer::Text("submitted"),
    },
    Sample {
        file: "sqs-batch.json",
        // Messages of long ago are a backlog, for which one path has to do.
        paths: &["/*"],
        answer: Answer::Retry("2e1424d4-f796-459a-8184-9c92662be6d5"),
    },
    Sample {
        file: "step-functions.json",
        paths: &["/blog/*", "/index.html"],
        answer: Answer::Created("InProgress"),
    },
];

fn environment(name: &str) -> Environment {
    let configuration = include_str!("../distributions/legacy.xml");
    let configuration = configuration.replace("site.s3", "example-site.s3");
    let document = format!("distribution/{DISTRIBUTION}/config");
    let options = account()
        .with_distribution(DISTRIBUTION)
        .with_document(&document, &configuration);
    let mut environment = Environment::with_options(name, options);
    environment.set("AWS_LAMBDA_LOG_LEVEL", "FATAL");
    environment
}

fn directory(name: &str) -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let files = fs::read_dir(directory).expect("a directory");
    let files = files.map(|file| file.expect("a file"));
    let texts = files.filter_map(|file| {
        let name = file.file_name().into_string().expect("UTF-8");
        Some((name, fs::read_to_string(file.path()).ok()?))
    });
    texts.collect()
}

/// Runs the event and returns what the function returns, which is compared with the schema.
fn invoke(environment: &mut Environment, event: &Value, code: i32) -> Value {
    environment.write("event.json", &event.to_string());
    let line = format!("invoke event.json -d {DISTRIBUTION} --output json");
    let output = environment.run(&line);
    assert_eq!(output.code, code, "{event}: {}", output.stderr);
    let output: Value = serde_json::from_str(&output.stdout).expect("JSON");
    output["answer"].clone()
}

/// Replaces the ids of what AWS has, and the sample names.
fn with_existing_ids(environment: &mut Environment, mut event: Value) -> Value {
    if let Some(job) = event.get_mut("CodePipeline.job") {
        job["id"] = environment.standin.start_job(None).id.into();
    }
    if event.get("invalidation").is_some() {
        let created = invoke(environment, &json!({"paths": "/a"}), 0);
        event["invalidation"] = created["distributions"][0]["id"].clone();
    }
    event
}

#[test]
fn each_sample_runs() {
    let files: BTreeSet<_> = directory("events")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let listed = SAMPLES.map(|sample| sample.file.to_owned());
    assert_eq!(files, BTreeSet::from(listed));
    for Sample {
        file,
        paths,
        answer,
    } in SAMPLES
    {
        let mut environment = environment(&format!("sample-{file}"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("events")
            .join(file);
        let event = fs::read_to_string(path).expect("a sample");
        let event = serde_json::from_str(&event).expect("JSON");
        let event = with_existing_ids(&mut environment, event);
        let code = i32::from(matches!(answer, Answer::Retry(_)));
        let returned = invoke(&mut environment, &event, code);
        let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
        let expected = match paths.is_empty() {
            true => Vec::new(),
            false => vec![(DISTRIBUTION.to_owned(), paths)],
        };
        assert_eq!(environment.accepted(), expected, "{file}");
        match answer {
            Answer::Text(text) => {
                let returned = returned.as_str().expect("a text");
                assert!(returned.contains(text), "{file}: {returned}");
            }
            Answer::Retry(message) => {
                let failures = json!({"batchItemFailures": [{"itemIdentifier": message}]});
                assert_eq!(returned, failures, "{file}");
            }
            Answer::Created(status) => {
                let distributions = returned["distributions"].as_array().expect("an array");
                let statuses = distributions.iter().map(|output| output["status"].as_str());
                let statuses: Vec<_> = statuses.collect();
                assert_eq!(statuses, [Some(status)], "{file}: {returned:#}");
                assert_eq!(returned["warnings"], json!([]), "{file}");
            }
            Answer::Status => {
                let status = &returned["invalidations"][0];
                assert_eq!(status["id"], event["invalidation"], "{file}");
                assert_eq!(status["status"], "InProgress", "{file}");
            }
        }
    }
}

#[test]
fn the_documentation_links_each_sample() {
    let pages = directory("docs");
    for Sample { file, .. } in SAMPLES {
        let link = format!("](../events/{file})");
        let is_linked = pages.iter().any(|(_, page)| page.contains(&link));
        assert!(is_linked, "no page in docs/ links {file}");
    }
}

/// The values that differ from run to run.
fn without_times(mut object: Value) -> Value {
    for list in ["distributions", "invalidations"] {
        let outputs = object.get_mut(list).and_then(Value::as_array_mut);
        for output in outputs.into_iter().flatten() {
            for field in ["created", "seconds"] {
                if let Some(value) = output.get_mut(field).filter(|value| !value.is_null()) {
                    *value = json!("varies");
                }
            }
        }
    }
    object
}

#[test]
fn the_documentation_shows_what_the_function_returns() {
    let page = include_str!("../../docs/direct.md");
    let blocks = page.split("```json\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default());
    let objects = blocks.map(|block| serde_json::from_str::<Value>(block).expect("JSON"));
    let objects: Vec<_> = objects.map(without_times).collect();
    let has = |field: &'static str| {
        let objects = objects.iter().cloned();
        objects.filter(move |object| object.get(field).is_some())
    };
    let (shown, errors): (Vec<_>, Vec<_>) =
        (has("exit_code").collect(), has("errorType").collect());
    let mut environment = environment("sample-documentation");
    let sample = |text| serde_json::from_str(text).expect("JSON");
    let paths = sample(include_str!("../../events/direct-paths.json"));
    let created = invoke(&mut environment, &paths, 0);
    let id = created["distributions"][0]["id"].clone();
    let mut status: Value = sample(include_str!("../../events/direct-status.json"));
    status["invalidation"] = id;
    let status = invoke(&mut environment, &status, 0);
    let returned = [created, status];
    let text = returned.each_ref().map(|object| format!("{object:#}"));
    let returned = returned.map(without_times);
    assert_eq!(shown, returned, "{}", text.join("\n"));

    let invalid = json!({"paths": "/a", "distributions": DISTRIBUTION});
    environment.write("event.json", &invalid.to_string());
    let output = environment.run("invoke event.json --output json");
    assert_eq!(output.code, 1);
    let output: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let (kind, message) = (&output["error"]["kind"], &output["error"]["message"]);
    let error = json!({"errorType": kind, "errorMessage": message});
    assert_eq!(errors, [error]);
}
