//! What the commands say if there is no usable kubeconfig, as processes.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

/// The exit code and the standard error of a command outside a cluster, without a home directory.
fn run(args: &[&str], kubeconfig: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni"));
    command.args(args).env_clear().env("HOME", "/nowhere").envs(kubeconfig.map(|path| ("KUBECONFIG", path)));
    let output = command.output().unwrap();
    // The terminal's width breaks the sentences.
    let stderr = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    (output.status.code(), stderr.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_kubeconfig_that_cannot_be_read_is_named_with_its_path() {
    for args in [&["plan"][..], &["explain", "node/a"], &["nad"], &["drain", "--no-audit"]] {
        let (code, says) = run(args, Some("/nowhere/config"));
        assert_eq!(code, Some(1), "{says}");
        assert!(says.contains("KUBECONFIG names (/nowhere/config) cannot be used"), "{args:?}: {says}");
        assert!(says.contains("No such file"), "{args:?}: {says}");
        let (code, says) = run(args, None);
        assert_eq!(code, Some(1), "{says}");
        assert!(says.contains("no API server is configured: set KUBECONFIG, or run in a cluster"), "{args:?}: {says}");
    }
}
