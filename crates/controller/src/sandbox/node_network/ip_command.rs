//! Runs `ip` of iproute2.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

/// Runs `ip` with these arguments and returns its output.
pub fn ip(arguments: &[&str]) -> Result<String, String> {
    let output = command(arguments).output().map_err(|error| format!("cannot run `ip`: {error}"))?;
    checked(&format!("ip {}", arguments.join(" ")), &output)
}

/// Runs several commands of `ip` in a namespace. The first that fails is the last.
pub fn batch(namespace: &str, lines: &[String]) -> Result<(), String> {
    run_batch(&["-n", namespace, "-batch", "-"], lines)
}

/// The same with the family IPv6.
pub fn batch_ipv6(namespace: &str, lines: &[String]) -> Result<(), String> {
    run_batch(&["-6", "-n", namespace, "-batch", "-"], lines)
}

fn run_batch(arguments: &[&str], lines: &[String]) -> Result<(), String> {
    if lines.is_empty() {
        return Ok(());
    }
    let child = command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("cannot run `ip`: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // If `ip` has ended already, its error tells more than this one.
        let _ = input.write_all(lines.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("`ip` cannot be waited for: {error}"))?;
    let failed = failed_line(&String::from_utf8_lossy(&output.stderr)).and_then(|number| lines.get(number - 1));
    let what = failed.map_or_else(|| "ip -batch".to_owned(), |line| format!("ip {line}"));
    checked(&what, &output).map(drop)
}

/// The number of the line at which `ip -batch` stopped, from 1: "Command failed -:3".
fn failed_line(message: &str) -> Option<usize> {
    let number = message.split("Command failed -:").nth(1)?.split_whitespace().next()?;
    number.parse().ok().filter(|number| *number > 0)
}

/// In a process group of its own, so that Ctrl-C ends the sandbox and not the command.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(arguments).process_group(0);
    command
}

fn checked(what: &str, output: &Output) -> Result<String, String> {
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        Err(format!("`{what}` failed: {said}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_failed_is_found() {
        assert_eq!(failed_line("RTNETLINK answers: File exists\nCommand failed -:3\n"), Some(3));
        for other in ["", "Command failed -:", "Command failed -:0", "Command failed -:x"] {
            assert_eq!(failed_line(other), None, "{other}");
        }
    }
}
