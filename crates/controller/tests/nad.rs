//! `multi-eni nad` as a process, as far as it needs no API server. `tests/real/stories/nad.rs` has the rest.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

/// The exit code, the standard output and the standard error.
fn nad(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni"));
    let output = command.arg("nad").args(args).env_clear().env("HOME", "/nowhere").output().unwrap();
    // The terminal's width breaks the sentences.
    let words = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), words)
}

#[test]
fn what_can_never_work_is_refused_before_anything_is_asked() {
    for (args, code, words) in [
        (&["--type", "macvlan"][..], 2, "macvlan does not work on EC2: EC2 delivers to an ENI only frames for"),
        (&["--type", "bridge"], 2, "the plugins are host-device and ipvlan"),
        (&["--type", "ipvlan", "--ipam", "dhcp"], 2, "--ipam is for --type host-device"),
        (&["-n", "Bad_NS"], 2, "no namespace can have this name: it has at most 63 lower-case letters"),
        (&["-f", "/does/not/exist"], 1, "cannot read /does/not/exist"),
    ] {
        let (found, stdout, stderr) = nad(args);
        assert_eq!((found, stdout.as_str()), (Some(code), ""), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    }
}
