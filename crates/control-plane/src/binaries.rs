//! Finds the binaries of the control plane: by `KUBEBUILDER_ASSETS` and `MULTI_ENI_HELM`, or built by `tools/control-plane`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The directory with etcd, kube-apiserver and kubectl.
pub fn control_plane() -> Result<PathBuf, String> {
    ask(&[])
}

/// The helm binary.
pub fn helm() -> Result<PathBuf, String> {
    ask(&["helm"])
}

/// The root of the repository, where `tools/` and `charts/` are.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs `tools/control-plane`, which reads the two variables, builds what is missing (once, in minutes), and prints a path. Its
/// progress goes to stderr.
fn ask(args: &[&str]) -> Result<PathBuf, String> {
    let script = repository().join("tools/control-plane");
    let output = Command::new(&script)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("{}: {e}", script.display()))?;
    if !output.status.success() {
        return Err(format!(
            "{} {}: {} (its reason is on stderr above). The real tier needs etcd, kube-apiserver, kubectl and helm and \
             is never skipped",
            script.display(),
            args.join(" "),
            output.status
        ));
    }
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} printed {}, which does not exist", script.display(), path.display()))
    }
}
