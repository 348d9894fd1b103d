//! A guard of the reference: its tables have each condition type and each reason that the controller can say, and no others. A reason is
//! a CamelCase literal in the code that decides or reports; a word of a table is one in the first column, in backticks.

use super::path_of;
use std::collections::BTreeSet;
use std::path::Path;

/// The pages with tables of reasons. The reasons of the node agent, which the code has as a type, are in docs/node-agent.md.
const PAGES: &[&str] = &["docs/reference/nodeeni.md", "docs/reference/plan.md"];

/// The code that decides on conditions, Events and the lines of a plan.
const SOURCES: &[&str] = &["crates/plan/src", "crates/controller/src/reconcile"];

/// Files and directories of `SOURCES` that say no reason: they have words of EC2, IAM and Multus.
const OTHER_SOURCES: &[&str] = &[
    "crates/plan/src/attach_trace",
    "crates/plan/src/ec2_errors.rs",
    "crates/plan/src/ec2_message_table.rs",
    "crates/plan/src/iam_policy",
    "crates/plan/src/iam_policy.rs",
    "crates/plan/src/invariants",
    "crates/plan/src/nad",
    "crates/plan/src/node_selector.rs",
];

/// CamelCase literals in the other files that are no reasons.
const OTHER_WORDS: &[(&str, &[&str])] = &[
    ("the status of a condition", &["True", "False"]),
    ("an action of an Event", &["Attach", "Delete", "Detach", "Reconcile"]),
    ("a noun that is counted", &["ENIAttachment", "IPv4", "IPv6", "NodeENI"]),
    ("a tag of EC2", &["Name"]),
    ("a reason of the node agent", &["NotManaged", "Restored"]),
    (
        "an EC2 call",
        &[
            "AttachNetworkInterface",
            "CreateNetworkInterface",
            "CreateTags",
            "DeleteTags",
            "DescribeInstanceTypes",
            "DescribeInstances",
            "DescribeSecurityGroups",
            "DescribeSubnets",
            "ModifyNetworkInterfaceAttribute",
        ],
    ),
    (
        "an error code",
        &[
            "AttachmentLimitExceeded",
            "AuthFailure",
            "IpAddressLimitExceeded",
            "NetworkInterfaceLimitExceeded",
            "NotSent",
            "PrivateIpAddressLimitExceeded",
        ],
    ),
];

/// Whether a word is CamelCase: a capital, then letters and digits, with at least one small letter.
fn is_camel_case(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(|char| char.is_ascii_alphanumeric())
        && word.contains(|char: char| char.is_ascii_lowercase())
}

/// The CamelCase literals of code. Comments and the unit tests of the file are left out.
fn literals(code: &str) -> BTreeSet<String> {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    let parts = lines.flat_map(|line| line.split('"').collect::<Vec<_>>());
    parts.filter(|part| is_camel_case(part)).map(str::to_owned).collect()
}

/// The CamelCase words in backticks in the first column of each table whose first heading begins so.
fn words_of_tables(page: &str, heading: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_such_a_table = false;
    let mut before = "";
    for line in page.lines() {
        let first = line.strip_prefix("| ").and_then(|row| row.split(" |").next());
        if let Some(first) = first {
            is_such_a_table = if before.starts_with('|') { is_such_a_table } else { first.starts_with(heading) };
            let words = first.split('`').skip(1).step_by(2).filter(|word| is_such_a_table && is_camel_case(word));
            found.extend(words.map(str::to_owned));
        }
        before = line;
    }
    found
}

/// The literals of all Rust files below a directory that are not tests.
fn literals_below(directory: &Path, found: &mut BTreeSet<String>) {
    let root = path_of("");
    let is_other = |path: &Path| OTHER_SOURCES.iter().any(|other| *path == root.join(other));
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if is_other(&path) || name.ends_with("tests") {
            continue;
        }
        if path.is_dir() {
            literals_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(literals(&std::fs::read_to_string(&path).unwrap()));
        }
    }
}

fn documented(heading: &str) -> BTreeSet<String> {
    let pages = PAGES.iter().map(|page| std::fs::read_to_string(path_of(page)).unwrap());
    pages.flat_map(|page| words_of_tables(&page, heading)).collect()
}

#[test]
fn the_reference_has_each_reason_of_the_code_and_no_other() {
    let mut said = BTreeSet::new();
    SOURCES.iter().for_each(|source| literals_below(&path_of(source), &mut said));
    for (what, words) in OTHER_WORDS {
        for word in *words {
            assert!(said.remove(*word), "{word} ({what}) is no longer in the code: take it off the list");
        }
    }
    let documented = documented("reason");
    let missing: Vec<&String> = said.difference(&documented).collect();
    let gone: Vec<&String> = documented.difference(&said).collect();
    assert!(missing.is_empty(), "{missing:?}: give each a row in a table of {PAGES:?}, or add it to OTHER_WORDS");
    assert!(gone.is_empty(), "the code has no reason {gone:?}: take it off the table");
}

#[test]
fn the_reference_has_each_condition_type_of_the_code_and_no_other() {
    let code = std::fs::read_to_string(path_of("crates/api/src/conditions.rs")).unwrap();
    let (_, types) = code.split_once("pub mod types {").unwrap();
    let types = literals(types.split_once("\n}\n").unwrap().0);
    assert!(types.len() > 5, "{types:?}");
    assert_eq!(documented("condition"), types);
}

#[test]
fn literals_of_comments_and_unit_tests_do_not_count() {
    let code = "say(\"AllReady\", \"not a word\", \"EC2\"); // \"Comment\"\n#[cfg(test)]\nmod tests {\n \"Test\" }";
    assert_eq!(literals(code), BTreeSet::from(["AllReady".to_owned()]));
}

#[test]
fn only_the_first_column_of_a_table_with_the_heading_counts() {
    let page = "| reason | meaning |\n|---|---|\n| `A1a`, `Bb` | `Cc` |\n\n`Dd`\n\n| field | what |\n|---|---|\n| `Ee` | f |\n";
    let expected = ["A1a", "Bb"].map(str::to_owned);
    assert_eq!(words_of_tables(page, "reason"), BTreeSet::from(expected));
    assert_eq!(words_of_tables(page, "condition"), BTreeSet::new());
}
