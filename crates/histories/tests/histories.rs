//! `multi-eni-sim` as its users run it: one seed is one history in any process, the kept scenarios end as they were kept,
//! and what cannot be done is said.
#![allow(clippy::expect_used, reason = "a test says what it needs")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

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

/// The whole trace has every request, every object as it was stored and every interface's change.
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

/// What ran before in the same process, and beside it, leaves nothing behind.
#[test]
fn a_history_does_not_depend_on_what_runs_before_or_beside_it() {
    let digests = |seeds: &str, jobs: &str| -> BTreeSet<String> {
        let ran = sim(&["run", "--seeds", seeds, "--jobs", jobs, "--digests"]);
        assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
        text(&ran.stdout).lines().filter(|line| line.split(' ').count() == 2).map(str::to_owned).collect()
    };
    let (all, later) = (digests("44..50", "1"), digests("47..50", "1"));
    assert_eq!((all.len(), later.len()), (6, 3), "{all:?}");
    assert_eq!(all, digests("44..50", "3"), "beside others");
    assert!(later.is_subset(&all), "after others: {all:?}, {later:?}");
}

#[test]
fn the_kept_scenarios_end_as_they_were_kept() {
    let kept = sim(&["scenarios", "scenarios"]);
    assert!(kept.status.success(), "{}{}", text(&kept.stdout), text(&kept.stderr));
    assert!(text(&kept.stdout).contains("ok       "), "{}", text(&kept.stdout));
}

#[test]
fn a_golden_trace_that_is_another_is_shown_where_it_differs() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    let script = sim(&["script", "3"]);
    std::fs::write(directory.join("three.yaml"), &script.stdout).expect("the script");
    let path = directory.to_str().expect("a path");
    assert!(!sim(&["scenarios", path]).status.success(), "there is no golden trace yet");
    assert!(sim(&["scenarios", path, "--update"]).status.success());
    assert!(sim(&["scenarios", path]).status.success());
    let golden = directory.join("three.trace");
    let trace = std::fs::read_to_string(&golden).expect("the trace").replacen("joins on", "comes to", 1);
    std::fs::write(&golden, trace).expect("the trace");
    let differs = sim(&["scenarios", path]);
    assert_eq!(differs.status.code(), Some(1));
    assert!(text(&differs.stdout).contains("DIFFERS  three at line"), "{}", text(&differs.stdout));
}

#[test]
fn what_cannot_be_done_is_said() {
    for (arguments, said) in [
        (&["run", "--seeds", "9..3"][..], "the first must be smaller"),
        (&["run", "--seeds", "nine"][..], "no range of seeds"),
        (&["replay", "no-such-file.yaml"][..], "neither a seed nor a file"),
        (&["replay", "Cargo.toml"][..], "is no script"),
        (&["scenarios", "src"][..], "has no scenarios"),
    ] {
        let refused = sim(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(text(&refused.stderr).contains(said), "{arguments:?}: {}", text(&refused.stderr));
    }
    let sound = sim(&["shrink", "3"]);
    assert!(sound.status.success() && text(&sound.stderr).contains("nothing to shrink"), "{}", text(&sound.stderr));
}
