//! The sandbox with node agents, as a user runs it: real agents in network namespaces, judged by the exit code, the output and what is
//! left on this machine. The tests need root, `ip` and `setpriv`, and the binary multi-eni-agent beside multi-eni.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A NodeENI for all nodes with this label.
const ONE: &str = "apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {name: storage}\n\
    spec: {nodeSelector: {a: b}, subnetID: subnet-0000000a, deviceIndex: 1, nodeConfig: {mode: addresses}}\n";

fn sandbox(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni"));
    command.args(["sandbox", "--with-agent"]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The namespaces, directories and agents of the sandbox with this process ID.
fn left_of(process: u32) -> Vec<String> {
    let name = format!("multi-eni-sandbox-{process}");
    let names = |directory: &str| {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().display().to_string()).collect::<Vec<_>>()
    };
    let commands =
        names("/proc").into_iter().filter_map(|path| std::fs::read_to_string(format!("{path}/cmdline")).ok());
    let all = names("/run/netns").into_iter().chain(names("/run")).chain(commands);
    // The name of another sandbox may begin so, too.
    let is_of_it =
        |found: &String| found.split(['/', '\0']).any(|part| part == name || part.starts_with(&format!("{name}-")));
    all.filter(is_of_it).collect()
}

/// Reads the output until it has these words.
fn read_until(child: &mut Child, words: &str) -> (BufReader<std::process::ChildStdout>, String) {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut so_far = String::new();
    while !so_far.contains(words) {
        assert_ne!(out.read_line(&mut so_far).unwrap(), 0, "ended: {so_far}");
    }
    (out, so_far)
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

fn file(name: &str, content: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("multi-eni-{name}-{}", std::process::id()));
    std::fs::write(&path, content).unwrap();
    path
}

fn program_file(name: &str, script: &str) -> PathBuf {
    let path = file(name, script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn pings_go_through_each_eni_and_nothing_is_left() {
    let child = sandbox(&["--nodes", "3"]).spawn().unwrap();
    let process = child.id();
    let output = child.wait_with_output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    // Three checks of the agents for each of the two examples, and one more after the nodes have lost all.
    for (words, times) in [
        ("✓ the node agent has configured each ENI on its node (6 ENIAttachments)", 2),
        ("✓ the node agent has configured each ENI on its node (3 ENIAttachments)", 2),
        ("✓ each ENI answers a ping and sends one, by its own link (12 pings;", 2),
        ("✓ each ENI answers a ping and sends one, by its own link (6 pings;", 2),
        ("✓ no link, rule or route of a detached ENI is left on node1", 4),
        ("✓ no link, rule or route of a detached ENI is left on the nodes", 4),
    ] {
        // Each is in the course of events and in the summary.
        assert_eq!(text.matches(words).count(), times, "{words}: {text}");
    }
    assert!(text.contains("All 23 checks passed"), "{text}");
    assert_eq!(left_of(process), Vec::<String>::new());
}

#[test]
fn an_agent_that_sets_no_rules_fails_the_checks_with_the_reason() {
    // Answers leave by the primary interface, and the router drops them.
    let agent = program_file(
        "half-agent",
        "#!/bin/sh\necho 'this agent sets no rules' >&2\nuntil ip link set ens6 up; do sleep 0.1; done 2>/dev/null\n\
         ip addr add 10.0.1.4/32 dev ens6\nexec sleep 600\n",
    );
    let nodeeni = file("half-agent.yaml", ONE);
    let child =
        sandbox(&["--nodes", "2", "--zones", "1", "-f", path_text(&nodeeni), "--agent-binary", path_text(&agent)])
            .spawn()
            .unwrap();
    let process = child.id();
    let output = child.wait_with_output().unwrap();
    [&agent, &nodeeni].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the agent has reported nothing; its log ends with: this agent sets no rules"), "{text}");
    assert!(text.contains(": 10.0.1.4 does not answer 192.168.255.10"), "{text}");
    assert_eq!(left_of(process), Vec::<String>::new());
}

#[test]
fn an_agent_that_ends_is_named_with_its_last_words() {
    let agent = program_file("short-agent", "#!/bin/sh\necho 'no more' >&2\nexit 3\n");
    let nodeeni = file("short-agent.yaml", ONE);
    let output =
        sandbox(&["--nodes", "2", "--zones", "1", "-f", path_text(&nodeeni), "--agent-binary", path_text(&agent)])
            .output()
            .unwrap();
    [&agent, &nodeeni].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the agent of node1 has ended (exit status: 3); its log ends with: no more"), "{text}");
}

/// Runs the command that asks the agent of node1, as a user pastes it, and returns what it prints.
fn doctor_as_printed(so_far: &str) -> String {
    let lines = || so_far.lines().map(str::trim);
    let kubeconfig = lines().find(|line| line.starts_with("export KUBECONFIG=")).unwrap();
    let command = lines().find(|line| line.contains(" doctor ")).unwrap();
    text(&Command::new("sh").args(["-c", &format!("{kubeconfig}; {command}")]).output().unwrap())
}

#[test]
fn ctrl_c_removes_the_namespaces_and_the_agents() {
    let mut child = sandbox(&["--nodes", "2", "--keep"]).spawn().unwrap();
    let process = child.id();
    let (mut out, mut so_far) = read_until(&mut child, "Ctrl-C removes");
    let while_it_runs = left_of(process);
    let doctor = doctor_as_printed(&so_far);
    signal(&child, Signal::SIGINT);
    out.read_to_string(&mut so_far).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{so_far}");
    // The router, the client and two nodes; the directory; two agents.
    assert_eq!(while_it_runs.len(), 7, "{while_it_runs:?}");
    assert!(so_far.contains(&format!("ip -n multi-eni-sandbox-{process}-node1 addr")), "{so_far}");
    assert!(so_far.contains(" MULTI_ENI_NODE_AGENT=true\n"), "{so_far}");
    assert_eq!(doctor.matches(", as asked").count(), 2, "{doctor}");
    assert!(doctor.contains(&format!("/run/multi-eni-sandbox-{process}/node1/kubelet/kubelet.sock")), "{doctor}");
    assert_eq!(left_of(process), Vec::<String>::new(), "{so_far}");
}

#[test]
fn ctrl_c_during_the_start_leaves_nothing() {
    let child = sandbox(&["--nodes", "40"]).spawn().unwrap();
    let process = child.id();
    while left_of(process).len() < 4 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&child, Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output));
    assert_eq!(left_of(process), Vec::<String>::new(), "{}", text(&output));
}

#[test]
fn the_next_sandbox_removes_what_a_killed_one_has_left() {
    let mut killed = sandbox(&["--nodes", "1", "--keep"]).spawn().unwrap();
    let process = killed.id();
    let (_out, so_far) = read_until(&mut killed, "node agent started");
    signal(&killed, Signal::SIGKILL);
    killed.wait().unwrap();
    assert_ne!(left_of(process), Vec::<String>::new(), "{so_far}");
    // It ends at once, after the network has been made: the file is refused.
    let nodeeni = file(
        "refused-with-agent.yaml",
        "apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {name: bad}\n\
         spec: {nodeSelector: {a: b}, subnetID: nonsense, deviceIndex: 0}\n",
    );
    let next = sandbox(&["--nodes", "1", "-f", path_text(&nodeeni)]).spawn().unwrap();
    let next_process = next.id();
    let output = next.wait_with_output().unwrap();
    std::fs::remove_file(&nodeeni).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert_eq!(left_of(process), Vec::<String>::new(), "{}", text(&output));
    assert_eq!(left_of(next_process), Vec::<String>::new(), "{}", text(&output));
}

#[test]
fn what_is_missing_is_said_at_once() {
    let output = sandbox(&["--agent-binary", "/nowhere/agent"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("there is no file /nowhere/agent (--agent-binary)"), "{}", text(&output));
    // Root without the right to make namespaces.
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin", env!("CARGO_BIN_EXE_multi-eni")]);
    let child =
        command.args(["sandbox", "--with-agent"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    assert!(text.contains("the network namespaces of the nodes cannot be made (this needs CAP_SYS_ADMIN"), "{text}");
    assert!(!text.contains("kubectl"), "the control plane has not started: {text}");
    assert_eq!(left_of(process), Vec::<String>::new());
}
