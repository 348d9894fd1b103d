//! Converts the simulated EC2's ENIs to the type that the decisions use, so that `plan`'s invariants can check them.

use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::{EniId, InstanceId, SecurityGroupId, SubnetId};
use multi_eni_plan::observed::{AttachmentState, ObservedAttachment, ObservedEni, ObservedIpv6};
use multi_eni_sim::ec2::{AttachmentStatus, Eni};

/// The ENI as the simulated EC2 has it. None if its ID does not have EC2's form.
pub fn seen(eni: &Eni) -> Option<ObservedEni> {
    let attachment = eni.attachment.as_ref().and_then(|at| {
        Some(ObservedAttachment {
            id: at.id.clone(),
            instance: InstanceId::parse(&at.instance_id).ok(),
            card: i32::try_from(at.network_card_index).ok()?,
            index: i32::try_from(at.device_index).ok()?,
            state: match at.status {
                AttachmentStatus::Attaching => AttachmentState::Attaching,
                AttachmentStatus::Attached => AttachmentState::Attached,
                AttachmentStatus::Detaching => AttachmentState::Detaching,
            },
            since: at.attach_time,
            delete_on_termination: at.delete_on_termination,
        })
    });
    Some(ObservedEni {
        id: EniId::parse(&eni.id).ok()?,
        subnet: SubnetId::observed(&eni.subnet_id),
        vpc: eni.vpc_id.as_str().into(),
        zone: eni.zone.as_str().into(),
        owner: "123456789012".into(),
        mac: eni.mac_address.as_str().into(),
        private_ips: private_ips(eni),
        ipv4_prefixes: sorted(eni.ipv4_prefixes.iter().map(|ip| format!("{ip}/28"))),
        ipv6: ObservedIpv6 {
            addresses: sorted(eni.ipv6_addresses.iter().map(ToString::to_string)),
            prefixes: sorted(eni.ipv6_prefixes.iter().map(|ip| format!("{ip}/80"))),
        },
        operator: eni.managed.then(|| "eks.amazonaws.com".into()),
        groups: eni.groups.iter().filter_map(|id| SecurityGroupId::parse(id).ok()).collect(),
        description: eni.description.clone(),
        source_dest_check: eni.source_dest_check,
        connection_tracking: ConnectionTracking {
            tcp_established_timeout_seconds: seconds(eni.connection_tracking.tcp_established),
            udp_stream_timeout_seconds: seconds(eni.connection_tracking.udp_stream),
            udp_timeout_seconds: seconds(eni.connection_tracking.udp),
        },
        tags: eni.tags.iter().collect(),
        attachment,
        in_use_since: None,
        shown_at: eni.created,
        last_call: None,
    })
}

/// The addresses in the order in which the cache keeps them: the primary one, then the others by number.
fn private_ips<T: From<String>>(eni: &Eni) -> Vec<T> {
    let mut ips = eni.private_ips.clone();
    if let Some((_, others)) = ips.split_first_mut() {
        others.sort_unstable();
    }
    ips.iter().map(|ip| T::from(ip.to_string())).collect()
}

fn seconds(timeout: Option<u32>) -> Option<i32> {
    timeout.and_then(|seconds| i32::try_from(seconds).ok())
}

/// The texts in the order in which the cache keeps them.
fn sorted<T: From<String> + Ord>(texts: impl Iterator<Item = String>) -> Vec<T> {
    let mut texts: Vec<T> = texts.map(T::from).collect();
    texts.sort_unstable();
    texts
}
