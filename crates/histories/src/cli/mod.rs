//! The commands of `multi-eni-sim`.
use crate::generate;
use crate::history;
use crate::witness::Detail;
use std::process::ExitCode;

/// Runs the command line.
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let num = |n: usize| args.get(n).and_then(|a| a.parse::<u64>().ok()).unwrap_or(0);
    match args.get(1).map(String::as_str) {
        Some("script") => print!("{}", generate::script(num(2)).text()),
        Some("replay") => {
            let detail = if args.get(3).is_some() { Detail::Everything } else { Detail::Story };
            let verdict = history::run(&generate::script(num(2)), detail);
            verdict.trace.iter().for_each(|line| println!("{line}"));
            println!(
                "{:?} converged {:?} ended {} acts {:?}",
                verdict.breach.map(|b| b.to_string()),
                verdict.converged_after,
                verdict.ended,
                verdict.acts
            );
        }
        _ => {
            let began = std::time::Instant::now();
            let (mut bad, mut slowest, mut len, mut faults) = (0, 0, 0, 0);
            let mut kinds = std::collections::BTreeMap::<String, u64>::new();
            for seed in num(2)..num(3) {
                let verdict = history::run(&generate::script(seed), Detail::None);
                len += verdict.ended;
                faults += verdict.befallen.len();
                slowest = slowest.max(verdict.converged_after.unwrap_or(0));
                if let Some(breach) = verdict.breach {
                    bad += 1;
                    *kinds.entry(breach.promise.to_string()).or_default() += 1;
                    println!("seed {seed}: {breach}");
                }
            }
            let n = num(3) - num(2);
            println!(
                "{bad} of {n} bad; {:?} each; slowest convergence {} s; mean length {} s; {} faults; {kinds:?}",
                began.elapsed() / u32::try_from(n).unwrap_or(1),
                slowest / 1000,
                len / n / 1000,
                faults as u64 / n
            );
        }
    }
    ExitCode::SUCCESS
}
