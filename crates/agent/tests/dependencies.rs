//! The agent runs on every node, as root. It has no code of AWS: it calls no EC2 and no instance metadata.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

use std::path::PathBuf;
use std::process::Command;

#[test]
fn the_agent_links_no_aws_and_no_controller() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--package",
            "multi-eni-agent",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"netlink-packet-route") && names.contains(&"multi-eni-api"), "{names:?}");
    // aws-lc is a library of cryptography, for TLS with the API server.
    let is_aws = |name: &&&str| name.starts_with("aws-") && !name.starts_with("aws-lc-");
    let ours = ["multi-eni-ec2", "multi-eni-controller", "multi-eni-plan", "multi-eni-sim"];
    let found: Vec<_> = names.iter().filter(|name| is_aws(name) || ours.contains(name)).collect();
    assert_eq!(found, Vec::<&&str>::new());
}

/// The source files of the agent, with their texts.
fn sources() -> Vec<(PathBuf, String)> {
    let mut paths = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut sources = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            sources.push((path, text));
        }
    }
    sources
}

#[test]
fn only_the_netlink_module_uses_netlinks_crates() {
    let mut seen = 0;
    for (path, text) in sources() {
        let uses = text.contains("netlink_packet") || text.contains("netlink_sys");
        let is_inside = path.parent().is_some_and(|parent| parent.ends_with("netlink"));
        assert!(!uses || is_inside, "{}", path.display());
        seen += usize::from(uses);
    }
    assert!(seen >= 4);
}

/// The agent decides by its ENIAttachments, and never asks the instance metadata service.
#[test]
fn no_source_of_the_agent_names_the_instance_metadata_service() {
    let sources = sources();
    assert!(sources.len() > 50, "{} files", sources.len());
    // Also as numbers, and in the forms that Rust writes addresses in. Of fd00:ec2::254 it is the last number: the network fd00:ec2::/32,
    // to which no route in the table main may lead, is not the service.
    let numbers = ["169, 254, 169, 254", "0xa9fe_a9fe", "0xa9fea9fe", "0x254", "0x0254"];
    for form in ["169.254.169.254", "fd00:ec2::254"].iter().chain(&numbers) {
        for (path, text) in &sources {
            assert!(!text.to_lowercase().contains(form), "{}: {form}", path.display());
        }
    }
}
