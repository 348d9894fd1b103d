//! Commands of a test, such as kubectl and helm: they run to their end, and their whole output is kept.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The output of a command, and whether it exited with 0.
#[derive(Debug, Clone)]
pub struct Output {
    /// Whether it exited with 0.
    pub ok: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    command: String,
}

impl Output {
    /// Its stdout. An error, with the command and its whole output, if the command failed.
    pub fn success(self) -> Result<String, String> {
        if self.ok { Ok(self.stdout) } else { Err(format!("{}: failed\n{}{}", self.command, self.stdout, self.stderr)) }
    }

    /// Its stderr, if the command failed as it should. An error if it succeeded.
    pub fn refusal(self) -> Result<String, String> {
        if self.ok { Err(format!("{}: not refused\n{}", self.command, self.stdout)) } else { Ok(self.stderr) }
    }
}

/// Runs kubectl as the user of `kubeconfig`, with `stdin`.
pub(super) fn kubectl(
    binaries: &Path,
    dir: &Path,
    kubeconfig: &Path,
    args: &[&str],
    stdin: &str,
) -> Result<Output, String> {
    let mut command = Command::new(binaries.join("kubectl"));
    command.args(args).env("KUBECONFIG", kubeconfig);
    // A port may be used again by another API server, so the discovery cache must not outlive this test.
    command.env("KUBECACHEDIR", dir.join("kubectl-cache")).env("KUBERC", "off");
    run(command, stdin)
}

/// Runs a command with `stdin` to its end.
pub(super) fn run(mut command: Command, stdin: &str) -> Result<Output, String> {
    let shown = format!("{command:?}");
    let failed = |e: std::io::Error| format!("{shown}: {e}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    // The command reads its input before it prints, so the pipes cannot block each other. If it does not read its input, its exit
    // says why.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(stdin.as_bytes()));
    let output = child.wait_with_output().map_err(failed)?;
    Ok(Output {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        command: shown,
    })
}
