//! An ENI as the limits of its instance type concern it: the type, the slot, and how many interfaces the instance then has.

use crate::attachment::Attachment;
use crate::ec2_errors::Call;
use crate::observed::{Ec2Catalog, InstanceInterfaces};
use std::collections::BTreeSet;

/// An ENI that is to be created and attached, and the instance type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The instance type, by the Node's label.
    pub kind: &'a str,
    /// Whether DescribeInstanceTypes knows the type, as far as it was asked.
    pub is_known: bool,
    /// The most interfaces that the network card takes by DescribeInstanceTypes.
    pub most: Option<usize>,
    /// Network card of the slot.
    pub on: i32,
    /// Device index of the slot.
    pub index: i32,
    /// Interfaces on the network card with this ENI.
    pub on_card: usize,
    /// Interfaces on the instance with this ENI.
    pub in_all: usize,
    /// IPv4 addresses and prefixes, and IPv6 addresses and prefixes, that the request asks for.
    pub addresses: (i32, i32),
}

impl<'a> Subject<'a> {
    /// The subject of an ENIAttachment. `here`: the ENIAttachments of its instance. Those that are older come first, so an
    /// ENI that waits beside another one counts it, unless this gate holds that one back.
    pub fn of<'b>(
        attachment: &Attachment,
        (kind, catalog): (&'a str, &Ec2Catalog),
        interfaces: Option<&InstanceInterfaces>,
        here: impl Iterator<Item = &'b Attachment>,
    ) -> Self {
        let (on, index) = attachment.slot();
        let described = catalog.instance_types.get(kind);
        let limits = described.and_then(Option::as_ref);
        let most = limits.and_then(|limits| limits.cards.get(usize::try_from(on).ok()?)).copied();
        // An ENI that this gate holds back takes no room.
        let is_held = |other: &Attachment| other.never_created() && other.failed_call() == Some(Call::Attach);
        let is_before = |other: &&Attachment| {
            !is_held(other)
                && other.deleting.is_none()
                && (other.created, &other.name) <= (attachment.created, &attachment.name)
        };
        let shown = interfaces.into_iter().flat_map(|interfaces| &interfaces.enis);
        let shown = shown.filter_map(|eni| eni.attachment.as_ref()).map(|at| (at.card, at.index));
        let slots: BTreeSet<(i32, i32)> =
            here.filter(is_before).map(Attachment::slot).chain(shown).chain([(0, 0), (on, index)]).collect();
        let request = &attachment.request;
        let ipv4 = request.private_ip_count.unwrap_or(1).max(1).saturating_add(request.ipv4_prefix_count.unwrap_or(0));
        let ipv6 = request.ipv6_address_count.or(request.ipv6_prefix_count).unwrap_or(0);
        Self {
            kind,
            is_known: limits.is_some(),
            most: most.and_then(|most| usize::try_from(most).ok()),
            on,
            index,
            on_card: slots.iter().filter(|(card, _)| *card == on).count(),
            in_all: slots.len(),
            addresses: (ipv4, ipv6),
        }
    }

    pub(super) fn card(&self) -> (String, i32) {
        (self.kind.to_owned(), self.on)
    }
}
