//! Judges the goals of the design against the results of a run, and states by how much a goal is missed. It measures nothing
//! itself.

use crate::goal::Goal;
use crate::phase::Piece;
use crate::real::measure::RealMeasurement;
use crate::results::Results;
use crate::workload::Measurement;

const VIRTUAL: &str = "tools/bench";
const LARGE: &str = "tools/bench 5000x2";
const REAL: &str = "tools/bench --real 100x1";
const REAL_LARGE: &str = "tools/bench --real 5000x2";
const MIB: f64 = 128.0;

const CALLS: &str = "the number includes calls that were refused or not answered and were repeated";
const TIME: &str = "EC2's time to attach, 1 to 4 s, and refused calls add to the floor";
const WRITES: &str =
    "three writes: creation, the answers of Create and Attach together, Attached; each further change adds one";
const LATENCY: &str = "the API server's watch and write, the decision, and other work of this machine";
const MEMORY: &str = "the program, and the stored data of each Node, ENI and ENIAttachment";
const IDLE_CPU: &str =
    "parsing and comparing ten pages of 1,000 ENIs a minute, and a heartbeat of each Node every five minutes";

/// The goals of the design's table that concern the controller, judged by the worst result of each. The number of Events is an
/// average.
pub fn judge(all: &Results) -> Vec<Goal> {
    let pieces = |piece: Piece| all.work.iter().filter(move |measured| measured.piece == piece);
    let worst = |piece: Piece, of: &dyn Fn(&Measurement) -> f64| pieces(piece).map(of).reduce(f64::max);
    let at_most = |most: f64, measured: Option<f64>| measured.map(|measured| [measured, most]);
    let large = |measured: &Measurement| measured.scale.enis() >= 10_000;
    let ours = |piece: Piece| all.real.iter().filter(move |took| took.is_ours() && took.piece == piece);
    let full = |took: &&RealMeasurement| took.scale.nodes >= 5_000 && took.scale.nodeenis >= 2;
    // With fewer ENIs attached the controller keeps and compares less, so a good value would prove nothing.
    let whole = ours(Piece::Attach).filter(full).all(|took| took.done == took.enis);
    let if_whole = |most: f64, measured: Option<f64>| measured.filter(|measured| whole || *measured > most);
    vec![
        Goal {
            goal: "EC2 mutations for each attached ENI, 3 at most",
            measured: at_most(3.0, worst(Piece::Attach, &|m| per(m.tried_mutations(), m.enis))),
            by: VIRTUAL,
            made_of: CALLS,
        },
        Goal {
            goal: "EC2 mutations for each removed ENI, 2 at most",
            measured: at_most(2.0, worst(Piece::Delete, &|m| per(m.tried_mutations(), m.enis))),
            by: VIRTUAL,
            made_of: CALLS,
        },
        Goal {
            goal: "Describes while attaching and removing, beyond one a second for 200 attaching or detaching ENIs and one a \
                   minute for 1,000 ENIs, 0",
            measured: at_most(
                0.0,
                [Piece::Attach, Piece::Delete]
                    .into_iter()
                    .filter_map(|piece| worst(piece, &describes_too_many))
                    .reduce(f64::max),
            ),
            by: VIRTUAL,
            made_of: CALLS,
        },
        Goal {
            goal: "idle: EC2 calls a minute beyond ⌈N/1000⌉ + 1, 0",
            measured: at_most(
                0.0,
                worst(Piece::Idle, &|m| (m.all_tried() / (m.seconds / 60.0) - resync_pages(m) - 1.0).max(0.0)),
            ),
            by: VIRTUAL,
            made_of: CALLS,
        },
        Goal {
            goal: "idle: writes to the API server except of Leases, 0",
            measured: at_most(0.0, worst(Piece::Idle, &|m| count(m.all_writes()))),
            by: VIRTUAL,
            made_of: WRITES,
        },
        Goal {
            goal: "a restart with 10,000 ENIs in place: EC2 mutations and writes to the API server, 0",
            measured: at_most(
                0.0,
                pieces(Piece::Restart)
                    .filter(|m| large(m))
                    .map(|m| count(m.tried_mutations() + m.all_writes()))
                    .reduce(f64::max),
            ),
            by: LARGE,
            made_of: CALLS,
        },
        Goal {
            goal: "a NodeENI whose subnet does not exist: Creates in an hour, 0",
            measured: at_most(0.0, worst(Piece::Impossible, &|m| count(m.attempts("CreateNetworkInterface")))),
            by: VIRTUAL,
            made_of: CALLS,
        },
        Goal {
            goal: "1,000 nodes × 2: time divided by the floor, 1.05 at most",
            measured: at_most(
                1.05,
                pieces(Piece::Attach)
                    .filter(|m| m.scale.enis() >= 2_000)
                    .filter_map(Measurement::ratio)
                    .reduce(f64::max),
            ),
            by: VIRTUAL,
            made_of: TIME,
        },
        Goal {
            goal: "writes to each ENIAttachment, 3 at most",
            measured: at_most(3.0, worst(Piece::Attach, &|m| count(m.most_writes))),
            by: VIRTUAL,
            made_of: WRITES,
        },
        Goal {
            goal: "Events for each ENIAttachment, 1 at most",
            measured: at_most(1.0, worst(Piece::Attach, &|m| per(m.events, m.enis))),
            by: VIRTUAL,
            made_of: WRITES,
        },
        Goal {
            goal: "from a label to Attach, without the time of EC2's answers, 99th percentile, 50 ms at most",
            measured: at_most(
                50.0,
                ours(Piece::Label).filter_map(|took| took.added_ms).map(|[_, most]| most).reduce(f64::max),
            ),
            by: REAL,
            made_of: LATENCY,
        },
        Goal {
            goal: "5,000 full-size Nodes with heartbeats × 2: peak memory, 128 MiB at most",
            measured: at_most(
                MIB,
                if_whole(
                    MIB,
                    all.real.iter().filter(|t| t.is_ours()).filter(full).map(|t| t.peak_mib).reduce(f64::max),
                ),
            ),
            by: REAL_LARGE,
            made_of: MEMORY,
        },
        Goal {
            goal: "5,000 full-size Nodes with heartbeats × 2: idle CPU in % of a core, 1 at most",
            measured: at_most(
                1.0,
                if_whole(
                    1.0,
                    ours(Piece::Idle).filter(full).map(|t| 100.0 * t.cpu_seconds / t.seconds).reduce(f64::max),
                ),
            ),
            by: REAL_LARGE,
            made_of: IDLE_CPU,
        },
    ]
}

/// Pages of one resync. There is one resync a minute.
fn resync_pages(measured: &Measurement) -> f64 {
    f64::from(measured.scale.enis().div_ceil(1000).max(1))
}

/// Describes beyond those that are allowed. At most as many ENIs are in motion as EC2 admits within the 4 s that a change takes,
/// and the burst.
fn describes_too_many(measured: &Measurement) -> f64 {
    const IN_MOTION_AT_MOST: u32 = 70;
    let seconds = measured.seconds.ceil() + 5.0;
    let polls = f64::from(IN_MOTION_AT_MOST.div_ceil(200)) * seconds;
    let resyncs = resync_pages(measured) * (seconds / 60.0).ceil();
    (count(measured.attempts("DescribeNetworkInterfaces")) - polls - resyncs).max(0.0)
}

fn per(of: u64, enis: u32) -> f64 {
    count(of) / f64::from(enis.max(1))
}

#[allow(clippy::cast_precision_loss, reason = "counts of calls")]
fn count(of: u64) -> f64 {
    of as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase::Scale;
    use std::collections::BTreeMap;

    fn attached(seconds: f64, attach: u64) -> Measurement {
        let calls = [
            ("CreateNetworkInterface", 2000),
            ("AttachNetworkInterface", attach),
            ("ModifyNetworkInterfaceAttribute", 2000),
        ];
        Measurement {
            piece: Piece::Attach,
            scale: Scale { nodes: 1000, nodeenis: 2, share: 1.0 },
            enis: 2000,
            seconds,
            floor: Some(390.0),
            calls: calls.map(|(action, count)| (action.to_owned(), count)).into(),
            refused: BTreeMap::new(),
            writes: BTreeMap::new(),
            most_writes: 3,
            events: 2000,
            ready: None,
            attached: Vec::new(),
            real: 0.0,
        }
    }

    fn goal_lines(work: Vec<Measurement>) -> Vec<String> {
        judge(&Results { work, ..Results::default() }).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_worst_result_is_judged_and_the_excess_is_shown() {
        let good = goal_lines(vec![attached(395.0, 2000)]);
        assert!(
            good.iter().any(|line| line == "  met     EC2 mutations for each attached ENI, 3 at most: 3"),
            "{good:#?}"
        );
        assert!(
            good.iter().any(|line| line.contains("met     1,000 nodes × 2") && line.ends_with(": 1.013")),
            "{good:#?}"
        );
        assert!(!good.iter().any(|line| line.contains("MISSED")), "{good:#?}");
        let bad = goal_lines(vec![attached(395.0, 2000), attached(429.0, 2100)]);
        assert!(
            bad.iter().any(|line| line.contains("3 at most: 3.05, 0.05 too much; the number includes")),
            "{bad:#?}"
        );
        assert!(bad.iter().any(|line| line.contains("1.05 at most: 1.1, 0.05 too much; EC2's time")), "{bad:#?}");
    }

    #[test]
    fn refused_calls_count() {
        let mut refused = attached(395.0, 2000);
        refused.refused.insert("AttachNetworkInterface RequestLimitExceeded".to_owned(), 200);
        refused.refused.insert("DescribeNetworkInterfaces RequestLimitExceeded".to_owned(), 200);
        let bad = goal_lines(vec![refused]);
        assert!(bad.iter().any(|line| line.contains("3 at most: 3.1, 0.1 too much")), "{bad:#?}");
    }

    #[test]
    fn memory_of_an_incomplete_fleet_is_not_judged() {
        let took = |piece, done| RealMeasurement {
            candidate: crate::real::candidate::OURS.to_owned(),
            piece,
            scale: Scale { nodes: 5000, nodeenis: 2, share: 1.0 },
            enis: if piece == Piece::Attach { 10_000 } else { 0 },
            done,
            seconds: 100.0,
            floor: None,
            calls: BTreeMap::new(),
            refused: BTreeMap::new(),
            writes: BTreeMap::new(),
            peak_mib: 100.0,
            cpu_seconds: 2.0,
            attached: Vec::new(),
            added_ms: None,
            labels: Vec::new(),
        };
        let is_met = |done| {
            let all = Results { real: vec![took(Piece::Attach, done), took(Piece::Idle, 0)], ..Results::default() };
            judge(&all).iter().filter(|goal| goal.by == REAL_LARGE).map(Goal::is_met).collect::<Vec<_>>()
        };
        assert_eq!(is_met(10_000), [Some(true), Some(false)]);
        assert_eq!(is_met(9_999), [None, Some(false)], "what is too much already is too much");
    }

    #[test]
    fn an_unmeasured_goal_is_not_met() {
        let none = goal_lines(Vec::new());
        assert!(none.iter().all(|line| line.contains("not measured by this run, but by tools/bench")), "{none:#?}");
    }
}
