//! `multi-eni iam-policy` as a process. Each policy is checked by `tests/iam_policy/check.py` against AWS's service authorization
//! reference: actions, resource types, condition keys and their operators.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use serde_json::{Map, Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

const UID: &str = "0b9c0cb1-3a1f-4f5e-9d55-6a5ff4bd6a2b";
const BY_ID: &str = "
apiVersion: networking.k8s.aws/v1alpha1
kind: NodeENI
metadata: {name: a}
spec:
  nodeSelector: {ng: multi-eni}
  subnetIDs: [subnet-0f59b4f14737be9ad, subnet-abcdef1234567890]
  securityGroupIDs: [sg-05da196f3314d4af8]
";

fn iam_policy(args: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni"));
    command.arg("iam-policy").args(args).env_clear();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Without -f the command does not read its input, so this may fail.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

/// The policy, and the standard error.
fn printed(args: &[&str], stdin: &str) -> (Value, String) {
    let output = iam_policy(args, stdin);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {stderr}");
    (serde_json::from_slice(&output.stdout).unwrap(), stderr)
}

/// The problems that the reference shows in these policies.
fn problems(policies: &Value) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/iam_policy/check.py");
    let python = python();
    // -B keeps __pycache__ out of the checkout.
    let output = Command::new(&python).args(["-B", script, &policies.to_string()]).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || !stdout.is_empty(), "{script} by {python}: {stderr}");
    stdout
}

/// The Python interpreter: `MULTI_ENI_PYTHON`, or the one of `tools/python-venv`.
fn python() -> String {
    std::env::var("MULTI_ENI_PYTHON").unwrap_or_else(|_| {
        let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/python-venv");
        let made = Command::new(tool).output().unwrap_or_else(|error| panic!("cannot run {tool}: {error}"));
        assert!(made.status.success(), "no Python: {}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    })
}

#[test]
fn every_policy_agrees_with_the_service_authorization_reference() {
    let by_name = BY_ID.replace("securityGroupIDs: [sg-05da196f3314d4af8]", "securityGroupNames: [storage]");
    let mut policies = Map::new();
    for uid in [&[][..], &["--cluster-uid", UID]] {
        for vpc in [&[][..], &["--vpc", "vpc-0a1b2c3d4e5f60718"]] {
            for (file, stdin) in [(&[][..], ""), (&["-f", "-"], BY_ID), (&["-f", "-"], by_name.as_str())] {
                let args = [uid, vpc, file].concat();
                let named = format!("{args:?} {}", if stdin == by_name { "by name" } else { "" });
                assert!(policies.insert(named, printed(&args, stdin).0).is_none());
            }
        }
    }
    for partition in ["aws", "aws-cn", "aws-us-gov"] {
        let args = ["--partition", partition, "--cluster-uid", UID, "--vpc", "vpc-0a1b2c3d4e5f60718", "-f", "-"];
        let (policy, _) = printed(&args, BY_ID);
        let text = policy.to_string();
        assert_eq!(text.matches("arn:").count(), text.matches(&format!("arn:{partition}:ec2:")).count(), "{text}");
        assert!(policies.insert(partition.to_owned(), policy).is_none());
    }
    assert_eq!(policies.len(), 15);
    assert_eq!(problems(&Value::Object(policies)), "");
}

/// The check finds each kind of mistake that it looks for.
#[test]
fn the_check_finds_mistakes() {
    let (good, _) = printed(&["--vpc", "vpc-0a1b2c3d4e5f60718"], "");
    let changed = |from: &str, to: &str| {
        let text = good.to_string();
        assert!(text.contains(from), "{from}: {text}");
        serde_json::from_str::<Value>(&text.replace(from, to)).unwrap()
    };
    for (policy, expected) in [
        (changed("ec2:DescribeSubnets", "ec2:DescribeSubnet"), "DescribeSubnet is no action of EC2"),
        (changed(":instance/*", ":instances/*"), "does not support the resource arn:aws:ec2:*:*:instances/*"),
        (
            changed(":instance/*", ":instances/*"),
            "AttachNetworkInterface needs a statement for the resource type instance",
        ),
        (
            changed(":subnet/*", ":instance/*"),
            "CreateNetworkInterface does not support the resource arn:aws:ec2:*:*:instance/*",
        ),
        (changed("aws:RequestTag/", "ec2:Vpc/"), "does not support the condition key ec2:Vpc/"),
        (changed("ec2:CreateAction", "ec2:CreatAction"), "does not support the condition key ec2:CreatAction"),
        (changed("ArnLike", "StringEquals"), "StringEquals does not fit the condition key ec2:Vpc"),
        (
            changed("ForAllValues:StringNotEquals", "StringNotEquals"),
            "StringNotEquals does not fit the condition key aws:TagKeys",
        ),
        (changed("ec2:CreateTags", "ec2:DeleteTags"), "CreateNetworkInterface needs ec2:CreateTags"),
        (changed("arn:aws:ec2:*:*:instance/*", "*"), "AttachNetworkInterface can be limited to resources, and has *"),
        (changed("GroupsOfModify", "Groups of Modify"), "a Sid has letters and digits"),
    ] {
        let found = problems(&json!({ "changed": policy }));
        assert!(found.lines().any(|line| line.contains(expected)), "{expected}: {found}");
    }
}

#[test]
fn another_partition_is_refused() {
    for bad in ["aws-iso", "AWS", ""] {
        let output = iam_policy(&["--partition", bad], "");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), [].as_slice()), "{stderr}");
        assert!(stderr.contains("is not a partition: use aws, aws-cn or aws-us-gov"), "{stderr}");
    }
}

#[test]
fn the_command_says_what_it_cannot_limit() {
    let (policy, stderr) = printed(&["--cluster-uid", UID, "-f", "-"], BY_ID);
    assert_eq!(stderr, "");
    let text = policy.to_string();
    for id in
        ["subnet/subnet-0f59b4f14737be9ad", "subnet/subnet-abcdef1234567890", "security-group/sg-05da196f3314d4af8"]
    {
        assert!(text.contains(id), "{text}");
    }
    assert!(!text.contains("subnet/*") && !text.contains("security-group/*") && text.contains(UID), "{text}");

    let by_name = BY_ID.replace("securityGroupIDs: [sg-05da196f3314d4af8]", "securityGroupNames: [storage]");
    let (policy, stderr) = printed(&["--vpc", "vpc-0a1b2c3d4e5f60718", "-f", "-"], &by_name);
    assert!(stderr.contains("NodeENI a has securityGroupNames, which a policy cannot name"), "{stderr}");
    assert!(stderr.contains("instances are not limited to the VPC"), "{stderr}");
    let text = policy.to_string();
    assert!(text.contains("security-group/*") && !text.contains("subnet/*"), "{text}");

    // Four NodeENIs of 50 subnets: one has at most 64.
    let many = (0..4).map(|n| {
        let subnets: Vec<String> = (0..50).map(|m| format!("subnet-{:017x}", n * 50 + m)).collect();
        BY_ID.replace("subnet-0f59b4f14737be9ad", &subnets.join(", "))
    });
    let (_, stderr) = printed(&["-f", "-"], &many.collect::<Vec<_>>().join("---\n"));
    assert!(stderr.contains("IAM allows 6144 in a managed policy"), "{stderr}");
}

#[test]
fn a_list_as_kubectl_prints_it_gives_the_policy_of_its_nodeenis() {
    let item = BY_ID.trim().replace("metadata: {name: a}", "metadata: {name: a, uid: u, resourceVersion: '7'}");
    let item = format!("- {}\n  status: {{ready: 3}}\n", item.replace('\n', "\n  "));
    let list = format!("apiVersion: v1\nkind: List\nmetadata: {{resourceVersion: ''}}\nitems:\n{item}");
    assert_eq!(printed(&["-f", "-"], &list), printed(&["-f", "-"], BY_ID));
}

#[test]
fn bad_input_is_refused() {
    let no_spec = "apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {name: a}\n";
    for (args, stdin, code, words) in [
        (&["--cluster-uid", "${aws:username}"][..], "", 2, "is not the UID of a cluster"),
        (&["--vpc", "subnet-12345678"], "", 2, "is not a VPC ID"),
        (&["-f", "/does/not/exist"], "", 1, "cannot read /does/not/exist"),
        (&["-f", "-"], "kind: Pod\n", 1, "only NodeENIs are accepted, not Pod"),
        (&["-f", "-"], "kind: NodeENI\nmetadata: {name: a}\nspec: {}\n", 1, "would be refused: apiVersion is \"\""),
        (&["-f", "-"], no_spec, 1, "NodeENI a would be refused: spec is missing"),
        (&["-f", "-"], &BY_ID.replace("subnetIDs", "subnetIds"), 1, "would be refused: unknown field spec.subnetIds"),
        (&["-f", "-"], &BY_ID.replace("subnet-0f", "sg-0f"), 1, "every entry of subnetIDs must be a subnet ID"),
        (
            &["-f", "-"],
            &BY_ID.replace("sg-05", "s-05"),
            1,
            "every entry of securityGroupIDs must be a security group ID",
        ),
    ] {
        let output = iam_policy(args, stdin);
        // The width of the terminal breaks the sentences.
        let stderr = String::from_utf8_lossy(&output.stderr).replace('│', " ");
        let stderr = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    }
}
