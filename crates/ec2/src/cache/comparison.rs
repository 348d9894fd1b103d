//! Whether two observations of an ENI are the same, apart from what no decision depends on.

use multi_eni_plan::observed::{ObservedAttachment, ObservedEni};

/// Whether two observations of an ENI are equal, apart from the times at which they were made.
pub(super) fn same(a: &ObservedEni, b: &ObservedEni) -> bool {
    let ObservedEni {
        id,
        subnet,
        vpc,
        zone,
        owner,
        operator,
        mac,
        private_ips,
        ipv4_prefixes,
        ipv6,
        groups,
        description,
        source_dest_check,
        connection_tracking,
        tags,
        attachment,
        in_use_since,
        shown_at: _,
        last_call: _,
    } = a;
    *id == b.id
        && *subnet == b.subnet
        && *vpc == b.vpc
        && *zone == b.zone
        && *owner == b.owner
        && *mac == b.mac
        && *operator == b.operator
        && *private_ips == b.private_ips
        && *ipv4_prefixes == b.ipv4_prefixes
        && *ipv6 == b.ipv6
        && *groups == b.groups
        && *description == b.description
        && *source_dest_check == b.source_dest_check
        && *connection_tracking == b.connection_tracking
        && *tags == b.tags
        && in_use_since.is_some() == b.in_use_since.is_some()
        && same_attachment(attachment.as_ref(), b.attachment.as_ref())
}

fn same_attachment(a: Option<&ObservedAttachment>, b: Option<&ObservedAttachment>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return a.is_none() && b.is_none() };
    let ObservedAttachment { id, instance, card, index, state, since: _, delete_on_termination } = a;
    *id == b.id
        && *instance == b.instance
        && (*card, *index) == (b.card, b.index)
        && *state == b.state
        && *delete_on_termination == b.delete_on_termination
}
