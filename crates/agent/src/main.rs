//! The `multi-eni-agent` binary.

use clap::Parser;
use futures::StreamExt;
use multi_eni_agent::cli::{Cli, Command, Options, Run, Source};
use multi_eni_agent::device_plugin::candidates::{Found, candidates, reported_device};
use multi_eni_agent::device_plugin::pods::Pods;
use multi_eni_agent::dpdk::settings::DpdkSettings;
use multi_eni_agent::metrics::AgentMetrics;
use multi_eni_agent::node_agent::NodeAgent;
use multi_eni_agent::pci_device::PciDevice;
use multi_eni_agent::plan::Plan;
use multi_eni_agent::state_lock::StateLock;
use multi_eni_agent::wanted::WantedEni;
use multi_eni_agent::watch::{self, Attachments, Reported};
use multi_eni_agent::{attachments_file, device_plugin, doctor, dpdk, rights, run, state_lock};
use multi_eni_http_server::Addresses;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::IsTerminal;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long `doctor` waits for the ENIAttachments.
const DOCTOR_WAITS: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.init()
    } else {
        log.json().init()
    }
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("multi-eni-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before the ledgers are read, and until the agent has gone.
    let _lock = match cli.command {
        Command::Run(_) => Some(changes_the_node(&cli.options, "run")?),
        Command::Clean => Some(changes_the_node(&cli.options, "clean")?),
        Command::Doctor(_) => None,
    };
    let mut agent = NodeAgent::open(cli.options.directories(), cli.options.settings())?;
    agent.set_dpdk(cli.options.dpdk_settings());
    match cli.command {
        Command::Run(options) => {
            agent.set_pods(cli.options.pods());
            runtime.block_on(run(&mut agent, options))
        }
        Command::Doctor(source) => {
            let asked = runtime.block_on(asked(source))?;
            agent.set_dpdk(DpdkSettings { reads_overrides: false, ..cli.options.dpdk_settings() });
            let node = agent.observe()?;
            let plan = agent.plan(&asked.wanted)?;
            print!("{}", doctor::text(&node, &plan, &context(&cli.options, &asked)));
            print!("{}", doctor_of_pods(&asked, &plan, agent.boot_id(), cli.options.pods()));
            let binder = agent.binder();
            let seen = binder.observe_all();
            let holders = |device: &PciDevice| binder.holders(device);
            print!("{}", dpdk::doctor::text(&seen.pci, binder.bindings(), &seen.upstream, holders));
            Ok(())
        }
        Command::Clean => {
            let turn = dpdk::clean::until_given_back(&mut agent)?;
            turn.steps.iter().chain(&turn.device_steps).for_each(|step| println!("{step}"));
            for failure in &turn.failed {
                eprintln!("could not {}: {}", failure.step, failure.error);
            }
            let left = dpdk::clean::left(&turn);
            left.iter().for_each(|sentence| eprintln!("{sentence}"));
            let of_pods = cli.options.take_back_from_pods();
            of_pods.iter().flatten().for_each(|step| println!("{step}"));
            let refused: Vec<&String> = of_pods.iter().filter_map(|result| result.as_ref().err()).collect();
            refused.iter().for_each(|step| eprintln!("could not {step}"));
            let is_clean = turn.failed.is_empty() && left.is_empty() && refused.is_empty();
            if is_clean { Ok(()) } else { Err("not everything could be taken back".into()) }
        }
    }
}

/// What a command needs that changes the node: the right, and the lock.
fn changes_the_node(options: &Options, command: &str) -> Result<StateLock, Box<dyn Error>> {
    rights::check()?;
    Ok(StateLock::take(&options.state_dir, command)?)
}

async fn run(agent: &mut NodeAgent, options: Run) -> Result<(), Box<dyn Error>> {
    let Run { source, metrics_addr, health_addr } = options;
    let metrics = Arc::new(AgentMetrics::default());
    multi_eni_http_server::start(Addresses { metrics: metrics_addr, health: health_addr }, Arc::clone(&metrics))
        .await?;
    match (source.attachments_file, source.node_name) {
        (Some(file), node) => Ok(run::with_file(agent, &file, node.as_deref(), &metrics).await?),
        (None, Some(node)) => {
            let client = kube::Client::try_default().await?;
            Ok(run::with_api_server(agent, client, &node, &metrics).await?)
        }
        (None, None) => Err("set --node-name (NODE_NAME) or --attachments-file".into()),
    }
}

/// What `doctor` says besides the node.
fn context(options: &Options, asked: &Asked) -> doctor::Context {
    let configured = |(uid, reported): (&String, &Reported)| Some((uid.clone(), reported.configured.clone()?));
    doctor::Context {
        state_dir: options.state_dir.display().to_string(),
        at_work: state_lock::holder(&options.state_dir).map_err(|error| error.to_string()),
        node_name: asked.node_name.clone(),
        has_attachments: asked.has_attachments,
        reported: asked.reported.iter().filter_map(configured).collect(),
    }
}

/// What `doctor` says of pods.
fn doctor_of_pods(asked: &Asked, plan: &Plan, boot_id: &str, pods: Pods) -> String {
    let found = Found { reports: &plan.reports, failed: &[], boot_id };
    let known = |uid: &str| reported_device(asked.reported.get(uid)?.node.as_ref()?, boot_id);
    device_plugin::doctor::text(&pods.look(candidates(&found, &asked.wanted, known)))
}

/// What the ENIAttachments ask for, and what the agent has reported of them, by UID.
#[derive(Default)]
struct Asked {
    wanted: Vec<WantedEni>,
    reported: BTreeMap<String, Reported>,
    has_attachments: bool,
    node_name: Option<String>,
}

/// The ENIAttachments of now.
async fn asked(source: Source) -> Result<Asked, Box<dyn Error>> {
    match (source.attachments_file, source.node_name) {
        (Some(file), node) => {
            let objects = attachments_file::read(&file, node.as_deref())?;
            let wanted = objects.iter().filter_map(WantedEni::read).collect();
            Ok(Asked { wanted, has_attachments: !objects.is_empty(), node_name: node, ..Asked::default() })
        }
        (None, Some(node)) => {
            let client = kube::Client::try_default().await?;
            let first_list = async {
                let (mut attachments, mut events) = (Attachments::default(), pin!(watch::events(client, &node)));
                while let Some(event) = events.next().await {
                    attachments.take(event?);
                    if let (Some(wanted), Some(entries)) = (attachments.wanted(), attachments.entries()) {
                        let reported = entries.values().map(|entry| (entry.uid.clone(), entry.reported.clone()));
                        let (reported, has_attachments) = (reported.collect(), !entries.is_empty());
                        return Ok(Asked { wanted, reported, has_attachments, node_name: Some(node.clone()) });
                    }
                }
                Err("the watch of ENIAttachments has ended".into())
            };
            match tokio::time::timeout(DOCTOR_WAITS, first_list).await {
                Ok(result) => result,
                Err(_) => Err("the API server has not answered with the ENIAttachments of this node".into()),
            }
        }
        (None, None) => Err("set --node-name (NODE_NAME) or --attachments-file".into()),
    }
}
