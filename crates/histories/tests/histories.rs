//! Tests of `multi-eni-sim` as users run it: a seed gives the same history in every process, the kept scenarios have their golden
//! traces, and impossible requests are reported.
#![allow(clippy::expect_used, reason = "a test says what it needs")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn sim(arguments: &[&str]) -> Output {
    in_directory(arguments, Path::new(env!("CARGO_MANIFEST_DIR")))
}

fn in_directory(arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni-sim"));
    command.args(arguments).current_dir(directory).output().expect("multi-eni-sim does not start")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The whole trace contains every request, every stored object and every change of an interface.
#[test]
fn one_seed_is_one_history_byte_for_byte_in_any_process() {
    for seed in ["3", "7", "20"] {
        let first = sim(&["replay", seed, "--everything"]);
        let other = in_directory(&["replay", seed, "--everything"], Path::new("/"));
        assert!(first.status.success(), "seed {seed}: {}", text(&first.stdout));
        let (first, other) = (text(&first.stdout), text(&other.stdout));
        assert!(first.lines().count() > 500, "seed {seed} has hardly a trace:\n{first}");
        let differs = first.lines().zip(other.lines()).position(|(a, b)| a != b);
        assert!(first == other, "seed {seed} differs at line {differs:?}");
    }
    let (three, seven) = (sim(&["replay", "3"]), sim(&["replay", "7"]));
    assert_ne!(three.stdout, seven.stdout, "another seed is another history");
}

/// A history does not depend on what ran before it in the same process, or runs beside it.
#[test]
fn a_history_does_not_depend_on_what_runs_before_or_beside_it() {
    let digests = |seeds: &str, jobs: &str| -> Vec<String> {
        let ran = sim(&["run", "--seeds", seeds, "--jobs", jobs, "--digests"]);
        assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
        text(&ran.stdout).lines().filter(|line| line.split(' ').count() == 2).map(str::to_owned).collect()
    };
    let (all, later) = (digests("44..50", "1"), digests("47..50", "1"));
    assert_eq!((all.len(), later.len()), (6, 3), "{all:?}");
    assert_eq!(all, digests("44..50", "3"), "beside others");
    assert_eq!(all[3..], later, "after others");
}

#[test]
fn the_kept_scenarios_have_their_golden_traces() {
    let kept = sim(&["scenarios", "scenarios"]);
    assert!(kept.status.success(), "{}{}", text(&kept.stdout), text(&kept.stderr));
    assert!(text(&kept.stdout).contains("ok       "), "{}", text(&kept.stdout));
}

#[test]
fn a_golden_trace_that_is_another_is_shown_where_it_differs() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    let script = text(&sim(&["script", "3"]).stdout);
    std::fs::write(directory.join("three.yaml"), format!("about: as drawn\n{script}")).expect("the script");
    let path = directory.to_str().expect("a path");
    let new = sim(&["scenarios", path]);
    assert_eq!(new.status.code(), Some(1));
    let how = format!("multi-eni-sim scenarios {path} --update");
    assert!(text(&new.stdout).contains(&how), "{}", text(&new.stdout));
    assert!(sim(&["scenarios", path, "--update"]).status.success());
    assert!(sim(&["scenarios", path]).status.success());
    let golden = directory.join("three.trace");
    let trace = std::fs::read_to_string(&golden).expect("the trace").replacen("joins on", "comes to", 1);
    std::fs::write(&golden, trace).expect("the trace");
    let differs = sim(&["scenarios", path]);
    assert_eq!(differs.status.code(), Some(1));
    assert!(text(&differs.stdout).contains("DIFFERS  three at line"), "{}", text(&differs.stdout));

    // A file that cannot be read, first by name, does not stop the others.
    std::fs::write(directory.join("one.yaml"), "seed: three").expect("a script");
    std::fs::write(directory.join("two.yaml"), &script).expect("a script");
    let bad = text(&sim(&["scenarios", path]).stdout);
    for line in ["UNREAD   one: ", "DIFFERS  three", "UNREAD   two: its `about` must say", "3 scenarios, 3 failed"] {
        assert!(bad.contains(line), "no {line}: {bad}");
    }
}

#[test]
fn impossible_requests_are_reported() {
    for (arguments, said) in [
        (&["run", "--seeds", "9..3"][..], "the first number must be smaller"),
        (&["run", "--seeds", "nine"][..], "not a range of seeds"),
        (&["replay", "no-such-file.yaml"][..], "neither a seed nor a file"),
        (&["replay", "Cargo.toml"][..], "is not a script"),
        (&["scenarios", "src"][..], "has no scenarios"),
    ] {
        let refused = sim(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(text(&refused.stderr).contains(said), "{arguments:?}: {}", text(&refused.stderr));
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let senseless = text(&sim(&["script", "3"]).stdout).replacen("m5.24xlarge", "m5.huge", 1);
    let (script, shrunk) = (directory.join("senseless.yaml"), directory.join("shrunk.yaml"));
    std::fs::write(&script, senseless).expect("the script");
    let _ = std::fs::remove_file(&shrunk);
    for (arguments, said) in [
        (&["run", "--seeds", "0..1", "--jobs", "0"][..], "--jobs"),
        (&["run", "--seeds", "0..1", "--failures", "0"][..], "--failures"),
        (&["replay", script.to_str().expect("a path")][..], "the simulator does not know m5.huge"),
        (&["shrink", "3", "--out", shrunk.to_str().expect("a path")][..], "nothing to shrink"),
        (&["shrink", "3", "--out", "no/such/directory.yaml"][..], "cannot write no/such/directory.yaml"),
    ] {
        let refused = sim(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(text(&refused.stderr).contains(said), "{arguments:?}: {}", text(&refused.stderr));
    }
    assert!(!shrunk.exists(), "an empty file is left behind");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    for arguments in [&["replay", "3"][..], &["run", "--seeds", "3..4", "--digests"][..], &["script", "3"][..]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni-sim"));
        let ended = command.args(arguments).stdout(full).output().expect("multi-eni-sim does not start");
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {}", text(&ended.stderr));
        assert!(text(&ended.stderr).contains("cannot write to standard output"), "{arguments:?}");
    }
}

/// An interrupted run says that not all seeds were run.
#[test]
fn an_interrupted_run_ends_in_order() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni-sim"));
    // One digest on the pipe shows that the run has started and listens for signals.
    command.args(["run", "--seeds", "0..1000000", "--jobs", "1", "--digests"]);
    let mut running =
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("multi-eni-sim does not start");
    let mut lines = BufReader::new(running.stdout.take().expect("its output")).lines();
    assert!(lines.next().is_some());
    let interrupted =
        Command::new("kill").args(["-INT", &running.id().to_string()]).status().expect("kill does not start");
    assert!(interrupted.success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(running.wait().expect("it ends").code(), Some(130));
    assert!(rest.last().is_some_and(|last| last.starts_with("ended early")), "{rest:?}");
}

/// EC2 accepts a Create long after it timed out, later than the checker assumes, and nothing knows its ENI any more.
const TOO_LATE: &str = r#"about: A Create takes effect ten minutes after it timed out.
seed: 1
setting: {"subnets":[{"id":"subnet-000000000000000a1","zone":"a"}]}
events:
- {"at":500,"do":"join","node":"n1","instance":"i-00000000000000001","zone":"a","labels":{"ng":"x"}}
- {"at":600,"do":"join","node":"n2","instance":"i-00000000000000002","zone":"a","labels":{}}
- {"at":1000,"do":"apply","name":"e1","spec":{"deviceIndex":1,"nodeSelector":{"ng":"x"},"subnetID":"subnet-000000000000000a1","securityGroupIDs":["sg-00000000000000001"]}}
- {"at":6000,"do":"remove","name":"e1"}
- {"at":9000,"do":"heartbeat","node":"n2"}
trouble:
  listed:
  - {"seam":"ec2","call":"CreateNetworkInterface","nth":1,"fault":"late","lasts":600000}
calm_at: 700000
"#;

#[test]
fn a_violation_is_reported_replayed_and_shrunk() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    let (file, small) = (directory.join("late.yaml"), directory.join("small"));
    std::fs::write(&file, TOO_LATE).expect("the script");
    let (file, small) = (file.to_str().expect("a path"), small.to_str().expect("a path"));

    let kept = sim(&["scenarios", directory.to_str().expect("a path")]);
    assert_eq!(kept.status.code(), Some(1));
    let said = text(&kept.stdout);
    assert!(said.contains("BROKEN   late: no-leak at ") && said.contains("multi-eni-sim replay "), "{said}");

    let replayed = sim(&["replay", file]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(text(&replayed.stderr).contains("violated: no-leak at "), "{}", text(&replayed.stderr));
    assert!(text(&replayed.stdout).contains(" !      no-leak: eni-"), "{}", text(&replayed.stdout));

    let shrunk = sim(&["shrink", file, "--out", small]);
    assert!(shrunk.status.success(), "{}", text(&shrunk.stderr));
    let smallest = std::fs::read_to_string(small).expect("the smallest");
    assert!(!smallest.contains("n2") && smallest.contains("\"late\""), "{smallest}");
    let again = sim(&["replay", small]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("violated: no-leak at "), "{}", text(&again.stderr));
}
