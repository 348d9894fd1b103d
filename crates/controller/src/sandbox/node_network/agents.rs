//! The processes of the node agents, one in the namespace of each node.

use super::namespaces::Namespaces;
use super::traces::PROTOCOL;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::{File, create_dir_all};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the agents may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// The flags of the agent's files and directories, and their names in the sandbox's directory.
const FILES: [(&str, &str); 6] = [
    ("--state-dir", "state"),
    ("--run-dir", "run"),
    // The sysfs of this machine has the links of another namespace, so the agent gets an empty one.
    ("--sysfs-root", "sys"),
    ("--kubelet-dir", "kubelet"),
    ("--device-info-dir", "devinfo"),
    ("--upstream-mappings", "interface-mappings.json"),
];

/// An agent that runs.
#[derive(Debug)]
pub struct Agent {
    node: String,
    process: Child,
    log: PathBuf,
}

impl Agent {
    /// Starts the agent of a node. Its files are in the directory.
    pub fn start(
        namespaces: &Namespaces,
        node: &str,
        binary: &Path,
        directory: &Path,
        kubeconfig: &Path,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot start the agent {} of {node}: {error}", binary.display());
        for name in ["state", "run", "sys"] {
            create_dir_all(directory.join(name)).map_err(failed)?;
        }
        let log = directory.join("agent.log");
        let output = File::create(&log).map_err(failed)?;
        let mut command = Command::new(binary);
        command.args(arguments("run", node, directory));
        command.env_clear().env("KUBECONFIG", kubeconfig).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        // Ctrl-C ends the sandbox, which needs the agents until its end.
        command.process_group(0);
        let process = namespaces.enter(node, || command.spawn())?.map_err(failed)?;
        Ok(Self { node: node.to_owned(), process, log })
    }

    /// The node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Why the agent does not run any more, if so.
    pub fn end(&mut self) -> Option<String> {
        match self.process.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("the agent of {} has ended ({status}){}", self.node, self.last_words())),
            Err(error) => Some(format!("the agent of {} is lost: {error}", self.node)),
        }
    }

    /// The last line of its log, for a message.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().last().map(|line| format!("; its log ends with: {line}")).unwrap_or_default()
    }
}

/// The command line that asks what the agent of a node sees and would do. It needs `KUBECONFIG`.
pub fn doctor_command(namespace: &str, node: &str, binary: &Path, directory: &Path) -> String {
    let arguments = arguments("doctor", node, directory);
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    format!("ip netns exec {namespace} {} {}", binary.display(), arguments.join(" "))
}

/// The arguments of an agent with this command. All its files are in the directory: those of an agent of this machine itself are not
/// touched.
fn arguments(subcommand: &str, node: &str, directory: &Path) -> Vec<OsString> {
    let words = [subcommand, "--node-name", node, "--link-kinds", "veth", "--route-protocol", PROTOCOL];
    let files = FILES.iter().flat_map(|(flag, name)| [OsString::from(flag), directory.join(name).into_os_string()]);
    words.map(OsString::from).into_iter().chain(files).collect()
}

/// Ends the agents, with SIGTERM first.
pub fn stop(agents: &mut [Agent]) {
    for agent in agents.iter() {
        if let Ok(process) = i32::try_from(agent.process.id()) {
            // It fails only if the process has ended by itself.
            let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
        }
    }
    let end = Instant::now() + ENDS_WITHIN;
    for agent in agents {
        while agent.end().is_none() {
            if Instant::now() >= end {
                let _ = agent.process.kill();
                let _ = agent.process.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_writes_into_the_directory_of_its_sandbox_alone() {
        let arguments = arguments("run", "node1", Path::new("/run/sandbox"));
        for flag in
            ["--state-dir", "--run-dir", "--sysfs-root", "--kubelet-dir", "--device-info-dir", "--upstream-mappings"]
        {
            let at = arguments.iter().position(|argument| argument == flag).unwrap();
            assert!(Path::new(&arguments[at + 1]).starts_with("/run/sandbox"), "{flag}");
        }
    }

    #[test]
    fn doctor_gets_what_the_agent_of_the_node_got() {
        let directory = Path::new("/run/sandbox/node1");
        let command = doctor_command("sandbox-node1", "node1", Path::new("/bin/agent"), directory);
        let rest = command.strip_prefix("ip netns exec sandbox-node1 /bin/agent doctor ").unwrap();
        let running: Vec<OsString> = arguments("run", "node1", directory).split_off(1);
        assert_eq!(rest.split(' ').map(OsString::from).collect::<Vec<_>>(), running);
    }
}
