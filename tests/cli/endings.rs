//! How it ends when it does not end well: a code for the script, a sentence for the person.

use std::time::Duration;

use crate::bed::{Bed, FIRST, account};
use crate::standin::{Fault, Operation, Options};

/// More often than the SDK tries.
const ALWAYS: u64 = 9;

fn ends(bed: &mut Bed, line: &str, code: i32) {
    let ran = bed.run(line);
    assert_eq!(ran.code, code, "{line}: {}", ran.stderr);
}

#[test]
fn refused_or_failed_is_1() {
    let mut bed = Bed::new("ending-1");
    bed.standin.refuse_paths(&["/refused"]);
    ends(&mut bed, &format!("create -d {FIRST} /refused"), 1);
    ends(&mut bed, "create -d E1EXAMPLE1ABD /a", 1);
    ends(&mut bed, "create -d ww.example.com /a", 1);
    ends(
        &mut bed,
        &format!("status -d {FIRST} INONE --output json"),
        1,
    );
    bed.standin
        .fail(Operation::CreateInvalidation, Fault::InternalError, ALWAYS);
    ends(&mut bed, &format!("create -d {FIRST} /a --no-checks"), 1);
    // Nothing listens on the discard port.
    bed.set("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    ends(&mut bed, &format!("create -d {FIRST} /a --no-checks"), 1);
    bed.snapshot("ending-1");
}

#[test]
fn what_makes_no_sense_is_2() {
    let mut bed = Bed::new("ending-2");
    for line in [
        "create",
        &format!("create -d {FIRST}"),
        &format!("create -d {FIRST} /*/a"),
        "create -d blog /a",
        "create /a --wait=soon",
        "create /a --max-wildcards 16",
        "create /a --batch x.json",
        "create --keys-from - --paths-from -",
        "create --paths-from missing.txt",
        "plan",
        "usage --month 2026-13",
        "invoke missing.json",
        "crate /a",
    ] {
        ends(&mut bed, line, 2);
    }
    assert_eq!(bed.taken(), []);
    bed.snapshot("ending-2");
}

#[test]
fn submitted_but_not_completed_in_time_is_3() {
    let options = Options {
        completes_after: Duration::from_secs(3_600),
        ..account()
    };
    let mut bed = Bed::with("ending-3", options);
    ends(&mut bed, &format!("create -d {FIRST} /a --wait=1s"), 3);
    ends(
        &mut bed,
        &format!("status -d {FIRST} --wait=1s --output json"),
        3,
    );
    bed.standin
        .fail(Operation::GetInvalidation, Fault::AccessDenied, ALWAYS);
    ends(
        &mut bed,
        &format!("create -d {FIRST} /b --wait --no-checks"),
        3,
    );
    assert_eq!(bed.taken().len(), 2);
    bed.snapshot("ending-3");
}

#[test]
fn busy_is_4() {
    let mut bed = Bed::new("ending-4");
    let create = format!("create -d {FIRST} /a --no-checks");
    bed.standin.fail(
        Operation::CreateInvalidation,
        Fault::TooManyInvalidationsInProgress,
        1,
    );
    ends(&mut bed, &create, 4);
    bed.standin
        .fail(Operation::CreateInvalidation, Fault::Throttling, ALWAYS);
    ends(&mut bed, &format!("{create} --output json"), 4);
    bed.snapshot("ending-4");
}

#[test]
fn no_permission_or_no_credentials_is_5() {
    let mut bed = Bed::new("ending-5");
    bed.standin
        .fail(Operation::CreateInvalidation, Fault::AccessDenied, 1);
    ends(&mut bed, &format!("create -d {FIRST} /a --no-checks"), 5);
    bed.standin
        .fail(Operation::ListDistributions, Fault::AccessDenied, 1);
    ends(&mut bed, "distributions --output json", 5);
    // A profile that is named goes before the environment.
    ends(&mut bed, &format!("create -d {FIRST} /a --profile none"), 5);
    bed.write(".aws/config", "[profile sso]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n\
         [sso-session s]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n");
    ends(&mut bed, &format!("create -d {FIRST} /a --profile sso"), 5);
    bed.unset("AWS_ACCESS_KEY_ID");
    ends(&mut bed, &format!("create -d {FIRST} /a"), 5);
    ends(&mut bed, &format!("list -d {FIRST} --output json"), 5);
    assert_eq!(bed.taken(), []);
    bed.snapshot("ending-5");
}
