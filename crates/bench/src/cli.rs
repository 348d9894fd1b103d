//! The command.

use crate::report;
use crate::scenes::{self, Scale};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// How many EC2 calls and API-server writes the work takes, in virtual time, against what EC2's default token buckets allow
#[derive(Debug, Parser)]
#[command(name = "multi-eni-bench", version, max_term_width = 120)]
struct Cli {
    /// Worlds, as NODES×NODEENIS; NODEENIS is 1 or 2
    #[arg(default_values = ["100x1", "1000x2"], value_parser = size)]
    worlds: Vec<(u32, u32)>,
    /// Shares of EC2's refill rates that may be used
    #[arg(long, value_delimiter = ',', default_value = "0.8,1", value_parser = share)]
    share: Vec<f64>,
    /// Write everything to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("{text:?} is not NODESxNODEENIS, such as 1000x2, with 10 to 5000 nodes and 1 or 2 NodeENIs");
    let (nodes, nodeenis) = text.split_once(['x', '×']).ok_or_else(wrong)?;
    let (nodes, nodeenis) = (nodes.parse().map_err(|_| wrong())?, nodeenis.parse().map_err(|_| wrong())?);
    ((10..=5000).contains(&nodes) && (1..=2).contains(&nodeenis)).then_some((nodes, nodeenis)).ok_or_else(wrong)
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| format!("{text:?} is not above 0 and at most 1"))
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    println!("{}", report::heading());
    let mut all = Vec::new();
    for share in cli.share {
        for (nodes, nodeenis) in &cli.worlds {
            println!("at {:.0} % of EC2's refill rates", share * 100.0);
            let scale = Scale { nodes: *nodes, nodeenis: *nodeenis, share };
            match scenes::play(scale, |measured| println!("{}", report::line(measured))) {
                Ok(measured) => all.extend(measured),
                Err(error) => {
                    eprintln!("multi-eni-bench: {nodes}x{nodeenis}: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    let written = cli.json.map_or(Ok(()), |file| {
        let text = report::json(&all).map_err(|error| error.to_string())?;
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("multi-eni-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
