//! The command `multi-eni controller`: reads the flags, builds the clients and runs the controller.

use super::node_agent_flag::NodeAgentFlag;
use super::pod_flags::PodFlags;
use super::runtime::{interrupted, runtime_on_one_more_thread, runtime_on_this_thread};
use super::values::{seconds, share};
use crate::http_server::{self, Gauges};
use crate::leader_election::elector::Times;
use crate::logs::{self, Format};
use crate::run::{Components, Election, run as run_controller};
use crate::{client, clock};
use clap::Args;
use jiff::SignedDuration;
use miette::{IntoDiagnostic, miette};
use multi_eni_ec2::PagesApart;
use multi_eni_otlp::{Exporting, SpanQueue, traces_url, without_secrets};
use multi_eni_plan::settings::Settings;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long the last spans may take to reach the collector when the process must stop.
const FLUSH_DEADLINE: Duration = Duration::from_secs(1);

/// Finds the API server by KUBECONFIG or the in-cluster configuration, and AWS by the SDK's standard credential chain and
/// environment variables, AWS_REGION and AWS_ENDPOINT_URL included.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Address of /metrics. [::] is every IPv6 and IPv4 address; where the kernel has no IPv6, it is every IPv4 address
    #[arg(long, env = "MULTI_ENI_METRICS_ADDR", default_value = "[::]:8080")]
    metrics_addr: SocketAddr,

    /// Address of /healthz and /readyz, likewise
    #[arg(long, env = "MULTI_ENI_HEALTH_ADDR", default_value = "[::]:8081")]
    health_addr: SocketAddr,

    /// Elect a leader by a Lease (in POD_NAMESPACE, with POD_NAME as the holder), so that several replicas can run
    #[arg(long, env = "MULTI_ENI_LEADER_ELECT", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    leader_elect: bool,

    /// Readable name of the cluster, for a tag on the ENIs. The UID of the namespace kube-system, not this name, decides which
    /// ENIs belong to the cluster [default: that UID]
    #[arg(long, env = "MULTI_ENI_CLUSTER_NAME")]
    cluster_name: Option<String>,

    /// How long a node may be without its label before its ENIs are removed
    #[arg(long, env = "MULTI_ENI_LABEL_GRACE", default_value = "10s", value_parser = seconds)]
    label_grace: SignedDuration,

    /// How long a Node may be missing while its instance runs before its ENIs are removed
    #[arg(long, env = "MULTI_ENI_NODE_GONE_GRACE", default_value = "5m", value_parser = seconds)]
    node_gone_grace: SignedDuration,

    /// How long a detach may take before it is forced
    #[arg(long, env = "MULTI_ENI_FORCE_DETACH_AFTER", default_value = "15m", value_parser = seconds)]
    force_detach_after: SignedDuration,

    /// Window in which at most rollout.maxRemovals nodes of one NodeENI lose ENIs because labels or the NodeENI changed
    #[arg(long, env = "MULTI_ENI_REMOVAL_WINDOW", default_value = "5m", value_parser = seconds)]
    removal_window: SignedDuration,

    /// How many ENIs of this cluster without an ENIAttachment may be deleted at once [default: 10 % of all, at least 10]
    #[arg(long, env = "MULTI_ENI_MAX_ORPHANS")]
    max_orphans: Option<usize>,

    #[command(flatten)]
    pods: PodFlags,

    #[command(flatten)]
    agent: NodeAgentFlag,

    /// Share of the account's EC2 request rates that the controller may use, above 0 and at most 1
    #[arg(long, env = "MULTI_ENI_BUDGET_SHARE", default_value_t = 0.8, value_parser = share)]
    budget_share: f64,

    /// Address of an OpenTelemetry collector that takes OTLP over HTTP, such as http://collector:4318. The controller sends it one
    /// trace for each ENI, from the label of the Node to Ready [default: the variable OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or
    /// OTEL_EXPORTER_OTLP_ENDPOINT, otherwise no traces]
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,

    /// Format of the log
    #[arg(long, env = "MULTI_ENI_LOG_FORMAT", value_enum, default_value_t = Format::Auto)]
    log_format: Format,

    /// Log filter, such as info or multi_eni_controller=debug
    #[arg(long, env = "MULTI_ENI_LOG", default_value = "info")]
    log: String,
}

pub(super) fn run(flags: Flags) -> miette::Result<ExitCode> {
    logs::init(flags.log_format, &flags.log);
    let pages = runtime_on_one_more_thread()?;
    runtime_on_this_thread()?.block_on(start(flags, pages.handle().clone()))?;
    // A page that is still under way is of no use any more.
    pages.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

/// Runs the controller on this thread, and lets it ask for pages of ENIs on `pages`.
async fn start(flags: Flags, pages: Handle) -> miette::Result<()> {
    let gauges = Arc::new(Gauges::default());
    http_server::start(flags.metrics_addr, flags.health_addr, gauges.clone())
        .await
        .map_err(|error| miette!("{error}"))?;
    let config = client::config().await.map_err(|why| miette!("{why}"))?;
    let call_timeout = Duration::from_secs(8);
    let [aws, client] = multi_eni_ec2::clients(call_timeout).await.into_diagnostic()?;
    let ec2_options = multi_eni_ec2::Options {
        budget_share: flags.budget_share,
        call_timeout,
        pages_apart: Some(PagesApart { runtime: pages, client }),
        ..multi_eni_ec2::Options::default()
    };
    let identity = identity();
    let (spans, exporting) = export(flags.otlp_endpoint.as_deref(), &identity)?.unzip();
    let (wall, steady) = clock::system();
    let fence = Components::fence(flags.leader_elect, steady);
    let election = flags.leader_elect.then(|| Election {
        namespace: std::env::var("POD_NAMESPACE").unwrap_or_else(|_| config.default_namespace.clone()),
        times: Times::default(),
    });
    let parts = Components {
        kube: client::plain(&config).into_diagnostic()?,
        fenced: client::fenced(&config, fence.clone()).into_diagnostic()?,
        fence,
        aws,
        ec2_options,
        cluster_name: flags.cluster_name.filter(|name| !name.is_empty()),
        election,
        identity,
        settings: Settings {
            label_grace: flags.label_grace,
            node_gone_grace: flags.node_gone_grace,
            force_detach: flags.force_detach_after,
            removal_window: flags.removal_window,
            max_orphans: flags.max_orphans,
            pod_annotation: flags.pods.annotation(),
            node_agent: flags.agent.node_agent,
            ..Settings::default()
        },
        wall,
        gauges,
        spans,
    };
    run_controller(parts, interrupted()).await;
    if let Some(exporting) = exporting {
        exporting.stop(FLUSH_DEADLINE).await;
    }
    tracing::info!("controller stopped");
    Ok(())
}

/// Starts to send traces, if the flag or a variable names a collector.
fn export(flag: Option<&str>, identity: &str) -> miette::Result<Option<(SpanQueue, Exporting)>> {
    let Some((url, set_by)) = traces_url(flag, |name| std::env::var(name).ok()) else { return Ok(None) };
    let shown = without_secrets(&url);
    match multi_eni_otlp::start(url, identity) {
        Ok(exporting) => {
            tracing::info!(url = shown, "sending traces to an OpenTelemetry collector");
            Ok(Some(exporting))
        }
        Err(error) if error.is_of_flag(set_by) => Err(miette!("{error}")),
        Err(error) => {
            // The controller must work without traces: an injector may set the variables for all pods.
            tracing::warn!(%error, "no traces are sent: the settings of OpenTelemetry cannot be used");
            Ok(None)
        }
    }
}

/// POD_NAME, or the name of the host with a suffix that differs between processes.
fn identity() -> String {
    std::env::var("POD_NAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let started = jiff::Timestamp::now().as_nanosecond();
        let suffix = multi_eni_api::names::short_digest(&format!("{}/{started}", std::process::id()));
        format!("{}_{suffix}", host.unwrap_or_else(|| "multi-eni".to_owned()))
    })
}
