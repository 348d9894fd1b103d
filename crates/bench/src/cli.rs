//! The command line of `multi-eni-bench`: it runs the workloads in virtual or in real time, prints tables and goals, and writes
//! the JSON and the plot.

use crate::phase::Scale;
use crate::real::candidate::Candidate;
use crate::real::measure::{self, RealMeasurement};
use crate::region::Neighbours;
use crate::report;
use crate::results::Results;
use crate::{goals, plot, workload};
use clap::Parser;
use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Counts the EC2 calls and API-server writes of the controller's work, and compares its duration with the minimum that EC2's
/// default token buckets allow: in virtual time, or with --real in real time, with etcd, kube-apiserver, a simulated EC2 over TCP
/// and the controller as a process
#[derive(Debug, Parser)]
#[command(name = "multi-eni-bench", version, max_term_width = 120)]
struct Cli {
    /// Sizes of the fleet, as NODES×NODEENIS; NODEENIS is 1 or 2
    #[arg(default_values = ["100x1", "1000x2"], value_parser = size)]
    worlds: Vec<(u32, u32)>,
    /// Shares of EC2's refill rates that the controller may use
    #[arg(long, value_delimiter = ',', default_value = "0.8,1", value_parser = share)]
    share: Vec<f64>,
    /// Run in real time. EC2's token buckets decide how long the work takes: 20 minutes for 1000x2. Needs the binaries that
    /// tools/control-plane builds
    #[arg(long)]
    real: bool,
    /// Length of the idle time in real time, in seconds
    #[arg(long, default_value = "120", requires = "real")]
    idle: u64,
    /// ENIs of the VPC CNI on each node in real time, as ENIS×ADDRESSES; the controller is to leave them alone. 0 for none
    #[arg(long, default_value = "4x30", value_parser = neighbours, requires = "real")]
    neighbours: Neighbours,
    /// Command line, for sh, of another NodeENI controller that is also measured in real time
    #[arg(long, env = "PEER_CONTROLLER", hide_env_values = true)]
    peer: Option<String>,
    /// File with the CRDs of that controller
    #[arg(long, env = "PEER_CRDS")]
    peer_crds: Option<PathBuf>,
    /// Write all results to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write a plot to this file, as SVG: attachments over time against the floor, for the largest fleet
    #[arg(long)]
    plot: Option<PathBuf>,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let wrong =
        || format!("{text:?} is not NODESxNODEENIS, such as 1000x2, with 10 to 20000 nodes and 1 or 2 NodeENIs");
    let (nodes, nodeenis) = text.split_once(['x', '×']).ok_or_else(wrong)?;
    let (nodes, nodeenis) = (nodes.parse().map_err(|_| wrong())?, nodeenis.parse().map_err(|_| wrong())?);
    ((10..=20_000).contains(&nodes) && (1..=2).contains(&nodeenis)).then_some((nodes, nodeenis)).ok_or_else(wrong)
}

fn neighbours(text: &str) -> Result<Neighbours, String> {
    let wrong =
        || format!("{text:?} is not ENISxADDRESSES, such as 4x30, with 1 to 12 ENIs of 1 to 50 addresses, or 0");
    if text == "0" {
        return Ok(Neighbours::NONE);
    }
    let (enis, addresses) = text.split_once(['x', '×']).ok_or_else(wrong)?;
    let (enis, addresses) = (enis.parse().map_err(|_| wrong())?, addresses.parse().map_err(|_| wrong())?);
    let valid = (1..=12).contains(&enis) && (1..=50).contains(&addresses);
    valid.then_some(Neighbours { enis, addresses }).ok_or_else(wrong)
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| format!("{text:?} is not a number above 0 and at most 1"))
}

/// The exit code of a shell for a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let played = if cli.real { in_real_time(&cli) } else { in_virtual_time(&cli) };
    match played.map(with_goals).and_then(|all| write(&cli, &all).map(|()| all.interrupted)) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("multi-eni-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Judges the goals, adds them to the results and prints them.
fn with_goals(mut all: Results) -> Results {
    all.goals = goals::judge(&all);
    println!("goals");
    all.goals.iter().for_each(|goal| println!("{goal}"));
    all
}

fn in_virtual_time(cli: &Cli) -> Result<Results, String> {
    println!("{}", report::heading());
    let mut all = Results::default();
    for share in &cli.share {
        for (nodes, nodeenis) in &cli.worlds {
            println!("at {:.0} % of EC2's refill rates", share * 100.0);
            let scale = Scale { nodes: *nodes, nodeenis: *nodeenis, share: *share };
            let failed = |error| format!("{nodes}x{nodeenis}: {error}");
            all.work.extend(workload::run(scale, |measured| println!("{}", report::line(measured))).map_err(failed)?);
            let late = workload::latecomers(*nodes, *share).map_err(failed)?;
            println!("{}", report::late(*nodes, &late));
            all.latecomers.push(late);
        }
    }
    Ok(all)
}

fn in_real_time(cli: &Cli) -> Result<Results, String> {
    let peer = match (&cli.peer, &cli.peer_crds) {
        (Some(command), Some(crds)) => Some(Candidate::peer(command, crds)?),
        (None, None) => None,
        _ => return Err("PEER_CONTROLLER (a command line) and PEER_CRDS (a file) must be set together".to_owned()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    println!("{}", report::real_heading());
    let mut all = Results::default();
    for share in &cli.share {
        for (nodes, nodeenis) in &cli.worlds {
            println!("at {:.0} % of EC2's refill rates", share * 100.0);
            let idle = Duration::from_secs(cli.idle);
            let scale = Scale { nodes: *nodes, nodeenis: *nodeenis, share: *share };
            for candidate in [Some(Candidate::ours(*share)?), peer.clone()].into_iter().flatten() {
                let done = |took: RealMeasurement| {
                    println!("{}", report::real_line(&took));
                    all.real.push(took);
                };
                let failed = |error| format!("{}, {nodes}x{nodeenis}: {error}", candidate.name);
                let interrupted = Cell::new(false);
                let stop = async {
                    let _ = tokio::signal::ctrl_c().await;
                    interrupted.set(true);
                };
                runtime.block_on(measure::run(&candidate, scale, cli.neighbours, idle, stop, done)).map_err(failed)?;
                if interrupted.get() {
                    println!("interrupted: these are the results so far");
                    all.interrupted = true;
                    return Ok(all);
                }
            }
        }
    }
    Ok(all)
}

fn write(cli: &Cli, all: &Results) -> Result<(), String> {
    if let Some(file) = &cli.json {
        let text = report::json(all).map_err(|error| error.to_string())?;
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let curves = plot::curves(all);
    let nothing_to_plot = all.interrupted && curves.is_empty();
    if let Some(file) = cli.plot.as_ref().filter(|_| !nothing_to_plot) {
        std::fs::write(file, plot::svg(&curves)?).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}
