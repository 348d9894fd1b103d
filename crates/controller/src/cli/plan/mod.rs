//! The commands `multi-eni plan` and `multi-eni explain`: what the controller would do now, and why not more. They read the
//! cluster and EC2 and never write to either.

pub(super) mod cluster;
pub(super) mod file;

use super::node_agent_flag::NodeAgentFlag;
use super::output::print;
use super::pod_flags::PodFlags;
use super::runtime::{interrupted, runtime};
use super::unanswered;
use super::values::{LOG_WITHOUT_REQUESTS, seconds, share};
use crate::api_writes::Writer;
use crate::client;
use crate::clock;
use crate::events::EventRecorder;
use crate::http_server::Gauges;
use crate::leader_election::Fence;
use crate::logs::{self, Format};
use crate::nodeeni_file;
use crate::reconcile::{Dependencies, DryRun, Reconciler};
use miette::{IntoDiagnostic, miette};
use multi_eni_ec2::{Buckets, Ec2};
use multi_eni_plan::explain::{self, Plan};
use multi_eni_plan::observed::ObservedNode;
use multi_eni_plan::settings::Settings;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long the lookups on EC2 may take in all.
const EC2_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// A file of NodeENIs to plan as if it were applied (- for standard input). All other NodeENIs of the cluster stay as they
    /// are
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Format of the output
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Share of the account's EC2 request rates that the estimate of time assumes, above 0 and at most 1
    #[arg(long, env = "MULTI_ENI_BUDGET_SHARE", default_value_t = 0.8, value_parser = share)]
    budget_share: f64,

    /// Readable name of the cluster, as given to the controller: a tag on the ENIs [default: the UID of kube-system]
    #[arg(long, env = "MULTI_ENI_CLUSTER_NAME")]
    cluster_name: Option<String>,

    /// How long a node may be without its label before its ENIs are removed
    #[arg(long, env = "MULTI_ENI_LABEL_GRACE", default_value = "10s", value_parser = seconds)]
    label_grace: jiff::SignedDuration,

    /// How long a Node may be missing while its instance runs before its ENIs are removed
    #[arg(long, env = "MULTI_ENI_NODE_GONE_GRACE", default_value = "5m", value_parser = seconds)]
    node_gone_grace: jiff::SignedDuration,

    #[command(flatten)]
    pods: PodFlags,

    #[command(flatten)]
    agent: NodeAgentFlag,

    /// Log filter, such as info or multi_eni_controller=debug
    #[arg(long, env = "MULTI_ENI_LOG", default_value = LOG_WITHOUT_REQUESTS)]
    log: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExplainFlags {
    /// node/NAME or nodeeni/NAME
    #[arg(value_name = "KIND/NAME", value_parser = subject)]
    subject: Subject,

    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// Text
    Text,
    /// JSON
    Json,
}

/// The object to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Node(String),
    NodeEni(String),
}

fn subject(text: &str) -> Result<Subject, String> {
    match text.split_once('/') {
        Some(("node" | "nodes" | "no", name)) if !name.is_empty() => Ok(Subject::Node(name.to_owned())),
        Some(("nodeeni" | "nodeenis" | "neni", name)) if !name.is_empty() => Ok(Subject::NodeEni(name.to_owned())),
        _ => Err(format!("{text:?} is neither node/NAME nor nodeeni/NAME")),
    }
}

/// The plan as JSON, with the least time that its calls take.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    budget_share: f64,
    at_least_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unanswered: Option<&'a str>,
}

/// Runs `multi-eni plan`.
pub(super) fn plan(flags: Flags) -> miette::Result<ExitCode> {
    logs::init(Format::Auto, &flags.log);
    let Some((plan, dry_run)) = planned(&flags)? else { return Ok(ExitCode::from(130)) };
    let seconds = at_least(&plan, flags.budget_share);
    let text = match flags.output {
        Output::Json => json(&plan, &dry_run, &flags)?,
        Output::Text => {
            let mut text = explain::plan_text(&plan);
            if !plan.calls.is_empty() {
                text.push_str(&time(seconds, flags.budget_share));
            }
            text
        }
    };
    finish(&text, &plan, &dry_run)
}

/// Runs `multi-eni explain KIND/NAME`.
pub(super) fn explain(ExplainFlags { subject, flags }: ExplainFlags) -> miette::Result<ExitCode> {
    logs::init(Format::Auto, &flags.log);
    let Some((mut plan, dry_run)) = planned(&flags)? else { return Ok(ExitCode::from(130)) };
    let nodes: Vec<&ObservedNode> = dry_run.nodes.iter().collect();
    let explanation = match &subject {
        Subject::Node(name) => {
            let node = nodes.iter().copied().find(|node| node.name == *name);
            let explanation = explain::explain_node(&plan, node, name);
            for entry in &mut plan.node_enis {
                let is_matched = explain::is_matched(entry, node);
                entry.lines.retain(|line| explain::is_about(line, name, is_matched));
            }
            explanation.ok_or_else(|| miette!("the cluster has no Node {name}, and no ENI of a Node of that name"))?
        }
        Subject::NodeEni(name) => {
            let explanation = explain::explain_nodeeni(&plan, name, &nodes);
            plan.node_enis.retain(|entry| entry.name == *name);
            explanation.ok_or_else(|| miette!("the cluster has no NodeENI {name}"))?
        }
    };
    let text = match flags.output {
        Output::Json => {
            plan.recount();
            json(&plan, &dry_run, &flags)?
        }
        Output::Text => explanation,
    };
    finish(&text, &plan, &dry_run)
}

fn time(seconds: u64, share: f64) -> String {
    let percent = share * 100.0;
    match seconds {
        0 => "Time: no call waits for EC2's request rates; each attach and detach takes EC2 some seconds\n".to_owned(),
        _ => format!(
            "Time: at least {seconds} s at {percent:.0} % of EC2's default request rates; each attach and detach takes EC2 some seconds\n"
        ),
    }
}

fn at_least(plan: &Plan, share: f64) -> u64 {
    multi_eni_ec2::shortest(&plan.calls, share).as_secs_f64().ceil() as u64
}

fn json(plan: &Plan, dry_run: &DryRun, flags: &Flags) -> miette::Result<String> {
    let answer = Answer {
        plan,
        budget_share: flags.budget_share,
        at_least_seconds: at_least(plan, flags.budget_share),
        unanswered: dry_run.unanswered.as_deref(),
    };
    serde_json::to_string_pretty(&answer).into_diagnostic().map(|text| text + "\n")
}

/// Prints the text. The exit code is 1 if the plan is incomplete, or if a NodeENI of the file would be refused.
fn finish(text: &str, plan: &Plan, dry_run: &DryRun) -> miette::Result<ExitCode> {
    print(text)?;
    if let Some(why) = &dry_run.unanswered {
        eprintln!("Warning: the output is incomplete: {why}");
    }
    let whole = dry_run.unanswered.is_none() && !plan.node_enis.iter().any(|entry| entry.is_refused);
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The plan. None if a signal interrupted the command.
fn planned(flags: &Flags) -> miette::Result<Option<(Plan, DryRun)>> {
    runtime()?.block_on(async {
        tokio::select! {
            biased;
            () = interrupted() => Ok(None),
            planned = make_plan(flags) => planned.map(Some),
        }
    })
}

async fn make_plan(flags: &Flags) -> miette::Result<(Plan, DryRun)> {
    let file = flags.file.as_deref().map(nodeeni_file::read).transpose().map_err(|why| miette!("{why}"))?;
    let config = client::config().await.map_err(|why| miette!("{why}"))?;
    let kube = client::plain(&config).into_diagnostic()?;
    let options = multi_eni_ec2::Options { budget_share: flags.budget_share, ..multi_eni_ec2::Options::default() };
    let aws = multi_eni_ec2::client(options.call_timeout).await.into_diagnostic()?;
    let pods = flags.pods.annotation();
    let (mut store, mut cluster) =
        cluster::all(&kube, file.is_some(), pods.as_deref()).await.map_err(|why| miette!("{why}"))?;
    if let Some(name) = flags.cluster_name.clone().filter(|name| !name.is_empty()) {
        cluster.name = name;
    }
    let refused = match file {
        Some(objects) => file::apply_to_store(&kube, &mut store, objects).await.map_err(|why| miette!("{why}"))?,
        None => BTreeMap::new(),
    };
    let (wall, steady) = clock::system();
    // Always closed: no write and no EC2 call passes except lookups.
    let fence = Fence::closed(steady);
    let fenced = client::fenced(&config, fence.clone()).into_diagnostic()?;
    let settings = Settings {
        label_grace: flags.label_grace,
        node_gone_grace: flags.node_gone_grace,
        pod_annotation: pods,
        node_agent: flags.agent.node_agent,
        ..Settings::default()
    };
    let buckets = Buckets::new(options.budget_share, options.burst_share);
    let (ec2, ec2_changes) = Ec2::new(
        aws,
        cluster.clone(),
        options,
        wall.clone(),
        Arc::new(move |timeout| fence.may_send(timeout)),
        &buckets,
    );
    let asked = unanswered::asked(ec2.region().as_deref());
    let deps = Dependencies {
        cluster: cluster.clone(),
        ec2: ec2.clone(),
        writer: Writer::new(fenced.clone()),
        recorder: EventRecorder::new(fenced, String::new()),
        settings: settings.clone(),
        wall,
        gauges: Arc::new(Gauges::default()),
        spans: None,
    };
    let dry_run = tokio::select! {
        dry_run = Reconciler::dry_run(deps, store, ec2_changes, EC2_TIMEOUT) => dry_run.map_err(|why| miette!("{why}. {asked}"))?,
        () = ec2.run(std::future::pending()) => return Err(miette!("the task that makes the EC2 lookups has stopped")),
    };
    Ok((dry_run.plan(&cluster, &settings, &refused), dry_run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_node_or_a_nodeeni() {
        assert_eq!(subject("node/n1"), Ok(Subject::Node("n1".into())));
        assert_eq!(subject("neni/a"), Ok(Subject::NodeEni("a".into())));
        for bad in ["", "n1", "node/", "pod/x"] {
            assert!(subject(bad).unwrap_err().contains("neither node/NAME nor nodeeni/NAME"), "{bad}");
        }
    }
}
