//! `device-return`, when a replica detaches the ENI of an ENIAttachment that is being deleted: a driver for DPDK does not have its device,
//! or the agent of the node has had its time to give the device back.

use super::bound_devices::is_bound_of;
use super::invariant::Invariant;
use super::max_staleness::MAX_WATCH_STALENESS;
use super::model::{Model, ModelAttachment};
use super::state::State;
use crate::script::Millis;
use multi_eni_plan::attachment::Attachment;
use multi_eni_sim::ec2::Eni;

/// How long the agent has for it. The checker has its own number, so that it notices a different one in the controller.
pub(super) const RETURN_WITHIN: Millis = 120_000;

/// A plain Detach of an attached ENI by a replica.
pub fn detached(state: &mut State, at: Millis, actor: &str, eni: &Eni, of: &ModelAttachment) {
    let Some(since) = of.deleting_since.filter(|_| state.node_agent && of.bound_when_deleted) else { return };
    let attachment = &of.attachment;
    if !is_bound_of(attachment, &eni.mac_address) || !is_reached(&state.model, at, attachment) {
        return;
    }
    let least = RETURN_WITHIN.saturating_sub(state.clocks_differ);
    if at < since + least {
        let how = format!(
            "{actor} detaches {} of {} {} s after the deletion, and a driver for DPDK has its device",
            eni.id,
            attachment.name,
            (at - since) / 1000
        );
        state.broke(at, Invariant::DeviceReturn, how);
    }
}

/// Whether each replica has long seen a Node of the instance in the boot of the report.
fn is_reached(model: &Model, at: Millis, attachment: &Attachment) -> bool {
    let Some(instance) = attachment.instance.as_ref().map(ToString::to_string) else { return false };
    let is_settled = model.reborn.get(&instance).is_none_or(|changed| at > changed + MAX_WATCH_STALENESS);
    let said = attachment.status.node.as_ref().and_then(|node| node.boot_id.as_deref()).unwrap_or_default();
    let mut here = model.nodes.values().filter(|node| node.instance == instance).peekable();
    is_settled && here.peek().is_some() && here.all(|node| node.boot.is_empty() || node.boot == said)
}
