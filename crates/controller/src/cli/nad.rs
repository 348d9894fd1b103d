//! The command `multi-eni nad`: prints NetworkAttachmentDefinitions for the NodeENIs of the cluster or of a file. It reads the API server
//! as `multi-eni plan` does. It applies nothing, and does not ask EC2.

use super::output::print;
use super::plan::{cluster, file};
use super::runtime::{interrupted, runtime};
use super::values::LOG_WITHOUT_REQUESTS;
use crate::client;
use crate::logs::{self, Format};
use crate::nodeeni_file;
use crate::store::Store;
use miette::{IntoDiagnostic, miette};
use multi_eni_plan::attachment::Attachment;
use multi_eni_plan::nad::{self, Answer, Ipam, NO_MACVLAN, Placed, Plugin, Present, Request};
use multi_eni_plan::nodeeni::EniSpec;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Only the definitions of this NodeENI [default: those of all NodeENIs]
    #[arg(long, value_name = "NAME")]
    nodeeni: Option<String>,

    /// Only NodeENIs that have an ENI on this Node; with --type ipvlan, only these ENIs
    #[arg(long, value_name = "NAME")]
    node: Option<String>,

    /// A file of NodeENIs to use as if it were applied (- for standard input). Only their definitions are printed
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Namespace of the definitions
    #[arg(short, long, value_name = "NAME", default_value = "default", value_parser = nad::namespace)]
    namespace: String,

    /// The CNI plugin. host-device: a pod gets the ENI itself; one definition for each NodeENI. ipvlan: pods share an ENI, with addresses
    /// that it owns; one definition for each ENI
    #[arg(long = "type", value_name = "host-device|ipvlan", default_value = "host-device", value_parser = plugin)]
    plugin: PluginName,

    /// Where a pod's address comes from, with --type host-device [default: static by an alternative name, dhcp by a resource]
    #[arg(long, value_enum, value_name = "PLUGIN")]
    ipam: Option<IpamName>,

    /// Format of the output
    #[arg(short, long, value_enum, default_value_t = Output::Yaml)]
    output: Output,

    /// Log filter, such as info or multi_eni_controller=debug
    #[arg(long, env = "MULTI_ENI_LOG", default_value = LOG_WITHOUT_REQUESTS)]
    log: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PluginName {
    HostDevice,
    Ipvlan,
}

fn plugin(text: &str) -> Result<PluginName, String> {
    match text {
        "host-device" => Ok(PluginName::HostDevice),
        "ipvlan" => Ok(PluginName::Ipvlan),
        "macvlan" => Err(NO_MACVLAN.to_owned()),
        _ => Err("the plugins are host-device and ipvlan".to_owned()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum IpamName {
    /// The annotation of the pod
    Static,
    /// The DHCP server of the VPC
    Dhcp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// YAML with comments
    Yaml,
    /// A JSON list
    Json,
}

/// The exit code for flags that cannot be used together, which is also that for a value that a flag cannot have.
const FLAGS_DISAGREE: u8 = 2;

/// Runs `multi-eni nad`. The definitions are on standard output; what has none is on standard error, with the reason.
pub(super) fn run(flags: &Flags) -> miette::Result<ExitCode> {
    logs::init(Format::Auto, &flags.log);
    let request = match request(flags) {
        Ok(request) => request,
        Err(why) => {
            eprintln!("Error: {why}");
            return Ok(ExitCode::from(FLAGS_DISAGREE));
        }
    };
    let read = runtime()?.block_on(async {
        tokio::select! {
            biased;
            () = interrupted() => Ok(None),
            read = read(flags) => read.map(Some),
        }
    })?;
    let Some(objects) = read else { return Ok(ExitCode::from(130)) };
    let answer = objects.answer(flags.nodeeni.as_deref(), &request).map_err(|why| miette!("{why}"))?;
    for (name, why) in &objects.refused {
        eprintln!("Warning: NodeENI {name} {why}");
    }
    for left_out in &answer.left_out {
        eprintln!("Warning: no definition for {left_out}");
    }
    for outdated in &answer.outdated {
        eprintln!("Warning: {outdated}");
    }
    for warning in &answer.warnings {
        eprintln!("Warning: {warning}");
    }
    if objects.refused.is_empty() && answer == Answer::default() {
        eprintln!("Warning: there is no NodeENI, and so no definition");
    }
    print(&match (flags.output, answer.definitions.as_slice()) {
        (_, []) => String::new(),
        (Output::Yaml, definitions) => nad::yaml(definitions),
        (Output::Json, definitions) => nad::json(definitions),
    })?;
    Ok(if objects.is_whole(flags.nodeeni.is_some(), &answer) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn request(flags: &Flags) -> Result<Request<'_>, String> {
    let ipam = flags.ipam.map(|ipam| match ipam {
        IpamName::Static => Ipam::Static,
        IpamName::Dhcp => Ipam::Dhcp,
    });
    let plugin = match flags.plugin {
        PluginName::HostDevice => Plugin::HostDevice { ipam },
        PluginName::Ipvlan if ipam.is_some() => {
            return Err(
                "--ipam is for --type host-device: with ipvlan, the plugin host-local has the addresses of the ENI"
                    .into(),
            );
        }
        PluginName::Ipvlan => Plugin::Ipvlan,
    };
    Ok(Request { plugin, namespace: &flags.namespace, node: flags.node.as_deref() })
}

/// The objects that definitions are made of.
struct Objects {
    store: Store,
    /// The names of the NodeENIs in the file.
    file: Option<BTreeSet<String>>,
    /// The specs that the file would replace, by the name of the NodeENI.
    before: BTreeMap<String, EniSpec>,
    /// NodeENIs of the file that the API server would refuse, with its message.
    refused: BTreeMap<String, String>,
}

async fn read(flags: &Flags) -> miette::Result<Objects> {
    let objects = flags.file.as_deref().map(nodeeni_file::read).transpose().map_err(|why| miette!("{why}"))?;
    let config = client::config().await.map_err(|why| miette!("{why}"))?;
    let kube = client::plain(&config).into_diagnostic()?;
    let (mut store, _) = cluster::all(&kube, objects.is_some(), None).await.map_err(|why| miette!("{why}"))?;
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let file: Option<BTreeSet<String>> = objects.as_ref().map(|objects| objects.iter().map(name).collect());
    let stored = |name: &String| Some((name.clone(), store.nodeeni(name)?.nodeeni.spec.as_ref().ok()?.clone()));
    let before = file.iter().flatten().filter_map(stored).collect();
    let refused = match objects {
        Some(objects) => file::apply_to_store(&kube, &mut store, objects).await.map_err(|why| miette!("{why}"))?,
        None => BTreeMap::new(),
    };
    Ok(Objects { store, file, before, refused })
}

impl Objects {
    /// The definitions of the NodeENI with this name, or of all.
    fn answer(&self, only: Option<&str>, request: &Request<'_>) -> Result<Answer, String> {
        let is_asked = |name: &str| {
            only.is_none_or(|only| only == name) && self.file.as_ref().is_none_or(|file| file.contains(name))
        };
        if let Some(only) = only.filter(|name| !is_asked(name) || self.store.nodeeni(name).is_none()) {
            let place = if self.file.is_some() { "file" } else { "cluster" };
            return if self.refused.contains_key(only) {
                Ok(Answer::default())
            } else {
                Err(format!("the {place} has no NodeENI {only}"))
            };
        }
        let mut whole = Answer::default();
        for entry in self.store.nodeenis().filter(|entry| is_asked(&entry.nodeeni.name)) {
            if self.refused.contains_key(&entry.nodeeni.name) {
                continue;
            }
            let attachments = self.store.attachments_of(&entry.nodeeni.uid).map(|entry| &entry.attachment);
            let attachments: Vec<&Attachment> = attachments.collect();
            let labels = |node: &str| self.store.node(node).map(|node| &node.labels);
            let present = Present {
                attachments: &attachments,
                labels: &labels,
                is_from_file: self.file.is_some(),
                before: self.before.get(&entry.nodeeni.name),
            };
            let Answer { definitions, left_out, outdated, warnings } = nad::answer(&entry.nodeeni, &present, request);
            whole.definitions.extend(definitions);
            whole.left_out.extend(left_out);
            whole.outdated.extend(outdated);
            whole.warnings.extend(warnings);
        }
        whole.warnings.extend(nad::together(&self.placed(), request, &whole.definitions));
        match request.node {
            Some(node) if whole == Answer::default() => Err(format!("no ENI of the NodeENIs is on a Node {node}")),
            _ => Ok(whole),
        }
    }

    /// All usable NodeENIs, also those that nobody has asked for: their ENIs may be on the same nodes.
    fn placed(&self) -> Vec<Placed<'_>> {
        let entries = self.store.nodeenis().filter(|entry| !self.refused.contains_key(&entry.nodeeni.name));
        let placed = entries.filter_map(|entry| {
            let attachments = self.store.attachments_of(&entry.nodeeni.uid).map(|entry| &entry.attachment);
            let nodes = self.store.nodes().map(|node| (node.name.as_str(), &node.labels));
            Placed::read(&entry.nodeeni, &attachments.collect::<Vec<_>>(), nodes)
        });
        placed.collect()
    }

    /// Whether everything that was asked for has a definition. `named`: one NodeENI was named.
    fn is_whole(&self, named: bool, answer: &Answer) -> bool {
        let named = named || self.file.is_some();
        let is_failure = |left_out: &nad::LeftOut| named || !left_out.reason.is_for_something_else();
        self.refused.is_empty() && !answer.definitions.is_empty() && !answer.left_out.iter().any(is_failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macvlan_is_refused_with_the_reason() {
        assert_eq!(plugin("ipvlan"), Ok(PluginName::Ipvlan));
        assert!(plugin("macvlan").unwrap_err().starts_with("macvlan does not work on EC2"));
        assert_eq!(plugin("bridge"), Err("the plugins are host-device and ipvlan".to_owned()));
    }
}
