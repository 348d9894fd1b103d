//! What `--with-agent` needs of this machine: the binary of the agent, root and `ip`. Each missing part is a sentence.

use super::ip_command::ip;
use std::path::{Path, PathBuf};

/// The binary of the agent: the one that the user names, or the one beside this program.
pub fn agent_binary(named: Option<&Path>) -> Result<PathBuf, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("this program does not know its own path: {error}"))?;
    let path = named.map_or_else(|| program.with_file_name("multi-eni-agent"), Path::to_path_buf);
    if path.is_file() { Ok(path) } else { Err(missing_agent(&path, named.is_some())) }
}

fn missing_agent(path: &Path, is_named: bool) -> String {
    if is_named {
        return format!("there is no file {} (--agent-binary)", path.display());
    }
    let is_release = path.parent().is_some_and(|directory| directory.ends_with("release"));
    let profile = if is_release { "--release " } else { "" };
    format!(
        "there is no node agent {}: build it with `cargo build {profile}-p multi-eni-agent`, or name another with --agent-binary",
        path.display()
    )
}

/// Checks that this process can make network namespaces as far as that can be told without making one.
pub fn check() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("--with-agent makes network namespaces, and only root can: run the sandbox with sudo".to_owned());
    }
    ip(&["-V"])
        .map(drop)
        .map_err(|error| format!("--with-agent needs `ip` of iproute2, to make network namespaces: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_agent_is_a_sentence_with_the_command_that_builds_it() {
        let debug = missing_agent(Path::new("/x/target/debug/multi-eni-agent"), false);
        assert!(debug.contains("`cargo build -p multi-eni-agent`"), "{debug}");
        let release = missing_agent(Path::new("/x/target/release/multi-eni-agent"), false);
        assert!(release.contains("`cargo build --release -p multi-eni-agent`"), "{release}");
        assert!(missing_agent(Path::new("/x/agent"), true).contains("no file /x/agent (--agent-binary)"));
    }
}
