//! Whether what was measured meets the goals of the design, and by how much not.

use crate::real::measure::Took;
use crate::report::All;
use crate::scenes::Measured;
use crate::work::Piece;
use serde::Serialize;
use std::fmt;

/// What came of a goal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Goal {
    /// The goal.
    pub goal: &'static str,
    /// The worst of what was measured, and the most that it may be; None: this run did not measure it.
    pub measured: Option<[f64; 2]>,
    /// What measures it.
    pub by: &'static str,
    /// What makes up the number: why it is what it is.
    pub made_of: &'static str,
}

impl Goal {
    /// Whether it is met; None if it was not measured.
    pub fn is_met(&self) -> Option<bool> {
        self.measured.map(|[measured, most]| measured <= most)
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { goal, measured, by, made_of } = self;
        match measured {
            None => write!(f, "  -       {goal}: not measured here, but by {by}"),
            Some([measured, most]) if measured <= most => write!(f, "  met     {goal}: {}", number(*measured)),
            Some([measured, most]) => {
                write!(f, "  MISSED  {goal}: {}, {} too much; {made_of}", number(*measured), number(measured - most))
            }
        }
    }
}

fn number(of: f64) -> String {
    let text = format!("{of:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

const VIRTUAL: &str = "tools/bench";
const LARGE: &str = "tools/bench 5000x2";
const REAL: &str = "tools/bench --real 100x1";
const REAL_LARGE: &str = "tools/bench --real 5000x2";
const MIB: f64 = 128.0;

const CALLS: &str = "each call, and each that was refused or had no answer and was made again";
const TIME: &str = "what EC2 takes to attach, 1 to 4 s, and what it refuses, come on top of the floor";
const WRITES: &str = "its creation, the answers of Create and Attach together, and Attached; each change beyond these";
const LATENCY: &str = "the API server's watch and write, the decision, and what this machine does besides";
const MEMORY: &str = "the program, and what is known of each Node, ENI and ENIAttachment";
const IDLE_CPU: &str =
    "ten pages of 1,000 ENIs a minute that are parsed and compared, and a heartbeat of each Node in five minutes";

/// The rows of the design's table that have to do with the controller, over all that was measured. Events are an average.
pub fn judge(all: &All) -> Vec<Goal> {
    let pieces = |piece: Piece| all.work.iter().filter(move |measured| measured.piece == piece);
    let worst = |piece: Piece, of: &dyn Fn(&Measured) -> f64| pieces(piece).map(of).reduce(f64::max);
    let at_most = |most: f64, measured: Option<f64>| measured.map(|measured| [measured, most]);
    let large = |measured: &Measured| measured.scale.enis() >= 10_000;
    let ours = |piece: Piece| all.real.iter().filter(move |took| took.is_ours() && took.piece == piece);
    let full = |took: &&Took| took.scale.nodes >= 5_000 && took.scale.nodeenis >= 2;
    // With less in place, less is known and less is compared.
    let whole = ours(Piece::Attach).filter(full).all(|took| took.done == took.enis);
    let if_whole = |most: f64, measured: Option<f64>| measured.filter(|measured| whole || *measured > most);
    vec![
        Goal {
            goal: "EC2 mutations an ENI attached, 3 at most",
            measured: at_most(3.0, worst(Piece::Attach, &|m| per(m.tried_mutations(), m.enis))),
            by: VIRTUAL,
            made_of: CALLS,
        },
        Goal {
            goal: "EC2 mutations an ENI removed, 2 at most",
            measured: at_most(2.0, worst(Piece::Delete, &|m| per(m.tried_mutations(), m.enis))),
            by: VIRTUAL,
            made_of: CALLS,
        },
        Goal {
            goal: "Describes while attaching and removing beyond one a second for 200 in motion and a sweep a minute for 1,000 ENIs, 0",
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
                worst(Piece::Idle, &|m| (m.all_tried() / (m.seconds / 60.0) - sweep(m) - 1.0).max(0.0)),
            ),
            by: VIRTUAL,
            made_of: CALLS,
        },
        Goal {
            goal: "idle: writes to the API server but Leases, 0",
            measured: at_most(0.0, worst(Piece::Idle, &|m| count(m.all_writes()))),
            by: VIRTUAL,
            made_of: WRITES,
        },
        Goal {
            goal: "a restart with 10,000 ENIs in place: EC2 mutations and writes, so all stay Ready, 0",
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
            goal: "what cannot work, a subnet that does not exist: Creates in an hour, 0",
            measured: at_most(0.0, worst(Piece::Impossible, &|m| count(m.attempts("CreateNetworkInterface")))),
            by: VIRTUAL,
            made_of: CALLS,
        },
        Goal {
            goal: "1,000 nodes × 2: time over the floor, 1.05 at most",
            measured: at_most(
                1.05,
                pieces(Piece::Attach).filter(|m| m.scale.enis() >= 2_000).filter_map(Measured::ratio).reduce(f64::max),
            ),
            by: VIRTUAL,
            made_of: TIME,
        },
        Goal {
            goal: "writes to an ENIAttachment, 3 at most",
            measured: at_most(3.0, worst(Piece::Attach, &|m| count(m.most_writes))),
            by: VIRTUAL,
            made_of: WRITES,
        },
        Goal {
            goal: "Events an ENIAttachment, 1 at most",
            measured: at_most(1.0, worst(Piece::Attach, &|m| per(m.events, m.enis))),
            by: VIRTUAL,
            made_of: WRITES,
        },
        Goal {
            goal: "label to Attach beyond EC2's answers, 99 %, 50 ms at most",
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
            goal: "the same: idle CPU in % of a core, 1 at most",
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

/// A sweep a minute has so many pages.
fn sweep(measured: &Measured) -> f64 {
    f64::from(measured.scale.enis().div_ceil(1000).max(1))
}

/// As many are in motion at a time as EC2 lets in within the 4 s that it takes at most, and the burst.
fn describes_too_many(measured: &Measured) -> f64 {
    const IN_MOTION_AT_MOST: u32 = 70;
    let seconds = measured.seconds.ceil() + 5.0;
    let polls = f64::from(IN_MOTION_AT_MOST.div_ceil(200)) * seconds;
    let sweeps = sweep(measured) * (seconds / 60.0).ceil();
    (count(measured.attempts("DescribeNetworkInterfaces")) - polls - sweeps).max(0.0)
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
    use crate::work::Scale;
    use std::collections::BTreeMap;

    fn attached(seconds: f64, attach: u64) -> Measured {
        let calls = [
            ("CreateNetworkInterface", 2000),
            ("AttachNetworkInterface", attach),
            ("ModifyNetworkInterfaceAttribute", 2000),
        ];
        Measured {
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

    fn told(work: Vec<Measured>) -> Vec<String> {
        judge(&All { work, ..All::default() }).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_worst_counts_and_by_how_much_it_is_too_much_is_said() {
        let good = told(vec![attached(395.0, 2000)]);
        assert!(good.iter().any(|line| line == "  met     EC2 mutations an ENI attached, 3 at most: 3"), "{good:#?}");
        assert!(
            good.iter().any(|line| line.contains("met     1,000 nodes × 2") && line.ends_with(": 1.013")),
            "{good:#?}"
        );
        assert!(!good.iter().any(|line| line.contains("MISSED")), "{good:#?}");
        let bad = told(vec![attached(395.0, 2000), attached(429.0, 2100)]);
        assert!(bad.iter().any(|line| line.contains("3 at most: 3.05, 0.05 too much; each call")), "{bad:#?}");
        assert!(bad.iter().any(|line| line.contains("1.05 at most: 1.1, 0.05 too much; what EC2")), "{bad:#?}");
    }

    #[test]
    fn refused_calls_count() {
        let mut refused = attached(395.0, 2000);
        refused.refused.insert("AttachNetworkInterface RequestLimitExceeded".to_owned(), 200);
        refused.refused.insert("DescribeNetworkInterfaces RequestLimitExceeded".to_owned(), 200);
        let bad = told(vec![refused]);
        assert!(bad.iter().any(|line| line.contains("3 at most: 3.1, 0.1 too much")), "{bad:#?}");
    }

    #[test]
    fn memory_of_a_world_that_is_not_whole_says_nothing() {
        let took = |piece, done| Took {
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
        };
        let told = |done| {
            let all = All { real: vec![took(Piece::Attach, done), took(Piece::Idle, 0)], ..All::default() };
            judge(&all).iter().filter(|goal| goal.by == REAL_LARGE).map(Goal::is_met).collect::<Vec<_>>()
        };
        assert_eq!(told(10_000), [Some(true), Some(false)]);
        assert_eq!(told(9_999), [None, Some(false)], "what is too much already is too much");
    }

    #[test]
    fn what_was_not_measured_is_not_called_met() {
        let none = told(Vec::new());
        assert!(none.iter().all(|line| line.contains("not measured here, but by tools/bench")), "{none:#?}");
    }
}
