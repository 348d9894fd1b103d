//! The checks of `--with-agent`: the agents have configured each ENI, packets flow through it, and nothing of it stays on a node that
//! lost it. They look at the ENIAttachments, at packets and at the nodes, and do not trust the agents.

use super::checks::CheckResults;
use super::environment::Environment;
use super::node_network::{EniProbe, NodeNetwork};
use super::wait::until;
use multi_eni_api::ENIAttachment;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::node_config::NodeMode;
use multi_eni_plan::counted::counted;
use std::time::Duration;

/// How long the agents have for a step. They take a second.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The number of failed pings after which no further one is sent: each takes seconds.
const SHOWN: usize = 3;

/// Checks that each ENI is configured and that packets flow through it in both directions. Without agents it checks nothing.
pub async fn check_configured(environment: &Environment, results: &mut CheckResults) {
    let Some(network) = &environment.network else { return };
    // An agent that has ended reports nothing any more.
    let configured = match network.ended_agents() {
        Ok(()) => all_configured(environment, network).await,
        Err(why) => Err(why),
    };
    let enis =
        configured.as_ref().map(|number| format!(" ({})", counted(*number, "ENIAttachment"))).unwrap_or_default();
    results.check(format!("the node agent has configured each ENI on its node{enis}"), configured.map(drop));
    match environment.kubectl.attachments().await.map(|attachments| probes(&attachments)) {
        Ok(probes) if probes.is_empty() => {
            environment.terminal.event("network", "no NodeENI has the mode addresses: no ping is sent");
        }
        Ok(probes) => {
            let answered = tokio::task::block_in_place(|| ping_all(network, &probes));
            results.check(pings(&counted(2 * probes.len(), "ping")), answered);
        }
        Err(why) => results.check(pings("no ping"), Err(why)),
    }
}

/// Waits until each ENIAttachment is configured, and returns their number.
async fn all_configured(environment: &Environment, network: &NodeNetwork) -> Result<usize, String> {
    until(&environment.terminal, "the node agents to configure the ENIs", TIMEOUT, async || {
        let attachments = environment.kubectl.attachments().await?;
        attachments.iter().try_for_each(|attachment| is_configured(network, attachment))?;
        network.ended_agents()?;
        Ok(attachments.len())
    })
    .await
}

/// The words of the check that sends pings.
fn pings(number: &str) -> String {
    format!("each ENI answers a ping and sends one, by its own link ({number}; the router drops what takes another)")
}

/// Checks that nothing of an ENI is left on these nodes: no link, no rule and no route. Without agents it checks nothing.
pub async fn check_taken_back(environment: &Environment, nodes: &[&str], results: &mut CheckResults) {
    let Some(network) = &environment.network else { return };
    let gone = until(&environment.terminal, "the node agents to take back what they have set", TIMEOUT, async || {
        tokio::task::block_in_place(|| nodes.iter().try_for_each(|node| nothing_on(node, &network.traces(node)?)))
    })
    .await;
    let place = if let [node] = nodes { node } else { "the nodes" };
    results.check(format!("no link, rule or route of a detached ENI is left on {place}"), gone);
}

fn nothing_on(node: &str, traces: &[String]) -> Result<(), String> {
    if traces.is_empty() { Ok(()) } else { Err(format!("left on {node}: {}", traces.join("; "))) }
}

fn is_configured(network: &NodeNetwork, attachment: &ENIAttachment) -> Result<(), String> {
    let conditions = attachment.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    if is_true(conditions, types::CONFIGURED) {
        return Ok(());
    }
    let (name, node) = (attachment.metadata.name.as_deref().unwrap_or_default(), &attachment.spec.node_name);
    Err(match conditions.iter().find(|condition| condition.type_ == types::CONFIGURED) {
        Some(condition) => format!("{name} on {node}: {}: {}", condition.reason, condition.message),
        None => format!("{name} on {node}: the agent has reported nothing{}", network.last_words(node)),
    })
}

/// The addresses that the agents are to set up: those of ENIs with the mode `addresses`.
fn probes(attachments: &[ENIAttachment]) -> Vec<EniProbe> {
    let has_addresses = |attachment: &&ENIAttachment| {
        let config = attachment.spec.node_settings.node_config.as_ref();
        let mode = config.and_then(|config| multi_eni_api::node_config::NodeConfig::parse(config).ok()?.mode);
        mode == Some(NodeMode::Addresses)
    };
    let of = |attachment: &ENIAttachment| {
        let status = attachment.status.clone().unwrap_or_default();
        let eni = status.eni_id.unwrap_or_default();
        let texts = status.private_ips.into_iter().chain(status.ipv6_addresses);
        let addresses: Vec<_> = texts.filter_map(|text| text.parse().ok()).collect();
        let node = attachment.spec.node_name.clone();
        addresses.into_iter().map(move |address| EniProbe { node: node.clone(), eni: eni.clone(), address })
    };
    attachments.iter().filter(has_addresses).flat_map(of).collect()
}

fn ping_all(network: &NodeNetwork, probes: &[EniProbe]) -> Result<(), String> {
    let failed = probes.iter().filter_map(|probe| {
        let why = network.ping_both_ways(probe).err()?;
        Some(format!("{} of {}: {why}", probe.eni, probe.node))
    });
    let failed: Vec<String> = failed.take(SHOWN).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attachment(node_settings: serde_json::Value) -> ENIAttachment {
        serde_json::from_value(json!({
            "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENIAttachment", "metadata": { "name": "one" },
            "spec": { "nodeName": "node1", "nodeUID": "u", "instanceID": "i-1", "nodeENIName": "a", "nodeENIUID": "b",
                "request": { "subnetID": "subnet-00000001", "deviceIndex": 1 }, "nodeSettings": node_settings },
            "status": { "eniID": "eni-1", "privateIPs": ["10.0.1.4"], "ipv6Addresses": ["2001:db8::4"] },
        }))
        .unwrap()
    }

    #[test]
    fn each_address_that_the_agent_sets_up_is_pinged_and_no_other() {
        let addresses = attachment(json!({ "nodeConfig": { "mode": "addresses" } }));
        let pinged =
            |all: &[ENIAttachment]| probes(all).iter().map(|probe| probe.address.to_string()).collect::<Vec<_>>();
        assert_eq!(pinged(std::slice::from_ref(&addresses)), ["10.0.1.4", "2001:db8::4"]);
        let others =
            [json!({}), json!({ "nodeConfig": { "mode": "link" } }), json!({ "nodeConfig": { "mode": "none" } })];
        assert_eq!(pinged(&others.map(attachment)), Vec::<String>::new());
    }

    #[test]
    fn what_is_left_on_a_node_is_named() {
        assert_eq!(nothing_on("node1", &[]), Ok(()));
        let left = ["the link ens6".to_owned(), "32765: from 10.0.1.4 lookup 10001 proto 217".to_owned()];
        let why = "left on node1: the link ens6; 32765: from 10.0.1.4 lookup 10001 proto 217";
        assert_eq!(nothing_on("node1", &left), Err(why.to_owned()));
    }
}
