//! The network of the nodes as a whole: the namespaces before the control plane starts, then the links and the agents, and the removal
//! of everything, however the sandbox ends.

use super::agents::{self, Agent};
use super::eni_link::{EniLink, eni_links};
use super::foundation::{
    CLIENT, CLIENT_V4, CLIENT_V6, PING_SYSCTL, ROUTER, ROUTER_SYSCTLS, client_commands, prefix, router_commands,
};
use super::ip_command::{batch, batch_ipv6};
use super::link_changes::{LinkChange, link_changes};
use super::namespaces::Namespaces;
use super::ping::ping;
use super::router_rules::commands;
use super::{forwarder, leftovers, requirements, traces};
use crate::sandbox::terminal::Terminal;
use multi_eni_sim::ec2::Ec2;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::task::JoinHandle;

/// Where the files of the agents are. Only root can write there.
const DIRECTORIES: &str = "/run";

/// An address of an ENI that is to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EniProbe {
    /// The node.
    pub node: String,
    /// The ENI.
    pub eni: String,
    /// The address.
    pub address: IpAddr,
}

/// The namespaces, the links and the agents. Dropping it removes them.
pub struct NodeNetwork {
    terminal: Terminal,
    namespaces: Namespaces,
    directory: PathBuf,
    binary: PathBuf,
    tasks: Vec<JoinHandle<()>>,
    agents: Mutex<Vec<Agent>>,
}

impl NodeNetwork {
    /// Makes the namespaces of the nodes, the router and the client, and removes what earlier sandboxes left.
    pub fn prepare(binary: PathBuf, nodes: &[String], terminal: Terminal) -> Result<Self, String> {
        requirements::check()?;
        for removed in leftovers::remove_leftovers(Path::new(DIRECTORIES)) {
            terminal.event("network", &removed);
        }
        let name = prefix(std::process::id());
        let directory = Path::new(DIRECTORIES).join(&name);
        std::fs::create_dir(&directory).map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        let namespaces = Namespaces::new(name);
        // From here on, dropping removes what has been made.
        let network = Self { terminal, namespaces, directory, binary, tasks: Vec::new(), agents: Mutex::default() };
        network.make(nodes).map_err(|why| {
            format!("the network namespaces of the nodes cannot be made (this needs CAP_SYS_ADMIN and CAP_NET_ADMIN, and a writable /run and /proc/sys/net): {why}")
        })?;
        Ok(network)
    }

    fn make(&self, nodes: &[String]) -> Result<(), String> {
        for name in [ROUTER, CLIENT].into_iter().chain(nodes.iter().map(String::as_str)) {
            self.namespaces.make(name)?;
            self.namespaces.set_sysctl(name, PING_SYSCTL)?;
        }
        for sysctl in ROUTER_SYSCTLS {
            self.namespaces.set_sysctl(ROUTER, sysctl)?;
        }
        let (router, client) = (self.namespaces.full_name(ROUTER), self.namespaces.full_name(CLIENT));
        batch(&router, &router_commands(&client))?;
        batch(&client, &client_commands())
    }

    /// Starts an agent on each node, with the API server at this address, and follows the ENIs of the account from now on. The keys of
    /// `nodes` are instance IDs.
    pub fn start(
        &mut self,
        ec2: Ec2,
        nodes: BTreeMap<String, String>,
        api_server: SocketAddr,
        kubeconfig: &Path,
    ) -> Result<(), String> {
        for node in nodes.values() {
            self.tasks.push(forwarder::forward(&self.namespaces, node, api_server)?);
            let directory = self.directory.join(node);
            let agent = Agent::start(&self.namespaces, node, &self.binary, &directory, kubeconfig)?;
            self.agents.lock().unwrap_or_else(PoisonError::into_inner).push(agent);
        }
        let count = multi_eni_plan::counted::counted(nodes.len(), "node agent");
        self.terminal.event("network", &format!("{count} started, each in a network namespace: ip netns list"));
        self.tasks.push(tokio::spawn(follow(ec2, nodes, self.namespaces.clone(), self.terminal.clone())));
        Ok(())
    }

    /// The full name of a node's namespace.
    pub fn namespace_of(&self, node: &str) -> String {
        self.namespaces.full_name(node)
    }

    /// The command line that asks what the agent of a node sees and would do.
    pub fn doctor_command(&self, node: &str) -> String {
        agents::doctor_command(&self.namespace_of(node), node, &self.binary, &self.directory.join(node))
    }

    /// The agents that have ended, if any.
    pub fn ended_agents(&self) -> Result<(), String> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let ended: Vec<String> = agents.iter_mut().filter_map(Agent::end).collect();
        if ended.is_empty() { Ok(()) } else { Err(ended.join("; ")) }
    }

    /// The last line of the log of a node's agent, for a message.
    pub fn last_words(&self, node: &str) -> String {
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.iter().find(|agent| agent.node() == node).map(Agent::last_words).unwrap_or_default()
    }

    /// Sends a ping from the client to the address of the ENI, and one from there to the client. The router drops what takes another
    /// link, in both directions.
    pub fn ping_both_ways(&self, probe: &EniProbe) -> Result<(), String> {
        let client: IpAddr = match probe.address {
            IpAddr::V4(_) => CLIENT_V4.parse::<Ipv4Addr>().map_err(|error| error.to_string())?.into(),
            IpAddr::V6(_) => CLIENT_V6.parse::<Ipv6Addr>().map_err(|error| error.to_string())?.into(),
        };
        let (address, node) = (probe.address, &probe.node);
        self.namespaces.enter(CLIENT, || ping(client, address))??;
        self.namespaces.enter(node, || ping(address, client))?
    }

    /// What is on a node besides its primary interface: links, rules and routes.
    pub fn traces(&self, node: &str) -> Result<Vec<String>, String> {
        traces::traces(&self.namespaces.full_name(node))
    }
}

impl Drop for NodeNetwork {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        agents::stop(self.agents.get_mut().unwrap_or_else(PoisonError::into_inner));
        for failed in self.namespaces.remove_all().1 {
            self.terminal.event("network", &failed);
        }
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            self.terminal.event("network", &format!("cannot remove {}: {error}", self.directory.display()));
        }
    }
}

/// Makes and removes links as the simulated EC2 attaches and detaches ENIs.
async fn follow(ec2: Ec2, nodes: BTreeMap<String, String>, namespaces: Namespaces, terminal: Terminal) {
    let mut links: BTreeMap<String, EniLink> = BTreeMap::new();
    loop {
        let account = ec2.wait_until(|account| eni_links(account, &nodes) != links).await;
        let wanted = eni_links(&account, &nodes);
        let changes = link_changes(&links, &wanted);
        let (of, to) = (namespaces.clone(), terminal.clone());
        let applied =
            tokio::task::spawn_blocking(move || changes.iter().for_each(|change| apply(&of, change, &to))).await;
        if applied.is_err() {
            terminal.event("network", "the links of the ENIs are not followed any more");
            return;
        }
        links = wanted;
    }
}

fn apply(namespaces: &Namespaces, change: &LinkChange, terminal: &Terminal) {
    let (LinkChange::Plug(link) | LinkChange::Unplug(link) | LinkChange::Reroute { after: link, .. }) = change;
    let node = namespaces.full_name(&link.node);
    let (commands, router) = (commands(change, &node), namespaces.full_name(ROUTER));
    let done = batch(&router, &commands.router)
        .and_then(|()| batch_ipv6(&router, &commands.router_ipv6))
        .and_then(|()| batch(&node, &commands.node));
    match (done, change) {
        // The checks show whether the link works.
        (Err(why), _) => terminal.event("network", &format!("{} of {}: {why}", link.name, link.node)),
        (Ok(()), LinkChange::Plug(link)) if !link.is_primary => {
            terminal.event("network", &format!("{} appears on {}, down and bare", link.name, link.node));
        }
        (Ok(()), LinkChange::Unplug(link)) => {
            terminal.event("network", &format!("{} disappears from {}", link.name, link.node));
        }
        (Ok(()), _) => {}
    }
}
