//! A guard of the table: no file of `plan`, `ec2` and `controller` compares text with words of its own, unless the text is no message of EC2.

use std::path::{Path, PathBuf};

/// Methods that compare a text with a part of it.
const METHODS: &[&str] = &[
    "contains",
    "starts_with",
    "ends_with",
    "strip_prefix",
    "strip_suffix",
    "split",
    "split_once",
    "rsplit_once",
    "find",
    "matches",
    "eq_ignore_ascii_case",
];

/// What may be compared with words outside the table: the file, the words, and what the text is.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("plan/src/ec2_errors.rs", "Throttl", "an error code"),
    ("plan/src/ec2_errors.rs", "InvalidParameter", "an error code"),
    ("plan/src/ec2_errors.rs", ".Malformed", "an error code"),
    ("plan/src/ec2_errors.rs", "LimitExceeded", "an error code"),
    ("plan/src/call_trouble.rs", "credential", "an error of the SDK, before anything is sent"),
    ("plan/src/lifecycle/advice.rs", "IpAddressLimitExceeded", "an error code"),
    ("plan/src/ec2_messages.rs", "subnet/", "a word of a message that names a subnet, whatever the message is"),
    ("plan/src/spec_validation.rs", "aws:", "the key of a tag"),
    ("plan/src/pods.rs", "name", "a field of Multus' annotation"),
    ("plan/src/unknown_fields.rs", "errors:", "a message of the API server"),
    ("plan/src/unknown_fields.rs", ": field not declared in schema", "a message of the API server"),
    ("plan/src/unknown_fields.rs", "unknown field \\", "a message of the API server"),
    ("controller/src/nodeeni_values.rs", "spec.rollout.", "the path of a field"),
    ("controller/src/node_and_pod.rs", "eks-hybrid:", "a providerID"),
    ("controller/src/node_and_pod.rs", "fargate-", "a providerID"),
    ("controller/src/node_and_pod.rs", "aws://", "a providerID"),
    ("controller/src/metrics/process.rs", "btime ", "a file of Linux"),
    ("controller/src/metrics/process.rs", "Max open files", "a file of Linux"),
    ("controller/src/cli/iam_policy/named.rs", "subnet", "the name of a field"),
    ("controller/src/cli/iam_policy/named.rs", "securityGroup", "the name of a field"),
    ("controller/src/cli/api_error.rs", " cannot ", "a message of the API server"),
    ("controller/src/cli/api_error.rs", " resource ", "a message of the API server"),
    ("controller/src/cli/drain/mod.rs", "yes", "the answer of a user"),
];

/// What is no part of the product: the sandbox plays EC2 itself, and the other file is a test.
const LEFT_OUT: &[&str] = &["controller/src/sandbox", "controller/src/metrics/reference_docs.rs"];

/// All Rust files below the directory that are not tests.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !name.ends_with("tests") {
            found.push(path);
        }
    }
    found
}

/// The string literals with letters that the code gives to one of the methods. Unit tests in the file are left out.
fn compared(code: &str) -> Vec<String> {
    let code = code.split("mod tests {").next().unwrap();
    let mut found = Vec::new();
    for method in METHODS {
        for argument in code.split(&format!(".{method}(")).skip(1) {
            let Some(literal) = argument.trim_start().strip_prefix('"') else { continue };
            let literal = literal.split('"').next().unwrap();
            if literal.chars().any(char::is_alphabetic) {
                found.push(literal.to_owned());
            }
        }
    }
    found
}

#[test]
fn words_of_messages_are_in_the_table_only() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = ["plan/src", "ec2/src", "controller/src"].map(|of| sources(&crates.join(of))).concat();
    assert!(files.len() > 250, "{} files", files.len());
    let mut unused = ALLOWED.to_vec();
    for file in files {
        let name = file.strip_prefix(crates).unwrap().to_string_lossy().into_owned();
        if LEFT_OUT.iter().any(|left_out| name.starts_with(left_out)) {
            continue;
        }
        for words in compared(&std::fs::read_to_string(&file).unwrap()) {
            let is_allowed = ALLOWED.iter().any(|(file, allowed, _)| (*file, *allowed) == (&name, &words));
            assert!(is_allowed, "{name} compares with {words:?}: give ec2_message_table.rs a row, or list it here");
            unused.retain(|(file, allowed, _)| (*file, *allowed) != (&name, &words));
        }
    }
    assert!(unused.is_empty(), "no longer in the code: {unused:?}");
}

#[test]
fn a_comparison_on_two_lines_is_found() {
    assert_eq!(compared("if text.contains(\n    \"in use\") || text.split(\": \").count() > 1 {}"), ["in use"]);
    assert!(compared("#[cfg(test)]\nmod tests {\n text.contains(\"in use\") }").is_empty());
}
