//! The command `multi-eni drain`: removes the ENIs of this cluster, or of one NodeENI. It deletes NodeENIs on the API server, as
//! `kubectl delete` does, and waits until the running controller has detached and deleted the ENIs. It makes no change on EC2.
//!
//! `removal.rs`, `progress.rs`, `orphans.rs`, `left.rs`, `verdict.rs`, `rights.rs` and `text.rs` decide over plain data; `run.rs`, `watches.rs`, `leader.rs`,
//! `nodes.rs` and `ec2_audit.rs` read and write.

mod ec2_audit;
mod leader;
mod left;
mod listing;
mod nodes;
mod objects;
mod orphans;
mod progress;
mod removal;
mod rights;
mod run;
mod text;
mod verdict;
mod watches;

use super::output::say;
use super::runtime::{interrupted, runtime};
use super::values::seconds;
use crate::logs::{self, Format};
use jiff::SignedDuration;
use miette::miette;
use removal::Scope;
use run::{Deadline, Drain};
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;
use tokio::runtime::Runtime;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Remove only this NodeENI [default: all]
    #[arg(long, value_name = "NAME")]
    nodeeni: Option<String>,

    /// Do not ask for confirmation. Without a terminal it is required
    #[arg(short, long)]
    yes: bool,

    /// Print what would be removed, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// How long to wait for the removal, orphans included. The deletion goes on in the cluster after that
    #[arg(long, default_value = "10m", value_parser = seconds)]
    timeout: SignedDuration,

    #[command(flatten)]
    checks: Checks,

    /// Namespace of the controller's Lease [default: every namespace]
    #[arg(short, long, env = "POD_NAMESPACE")]
    namespace: Option<String>,

    /// Log filter, such as info or multi_eni_controller=debug
    #[arg(long, env = "MULTI_ENI_LOG", default_value = "error")]
    log: String,
}

/// Checks that a user can leave out.
#[derive(Debug, clap::Args)]
struct Checks {
    /// Do not ask EC2 which ENIs are left. No AWS credentials are needed then
    #[arg(long)]
    no_audit: bool,

    /// Do not check that a controller leads: for one that runs without --leader-elect
    #[arg(long)]
    no_leader_check: bool,
}

/// Runs `multi-eni drain`.
pub(super) fn run(flags: Flags) -> miette::Result<ExitCode> {
    logs::init(Format::Auto, &flags.log);
    let runtime = runtime()?;
    let scope = flags.nodeeni.clone().map_or(Scope::Cluster, Scope::NodeEni);
    // Nothing is changed yet, so a signal may end the process as usual.
    let mut drain = runtime.block_on(Drain::begin(scope, !flags.checks.no_audit)).map_err(|why| miette!("{why}"))?;
    if drain.removal.is_over() {
        return only_orphans(&runtime, &mut drain, &flags);
    }
    say(&drain.announcement());
    let mut leads = true;
    match leader(&runtime, &drain, &flags)? {
        None => {}
        Some(why) if flags.dry_run => {
            leads = false;
            say(&text::nobody_leads(&why));
        }
        Some(why) => {
            return Err(miette!(
                "no controller leads, so no ENI would be detached: {why}. Nothing was deleted. Start the controller, or give the \
                 namespace of its Lease with --namespace; for one that runs without --leader-elect use --no-leader-check"
            ));
        }
    }
    if flags.dry_run {
        say("Nothing was deleted (--dry-run).\n");
        return Ok(ExitCode::from(verdict::dry_run(leads)));
    }
    if !flags.yes && !confirm()? {
        say("Nothing was deleted.\n");
        return Ok(ExitCode::FAILURE);
    }
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = interrupted() => {
                say(&text::interrupted());
                Ok(ExitCode::from(130))
            }
            ended = drain.remove(flags.timeout) => {
                ended.map(ExitCode::from).map_err(|why| miette!("{why}"))
            }
        }
    })
}

/// Looks for the controller and names it. Returns why there is none. With `--no-leader-check` nobody looks.
fn leader(runtime: &Runtime, drain: &Drain, flags: &Flags) -> miette::Result<Option<String>> {
    if flags.checks.no_leader_check {
        return Ok(None);
    }
    let namespace = flags.namespace.as_deref().filter(|name| !name.is_empty());
    match runtime.block_on(drain.leader(namespace)).map_err(|why| miette!("{why}"))? {
        leader::Leader::Leads(holder) => {
            say(&format!("The controller that removes them: {holder}.\n"));
            Ok(None)
        }
        leader::Leader::Nobody(why) => Ok(Some(why)),
    }
}

/// The API server has nothing to remove. Waits for the controller if EC2 shows orphans that it removes by itself.
fn only_orphans(runtime: &Runtime, drain: &mut Drain, flags: &Flags) -> miette::Result<ExitCode> {
    let has_orphans = drain.has_orphans();
    say(&text::nothing_to_do(&drain.removal, has_orphans));
    say(&drain.orphans_announcement());
    let mut deadline = None;
    if has_orphans && !flags.dry_run {
        match leader(runtime, drain, flags)? {
            None => deadline = Some(Deadline::after(flags.timeout)),
            Some(why) => say(&orphans::nobody_leads(&why)),
        }
    }
    let status = runtime.block_on(async {
        tokio::select! {
            biased;
            () = interrupted() => {
                if has_orphans {
                    say(&orphans::interrupted());
                }
                130
            }
            status = drain.finish(verdict::End::Complete, deadline) => {
                status.max(verdict::nothing_named(&drain.removal.scope, has_orphans))
            }
        }
    });
    Ok(ExitCode::from(status))
}

/// Asks the user on the terminal.
fn confirm() -> miette::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(miette!(
            "nothing was deleted: there is no terminal to ask for confirmation. To remove these ENIs, use --yes"
        ));
    }
    say("Remove them? Type yes: ");
    let mut answer = String::new();
    // An answer that cannot be read is no consent.
    let read = stdin.lock().read_line(&mut answer);
    Ok(read.is_ok() && answer.trim().eq_ignore_ascii_case("yes"))
}
