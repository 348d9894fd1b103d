//! The sandbox, as a person runs it: its exit code is its word.

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
fn the_pages_story_ends_well() {
    let output = sandbox(&["--nodes", "2"]).output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("All 15 checks hold"), "{text}");
    // Two ENIs on each of two nodes, then one on each: six creates and as many deletes.
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
fn a_refused_nodeeni_ends_it_with_the_api_servers_words() {
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
    assert!(text.contains("index 0 is the node's primary network interface"), "{text}");
    assert!(text.contains("subnetID must be a subnet ID"), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let output = sandbox(&["-f", "/nowhere/at/all.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("cannot read /nowhere/at/all.yaml"), "{}", text(&output));
}

/// What `plan -f` says beside a kept sandbox of NodeENIs that select nothing, with what `--keep` told to export.
#[allow(clippy::unwrap_used, reason = "a test says what it needs")]
fn planned(told: &str) -> Output {
    let path = std::env::temp_dir().join(format!("multi-eni-planned-{}.yaml", std::process::id()));
    let one = |n: u32| {
        format!(
            "apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {{name: new{n}}}\n\
             spec: {{nodeSelector: {{a: b}}, subnetID: subnet-0f59b4f14737be9ad, deviceIndex: 1, \
             securityGroupIDs: [sg-05da196f3314d4af8]}}\n"
        )
    };
    std::fs::write(&path, (0..24).map(one).collect::<Vec<_>>().join("---\n")).unwrap();
    let exported = told.lines().filter_map(|line| line.trim().strip_prefix("export ")).flat_map(str::split_whitespace);
    let mut plan = Command::new(env!("CARGO_BIN_EXE_multi-eni"));
    plan.args(["plan", "-f", path.to_str().unwrap()]).envs(exported.filter_map(|pair| pair.split_once('=')));
    let output = plan.output().unwrap();
    std::fs::remove_file(&path).unwrap();
    output
}

#[test]
fn beside_a_kept_sandbox_a_plan_takes_nothing_away_and_ctrl_c_cleans_up() {
    let mut child = sandbox(&["--nodes", "1", "--keep"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut told = String::new();
    while !told.contains("Ctrl-C cleans up") {
        assert_ne!(out.read_line(&mut told).unwrap(), 0, "ended before it was kept: {told}");
    }
    let plan = planned(&told);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    std::io::Read::read_to_string(&mut out, &mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{told}");
    assert!(told.contains("every ENI of ours is detached and deleted"), "{told}");
    let plan = text(&plan);
    assert!(plan.contains("NodeENI new23 (a=b): matches 0 nodes"), "{plan}");
    // None of them has the UID of one that is there.
    assert!(!plan.contains("detach"), "{plan}");
}
