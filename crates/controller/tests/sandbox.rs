//! The sandbox as a user runs it, judged by its exit code and its output.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

fn sandbox(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni"));
    command.arg("sandbox").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_examples_of_the_page_succeed() {
    let output = sandbox(&["--nodes", "2"]).output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("All 15 checks passed"), "{text}");
    // Two ENIs on each of two nodes, then one on each: six Creates and as many Deletes.
    assert_eq!(text.matches("CreateNetworkInterface").count(), 6, "{text}");
    assert_eq!(text.matches("DeleteNetworkInterface").count(), 6, "{text}");
}

#[test]
fn a_lost_eni_is_found_and_named() {
    let output = sandbox(&["--nodes", "1", "--lose-eni"]).output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("leaked: [\"eni-"), "{text}");
}

#[test]
fn a_refused_nodeeni_ends_the_sandbox_with_the_api_servers_message() {
    let path = std::env::temp_dir().join(format!("multi-eni-refused-{}.yaml", std::process::id()));
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(
        b"apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {name: bad}\n\
          spec: {nodeSelector: {a: b}, subnetID: nonsense, deviceIndex: 0}\n",
    )
    .unwrap();
    let output = sandbox(&["-f", path.to_str().unwrap()]).output().unwrap();
    std::fs::remove_file(&path).unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is the node's primary network interface"), "{text}");
    assert!(text.contains("subnetID must be a subnet ID"), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let output = sandbox(&["-f", "/nowhere/at/all.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("cannot read /nowhere/at/all.yaml"), "{}", text(&output));
}

#[test]
fn a_file_on_standard_input_gets_several_zones_and_no_colour_codes() {
    let mut child = sandbox(&["-f", "-", "--nodes", "3", "--log"]).stdin(Stdio::piped()).spawn().unwrap();
    let file = b"apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {name: spread}\n\
        spec: {nodeSelector: {pool: db}, subnetIDs: [subnet-0000000a, subnet-0000000b], deviceIndex: 1}\n";
    child.stdin.take().unwrap().write_all(file).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for words in ["in zone eu-central-1a: node1, subnet-0000000a", "in zone eu-central-1b: node2, subnet-0000000b"] {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    // The third node is in a zone of no subnet.
    assert!(text.contains("(2 pairs of Node and NodeENI, 2 ENIs)"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

/// The output of `plan -f` beside a sandbox that runs with `--keep`, with the variables that its output exports. The NodeENIs
/// select no node.
#[allow(clippy::unwrap_used, reason = "a test says what it needs")]
fn planned(output_so_far: &str) -> Output {
    let path = std::env::temp_dir().join(format!("multi-eni-planned-{}.yaml", std::process::id()));
    let one = |n: u32| {
        format!(
            "apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {{name: new{n}}}\n\
             spec: {{nodeSelector: {{a: b}}, subnetID: subnet-0f59b4f14737be9ad, deviceIndex: 1, \
             securityGroupIDs: [sg-05da196f3314d4af8]}}\n"
        )
    };
    std::fs::write(&path, (0..24).map(one).collect::<Vec<_>>().join("---\n")).unwrap();
    let output = beside(output_so_far, &["plan", "-f", path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    output
}

/// The output of a command with the variables that the sandbox's output exports.
#[allow(clippy::unwrap_used, reason = "a test says what it needs")]
fn beside(output_so_far: &str, args: &[&str]) -> Output {
    command_beside(output_so_far, args).output().unwrap()
}

/// The same with an endpoint of EC2 at which nobody listens.
#[allow(clippy::unwrap_used, reason = "a test says what it needs")]
fn without_ec2(output_so_far: &str, args: &[&str]) -> Output {
    command_beside(output_so_far, args).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").output().unwrap()
}

fn command_beside(output_so_far: &str, args: &[&str]) -> Command {
    let exported =
        output_so_far.lines().filter_map(|line| line.trim().strip_prefix("export ")).flat_map(str::split_whitespace);
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni"));
    command.args(args).envs(exported.filter_map(|pair| pair.split_once('=')));
    command
}

/// What the controller of the sandbox serves at the address that the sandbox prints.
#[allow(clippy::unwrap_used, reason = "a test says what it needs")]
fn metrics(output_so_far: &str) -> String {
    let line = output_so_far.lines().find_map(|line| line.trim().strip_prefix("curl http://")).unwrap();
    http(line.strip_suffix("/metrics").unwrap(), "GET", "/metrics")
}

/// The answer of the sandbox's API server, whose address is in the kubeconfig that the sandbox prints.
#[allow(clippy::unwrap_used, reason = "a test says what it needs")]
fn api(output_so_far: &str, method: &str, path: &str) -> String {
    let kubeconfig = output_so_far.lines().find_map(|line| line.trim().strip_prefix("export KUBECONFIG=")).unwrap();
    let kubeconfig = std::fs::read_to_string(kubeconfig).unwrap();
    let address = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: http://")).unwrap();
    http(address, method, path)
}

#[allow(clippy::unwrap_used, reason = "a test says what it needs")]
fn http(address: &str, method: &str, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    answer
}

/// The path of the NodeENIs on the API server.
const NODEENIS: &str = "/apis/networking.k8s.aws/v1alpha1/nodeenis";

#[test]
fn a_kept_sandbox_stays_though_enis_are_missing_and_says_what_it_waits_for() {
    let path = std::env::temp_dir().join(format!("multi-eni-waits-{}.yaml", std::process::id()));
    // Two NodeENIs for one device index of the same nodes, and one zone.
    let one = |name: &str, subnet: &str| {
        format!(
            "apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {{name: {name}}}\n\
             spec: {{nodeSelector: {{pool: db}}, subnetID: {subnet}, deviceIndex: 1}}\n"
        )
    };
    std::fs::write(&path, [one("a", "subnet-0000000a"), one("b", "subnet-0000000b")].join("---\n")).unwrap();
    let mut child = sandbox(&["-f", path.to_str().unwrap(), "--nodes", "1", "--zones", "1", "--keep"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut output_so_far = String::new();
    // The last line is said after the hints.
    while !output_so_far.split("Ctrl-C removes").nth(1).is_some_and(|rest| rest.contains("waits      b: ")) {
        assert_ne!(out.read_line(&mut output_so_far).unwrap(), 0, "ended: {output_so_far}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(output_so_far.contains("waits      for the ENIs to be attached and ready: "), "{output_so_far}");
    assert!(output_so_far.contains("  kubectl label node node1 pool-\n"), "{output_so_far}");
    // What the user takes away is not waited for any more.
    let deleted = api(&output_so_far, "DELETE", &format!("{NODEENIS}/b"));
    assert!(deleted.starts_with("HTTP/1.1 200"), "{deleted}");
    while !output_so_far.contains("✓ every ENI is attached and ready (1 ENI)") {
        assert_ne!(out.read_line(&mut output_so_far).unwrap(), 0, "ended: {output_so_far}");
        assert!(!output_so_far.contains("NodeENI b does not exist"), "{output_so_far}");
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    std::io::Read::read_to_string(&mut out, &mut output_so_far).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{output_so_far}");
    assert!(output_so_far.contains("every ENI of this cluster is detached and deleted"), "{output_so_far}");
}

#[test]
fn beside_a_kept_sandbox_a_plan_takes_nothing_away_and_ctrl_c_cleans_up() {
    let mut child = sandbox(&["--nodes", "1", "--keep"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut output_so_far = String::new();
    while !output_so_far.contains("Ctrl-C removes") {
        assert_ne!(out.read_line(&mut output_so_far).unwrap(), 0, "ended before it was kept: {output_so_far}");
    }
    let plan = planned(&output_so_far);
    let metrics = metrics(&output_so_far);
    let nodeenis = api(&output_so_far, "GET", NODEENIS);
    let drain = beside(&output_so_far, &["drain", "--dry-run"]);
    let unreachable = without_ec2(&output_so_far, &["plan"]);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    std::io::Read::read_to_string(&mut out, &mut output_so_far).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{output_so_far}");
    assert!(output_so_far.contains("every ENI of this cluster is detached and deleted"), "{output_so_far}");
    assert!(metrics.contains("multi_eni_leading 1"), "{metrics}");
    // Both NodeENIs are as `kubectl apply` makes them, so that it does not warn when it changes them.
    assert_eq!(nodeenis.matches("\"kubectl.kubernetes.io/last-applied-configuration\":").count(), 2, "{nodeenis}");
    assert_eq!(nodeenis.matches("\"manager\":\"kubectl\"").count(), 2, "{nodeenis}");
    assert!(!output_so_far.contains("MULTI_ENI_NODE_AGENT"), "{output_so_far}");
    let says = text(&drain);
    assert_eq!(drain.status.code(), Some(0), "{says}");
    let leader = "The controller that removes them: sandbox (Lease kube-system/multi-eni-controller).";
    assert!(says.contains(leader) && says.contains("Nothing was deleted"), "{says}");
    let words = text(&unreachable).replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(unreachable.status.code(), Some(1), "{words}");
    assert!(words.contains("No connection to EC2 was made") && words.contains("http://127.0.0.1:1"), "{words}");
    assert!(!words.contains("credentials"), "{words}");
    let plan = text(&plan);
    assert!(plan.contains("NodeENI new23 (a=b): matches 0 nodes"), "{plan}");
    // The UIDs of the planned NodeENIs differ from those of the sandbox.
    assert!(!plan.contains("detach"), "{plan}");
}
