//! Tests of the cache's rules, without I/O. Times are seconds after a fixed time; the lag is 60 s.

mod answered_calls;
mod instances;
mod listed;
mod observations;

use super::answered_calls::AnsweredCalls;
use super::state::{CacheState, NEVER_SHOWN, Uids};
use AttachmentState::{Attached, Attaching, Detaching};
use jiff::{SignedDuration, Timestamp};
use multi_eni_api::ConnectionTracking;
use multi_eni_api::ids::{EniId, InstanceId, SubnetId};
use multi_eni_api::names;
use multi_eni_plan::instance_life::{InstanceState, Life};
use multi_eni_plan::observed::{
    AttachmentState, Cluster, Missed, Observation, ObservedAttachment, ObservedEni, ObservedIpv6, Unshown,
};
use multi_eni_plan::string_map::StringMap;
use std::collections::{BTreeMap, BTreeSet};

fn at(second: i64) -> Timestamp {
    // Far from the epoch, which means "never" in `by_tag`.
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + second)
}

fn cache() -> CacheState {
    let cluster = Cluster { uid: "cluster".into(), name: "test".into() };
    CacheState::new(cluster, SignedDuration::from_secs(60))
}

fn id(n: u32) -> EniId {
    EniId::parse(&format!("eni-{n:08x}")).unwrap()
}

fn instance() -> InstanceId {
    InstanceId::parse("i-00000001").unwrap()
}

fn tags() -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::TAG_CLUSTER.to_owned(), "cluster".to_owned()),
        (names::TAG_ATTACHMENT_UID.to_owned(), "uid".to_owned()),
    ])
}

/// ENI `n` of ENIAttachment `uid` as a Describe that began at `second` shows it.
fn eni(n: u32, second: i64) -> ObservedEni {
    ObservedEni {
        id: id(n),
        subnet: Some(SubnetId::parse("subnet-00000001").unwrap()),
        vpc: "vpc-1".into(),
        zone: "eu-west-1a".into(),
        owner: "123456789012".into(),
        mac: "02:00:00:00:00:01".into(),
        private_ips: vec!["10.0.0.4".into()],
        ipv4_prefixes: Vec::new(),
        ipv6: ObservedIpv6::default(),
        operator: None,
        groups: vec![],
        description: String::new(),
        source_dest_check: true,
        connection_tracking: ConnectionTracking::default(),
        tags: tags().into_iter().collect(),
        attachment: None,
        in_use_since: None,
        shown_at: at(second),
        last_call: None,
    }
}

fn attachment(state: AttachmentState, second: i64) -> ObservedAttachment {
    ObservedAttachment {
        id: "attach-1".into(),
        instance: Some(instance()),
        card: 0,
        index: 1,
        state,
        since: at(second),
        delete_on_termination: false,
    }
}

fn on(n: u32, state: AttachmentState, second: i64) -> ObservedEni {
    ObservedEni { attachment: Some(attachment(state, second)), ..eni(n, second) }
}

fn resync(cache: &mut CacheState, second: i64, shown: Vec<ObservedEni>) -> Uids {
    let ids = shown.iter().map(|seen| seen.id.clone()).collect();
    let mut uids = cache.apply_shown(shown);
    uids.extend(cache.finish_resync(at(second), &ids));
    uids
}

fn seen(cache: &mut CacheState) -> ObservedEni {
    match cache.observation("uid", None) {
        Observation::Seen(seen) => *seen,
        other => panic!("{other:?}"),
    }
}

fn state(cache: &mut CacheState) -> Option<AttachmentState> {
    seen(cache).attachment.map(|attachment| attachment.state)
}
