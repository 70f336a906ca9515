//! Where the function opens its connections: at the endpoint to which the SDK sends the requests.

use aws_types::SdkConfig;
use cloudfront_invalidator::aws::cloudfront;
use cloudfront_invalidator::aws::codepipeline::CodePipeline;
use cloudfront_invalidator::aws::connections::{Connections, Trust};
use cloudfront_invalidator::aws::sdk::sdk_config;
use cloudfront_invalidator::clock::Clock;

use crate::recorder::Recorder;

/// The environment variables, and the endpoints of CloudFront and CodePipeline.
type Case = (
    &'static [(&'static str, &'static str)],
    Option<&'static str>,
    Option<&'static str>,
);

const CASES: [Case; 18] = [
    (&[], None, None),
    (
        &[("AWS_REGION", "us-east-1")],
        Some("https://cloudfront.amazonaws.com"),
        Some("https://codepipeline.us-east-1.amazonaws.com"),
    ),
    (
        &[("AWS_REGION", "eu-west-1")],
        Some("https://cloudfront.amazonaws.com"),
        Some("https://codepipeline.eu-west-1.amazonaws.com"),
    ),
    (
        &[("AWS_REGION", "cn-north-1")],
        Some("https://cloudfront.cn-northwest-1.amazonaws.com.cn"),
        Some("https://codepipeline.cn-north-1.amazonaws.com.cn"),
    ),
    (
        &[("AWS_REGION", "us-gov-west-1")],
        Some("https://cloudfront.amazonaws.com"),
        Some("https://codepipeline.us-gov-west-1.amazonaws.com"),
    ),
    (
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_USE_FIPS_ENDPOINT", "true"),
        ],
        Some("https://cloudfront-fips.amazonaws.com"),
        Some("https://codepipeline-fips.us-east-1.amazonaws.com"),
    ),
    (
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_USE_FIPS_ENDPOINT", "false"),
        ],
        Some("https://cloudfront.amazonaws.com"),
        Some("https://codepipeline.us-east-1.amazonaws.com"),
    ),
    (
        &[
            ("AWS_REGION", "us-gov-east-1"),
            ("AWS_USE_FIPS_ENDPOINT", "true"),
        ],
        Some("https://cloudfront-fips.amazonaws.com"),
        Some("https://codepipeline-fips.us-gov-east-1.amazonaws.com"),
    ),
    (
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ],
        Some("https://cloudfront.global.api.aws"),
        Some("https://codepipeline.us-east-1.api.aws"),
    ),
    (
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_USE_FIPS_ENDPOINT", "TRUE"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ],
        Some("https://cloudfront-fips.global.api.aws"),
        Some("https://codepipeline-fips.us-east-1.api.aws"),
    ),
    (
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", "http://localhost:4566"),
        ],
        Some("http://localhost:4566"),
        Some("http://localhost:4566"),
    ),
    (
        &[
            ("AWS_REGION", "us-east-1"),
            (
                "AWS_ENDPOINT_URL_CLOUDFRONT",
                "https://cloudfront.example.com",
            ),
        ],
        Some("https://cloudfront.example.com"),
        Some("https://codepipeline.us-east-1.amazonaws.com"),
    ),
    (
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", "http://localhost:4566"),
            (
                "AWS_ENDPOINT_URL_CODEPIPELINE",
                "https://codepipeline.example.com:8443",
            ),
        ],
        Some("http://localhost:4566"),
        Some("https://codepipeline.example.com:8443"),
    ),
    (
        &[
            ("AWS_REGION", "cn-north-1"),
            ("AWS_ENDPOINT_URL", ""),
            ("AWS_ENDPOINT_URL_CLOUDFRONT", ""),
        ],
        Some("https://cloudfront.cn-northwest-1.amazonaws.com.cn"),
        Some("https://codepipeline.cn-north-1.amazonaws.com.cn"),
    ),
    (
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
            ("AWS_ENDPOINT_URL", "http://localhost:4566"),
            ("AWS_ENDPOINT_URL_CODEPIPELINE", "http://localhost:4567"),
        ],
        Some("https://cloudfront.amazonaws.com"),
        Some("https://codepipeline.us-east-1.amazonaws.com"),
    ),
    // The SDK refuses an endpoint of FIPS or of both versions of IP that the user replaces.
    (
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_USE_FIPS_ENDPOINT", "true"),
            ("AWS_ENDPOINT_URL_CLOUDFRONT", "http://localhost:4566"),
        ],
        None,
        Some("https://codepipeline-fips.us-east-1.amazonaws.com"),
    ),
    (
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_USE_FIPS_ENDPOINT", "true"),
            ("AWS_ENDPOINT_URL", "http://localhost:4566"),
        ],
        None,
        None,
    ),
    (
        &[
            ("AWS_REGION", "us-east-1"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
            ("AWS_ENDPOINT_URL", "http://localhost:4566"),
        ],
        None,
        None,
    ),
];

#[tokio::test]
async fn the_endpoints_are_those_to_which_the_sdk_sends_its_requests() {
    for (variables, cloudfront, codepipeline) in CASES {
        let recorder = Recorder::offline();
        let sdk = sdk(variables.to_vec(), &recorder);
        let found = [
            cloudfront::endpoint_url(&sdk),
            CodePipeline::new(&sdk, Clock::system()).endpoint_url(),
        ];
        let sent = [
            sent_to_cloudfront(&sdk, &recorder).await,
            sent_to_codepipeline(&sdk, &recorder).await,
        ];
        let expected = [cloudfront, codepipeline].map(|url| url.map(str::to_owned));
        assert_eq!(found, expected, "{variables:?}");
        assert_eq!(sent, expected, "{variables:?}");
    }
}

#[tokio::test]
async fn codepipeline_is_called_where_the_sdk_calls_it_in_all_partitions() {
    const FIPS: (&str, &str) = ("AWS_USE_FIPS_ENDPOINT", "true");
    const DUAL_STACK: (&str, &str) = ("AWS_USE_DUALSTACK_ENDPOINT", "true");
    for region in [
        "us-east-1",
        "ap-southeast-5",
        "mx-central-1",
        "cn-northwest-1",
        "us-gov-east-1",
        "eusc-de-east-1",
        "us-iso-east-1",
        "us-isob-west-1",
        "eu-isoe-west-1",
        "us-isof-south-1",
        "unknown",
    ] {
        for options in [&[][..], &[FIPS], &[DUAL_STACK], &[FIPS, DUAL_STACK]] {
            let region = ("AWS_REGION", region);
            let variables: Vec<_> = options.iter().copied().chain([region]).collect();
            let recorder = Recorder::offline();
            let sdk = sdk(variables.clone(), &recorder);
            let found = CodePipeline::new(&sdk, Clock::system()).endpoint_url();
            assert!(found.is_some(), "{variables:?}");
            let sent = sent_to_codepipeline(&sdk, &recorder).await;
            assert_eq!(found, sent, "{variables:?}");
        }
    }
}

/// Configures the SDK as the function does.
fn sdk(variables: Vec<(&'static str, &'static str)>, recorder: &Recorder) -> SdkConfig {
    let variable = move |name: &str| {
        let keys = [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let mut variables = variables.iter().copied().chain(keys);
        let variable = variables.find(|(known, _)| *known == name);
        variable.map(|(_, value)| value.to_owned())
    };
    let sdk = sdk_config(variable, &Connections::new(Trust::System));
    sdk.into_builder().http_client(recorder.clone()).build()
}

async fn sent_to_cloudfront(sdk: &SdkConfig, recorder: &Recorder) -> Option<String> {
    let client = aws_sdk_cloudfront::Client::new(sdk);
    let response = client.list_distributions().send().await;
    response.expect_err("no response");
    endpoint(recorder, "/2020-05-31/distribution")
}

async fn sent_to_codepipeline(sdk: &SdkConfig, recorder: &Recorder) -> Option<String> {
    let client = aws_sdk_codepipeline::Client::new(sdk);
    let response = client.list_pipelines().send().await;
    response.expect_err("no response");
    endpoint(recorder, "/")
}

/// Returns the endpoint of the only request to this path, if there was one.
fn endpoint(recorder: &Recorder, path: &str) -> Option<String> {
    let sent = recorder.take();
    assert!(sent.len() <= 1, "{sent:?}");
    let endpoint = sent.first()?.uri.strip_suffix(path);
    Some(endpoint.expect("a URL with this path").to_owned())
}
