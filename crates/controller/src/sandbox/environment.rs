//! The environment of the sandbox: a simulated API server and a simulated EC2 over HTTP on loopback, and the real controller
//! between them.

use super::cli_flags::Flags;
use super::manifests::{Labels, Manifests};
use super::node_network::NodeNetwork;
use super::terminal::Terminal;
use super::user_client::Kubectl;
use super::zones::{Places, Zone};
use crate::client;
use crate::clock;
use crate::http_server::{self, Gauges};
use crate::leader_election::elector::Times;
use crate::run::{Components, Election, run};
use jiff::SignedDuration;
use kube::config::{KubeConfigOptions, Kubeconfig};
use multi_eni_plan::settings::Settings;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::{Ec2, Fault, FaultRule, Settings as Ec2Settings, Snapshot};
use multi_eni_sim::kube::ApiServer;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const VPC: &str = "vpc-0a1b2c3d4e5f60718";
/// The Region of the simulated EC2.
pub const REGION: &str = "eu-central-1";

/// Grace period in seconds for a missing label: shorter than the default, so that the sandbox does not wait ten seconds.
pub const LABEL_GRACE: i64 = 1;
/// The instance type of all nodes.
const INSTANCE_TYPE: &str = "m5.4xlarge";

/// A simulated node.
#[derive(Debug, Clone)]
pub struct SimulatedNode {
    /// Name of the Node.
    pub name: String,
    /// ID of its instance.
    pub instance: String,
    /// Its Availability Zone.
    pub zone: Zone,
}

/// The servers, the controller, and the clients that observe them.
pub struct Environment {
    /// The simulated EC2.
    pub ec2: Ec2,
    /// Output to the terminal.
    pub terminal: Terminal,
    /// Client of the simulated API server, as a user has it.
    pub kubectl: Kubectl,
    /// The nodes.
    pub nodes: Vec<SimulatedNode>,
    /// The zones of the subnets.
    pub places: Places,
    /// The account before the controller started.
    pub before: Snapshot,
    /// UID of kube-system, the value of the ownership tag.
    pub cluster: String,
    /// Kubeconfig of the simulated API server.
    pub kubeconfig: PathBuf,
    /// Endpoint of the simulated EC2 for AWS SDKs.
    pub ec2_url: String,
    /// Where the controller serves `/metrics`, `/healthz` and `/readyz`.
    pub controller_address: SocketAddr,
    /// The network of the nodes, if node agents run.
    pub network: Option<NodeNetwork>,
    stop: Option<oneshot::Sender<()>>,
    controller: Option<JoinHandle<()>>,
    servers: Vec<JoinHandle<()>>,
}

impl Environment {
    /// Starts the servers, registers the nodes, and starts the node agents and the controller.
    pub async fn start(
        flags: &Flags,
        files: &[Manifests],
        terminal: Terminal,
        mut network: Option<NodeNetwork>,
    ) -> Result<Self, String> {
        let clock = SimClock::starting_at(jiff::Timestamp::now());
        let ec2 = Ec2::new(clock, Ec2Settings::default());
        let places = Places::new(files, flags.number_of_zones());
        build_account(&ec2, files, &places)?;
        let server = ApiServer::new(clock);
        let crds = multi_eni_api::crds::yaml().map_err(|error| error.to_string())?;
        server.install_crds(&crds).map_err(|error| format!("the simulated API server refuses the CRDs: {error}"))?;

        let (kube_listener, kube_address) = listen().await?;
        let (ec2_listener, ec2_address) = listen().await?;
        let (kube_url, ec2_url) = (format!("http://{kube_address}"), format!("http://{ec2_address}"));
        let kubeconfig_text = server.kubeconfig(&kube_url);
        let serving = server.clone();
        let kube_task = tokio::spawn(async move { drop(serving.serve(kube_listener, std::future::pending()).await) });
        let serving = ec2.clone();
        let ec2_task = tokio::spawn(async move { drop(serving.serve(ec2_listener, std::future::pending()).await) });
        let call_printer = print_calls(&ec2, terminal.clone());
        let kubeconfig = write_kubeconfig(&kubeconfig_text)?;

        let mut config = kube_config(&kubeconfig_text).await?;
        config.default_retry = false;
        let kubectl = Kubectl::new(client::plain(&config).map_err(|error| error.to_string())?);
        let label_sets = files.first().map_or(1, |file| file.label_sets().len());
        let mut nodes = Vec::new();
        for (number, name) in flags.node_names().into_iter().enumerate() {
            let instance = format!("i-{:017x}", number + 1);
            let zone = places.of_node(number, label_sets);
            ec2.run_instance(&instance, INSTANCE_TYPE, &node_subnet(zone)).map_err(|error| error.to_string())?;
            kubectl.register(&name, &instance, INSTANCE_TYPE, zone.name()).await?;
            nodes.push(SimulatedNode { name, instance, zone });
        }
        let before = ec2.snapshot();
        if let Some(network) = &mut network {
            let nodes = nodes.iter().map(|node| (node.instance.clone(), node.name.clone())).collect();
            network.start(ec2.clone(), nodes, kube_address, &kubeconfig)?;
        }
        if flags.lose_eni {
            ec2.inject(FaultRule::on("DeleteNetworkInterface", Fault::LeakOnDelete).once());
        }
        let (stop, stopped) = oneshot::channel();
        let gauges = Arc::new(Gauges::default());
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let controller_address = http_server::start(any_port, any_port, gauges.clone()).await?;
        let controller = start_controller(&config, &ec2_url, gauges, stopped, flags.with_agent)?;
        let cluster = kube_system(&config).await?;
        Ok(Self {
            ec2,
            terminal,
            kubectl,
            nodes,
            places,
            before,
            cluster,
            kubeconfig,
            ec2_url,
            controller_address,
            network,
            stop: Some(stop),
            controller: Some(controller),
            servers: vec![kube_task, ec2_task, call_printer],
        })
    }

    /// Stops the controller, the node agents and the servers, and removes the kubeconfig and the network of the nodes.
    pub async fn shut_down(mut self) {
        if let Some(stop) = self.stop.take() {
            // This fails only if the controller has ended already.
            let _ = stop.send(());
        }
        if let Some(controller) = self.controller.take() {
            let _ = tokio::time::timeout(Duration::from_secs(8), controller).await;
        }
        drop(self.network.take());
        self.servers.iter().for_each(JoinHandle::abort);
        let _ = std::fs::remove_file(&self.kubeconfig);
        self.terminal.settled();
    }
}

/// The subnet of the nodes' primary interfaces in a zone.
fn node_subnet(zone: Zone) -> String {
    format!("subnet-00c0ffee00c0ffee{}", zone.number())
}

/// Adds every subnet and group that the manifests name to the account, in one VPC. A subnet that is selected by name or tags is in
/// each zone.
fn build_account(ec2: &Ec2, files: &[Manifests], places: &Places) -> Result<(), String> {
    ec2.add_vpc(VPC);
    let mut added = 0_usize;
    let mut add = |id: &str, zone: Zone, name: Option<&str>| {
        added += 1;
        if added > 250 {
            return Err("the sandbox supports at most 250 subnets".to_owned());
        }
        let cidr = format!("10.0.{}.0/24", added - 1);
        ec2.add_subnet(id, VPC, zone.name(), &cidr, name).map(drop).map_err(|error| error.to_string())
    };
    for zone in places.zones() {
        add(&node_subnet(zone), zone, None)?;
    }
    let is_of_nodes = |id: &str| places.zones().any(|zone| node_subnet(zone) == id);
    for (id, zone) in places.subnets().filter(|(id, _)| !is_of_nodes(id)) {
        add(id, zone, None)?;
    }
    let mut made = (1_usize..).map(|number| format!("subnet-{:017x}", 0xf000_0000 + number));
    let mut next_id = || made.next().ok_or("no further ID of a subnet");
    for name in &files.iter().flat_map(Manifests::subnet_names).collect::<BTreeSet<_>>() {
        for zone in places.zones() {
            add(&next_id()?, zone, Some(name))?;
        }
    }
    let tag = |id: &str, tags: &Labels| {
        let mut tags = tags.iter();
        tags.try_for_each(|(key, value)| ec2.tag_place(id, key, Some(value))).map_err(|error| error.to_string())
    };
    for tags in &files.iter().flat_map(Manifests::subnet_tags).collect::<BTreeSet<_>>() {
        for zone in places.zones() {
            let id = next_id()?;
            add(&id, zone, None)?;
            tag(&id, tags)?;
        }
    }
    for (number, tags) in (1_u64..).zip(&files.iter().flat_map(Manifests::group_tags).collect::<BTreeSet<_>>()) {
        let id = format!("sg-{:017x}", 0xe000_0000 + number);
        ec2.add_security_group(&id, VPC, &format!("tagged-{number}"));
        tag(&id, tags)?;
    }
    for id in files.iter().flat_map(Manifests::groups) {
        ec2.add_security_group(&id, VPC, &id);
    }
    for (number, name) in (1..).zip(files.iter().flat_map(Manifests::group_names).collect::<BTreeSet<_>>()) {
        ec2.add_security_group(&format!("sg-{:017x}", 0xf000_0000_u64 + number), VPC, &name);
    }
    Ok(())
}

async fn listen() -> Result<(TcpListener, SocketAddr), String> {
    let listener =
        TcpListener::bind("127.0.0.1:0").await.map_err(|error| format!("cannot listen on 127.0.0.1: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, address))
}

fn write_kubeconfig(text: &str) -> Result<PathBuf, String> {
    let path = std::env::temp_dir().join(format!("multi-eni-sandbox-{}.kubeconfig", std::process::id()));
    std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

async fn kube_config(text: &str) -> Result<kube::Config, String> {
    let parsed = Kubeconfig::from_yaml(text).map_err(|error| error.to_string())?;
    kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default()).await.map_err(|error| error.to_string())
}

async fn kube_system(config: &kube::Config) -> Result<String, String> {
    let client = client::plain(config).map_err(|error| error.to_string())?;
    let api: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(client);
    let namespace = api.get("kube-system").await.map_err(|error| error.to_string())?;
    Ok(namespace.metadata.uid.unwrap_or_default())
}

fn start_controller(
    config: &kube::Config,
    ec2_url: &str,
    gauges: Arc<Gauges>,
    stopped: oneshot::Receiver<()>,
    node_agent: bool,
) -> Result<JoinHandle<()>, String> {
    let (wall, steady) = clock::system();
    let fence = Components::fence(true, steady);
    let parts = Components {
        kube: client::plain(config).map_err(|error| error.to_string())?,
        fenced: client::fenced(config, fence.clone()).map_err(|error| error.to_string())?,
        fence,
        aws: multi_eni_ec2::client_at(ec2_url, wall.clone(), REGION, Duration::from_secs(8)),
        ec2_options: multi_eni_ec2::Options::default(),
        cluster_name: Some("sandbox".to_owned()),
        // `multi-eni drain` looks for a controller that renews the Lease.
        election: Some(Election { namespace: "kube-system".to_owned(), times: Times::default() }),
        identity: "sandbox".to_owned(),
        settings: Settings { label_grace: SignedDuration::from_secs(LABEL_GRACE), node_agent, ..Settings::default() },
        wall,
        gauges,
        spans: None,
    };
    Ok(tokio::spawn(async move {
        run(parts, async move {
            let _ = stopped.await;
        })
        .await;
    }))
}

/// Prints each call that the simulated EC2 gets.
fn print_calls(ec2: &Ec2, terminal: Terminal) -> JoinHandle<()> {
    let mut calls = ec2.subscribe();
    tokio::spawn(async move {
        use tokio::sync::broadcast::error::RecvError;
        loop {
            match calls.recv().await {
                Ok(call) => terminal.call(&call),
                Err(RecvError::Lagged(missed)) => terminal.event("EC2", &format!("({missed} calls not shown)")),
                Err(RecvError::Closed) => return,
            }
        }
    })
}
