mod adoption;
mod advice;
mod drift_repair;
mod in_use;
mod instance_type;
mod life;
mod observed_generation;
mod subnets;
mod tags;
mod teardown;
mod wake;

use super::*;
use crate::assign::tests::{at, new_attachment};
use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError};
use crate::ec2_terms::{GroupTerm, TagTerm};
use crate::gates::instance_type::{InstanceTypeGate, Subject};
use crate::gates::quota::QuotaGate;
use crate::instance_life::InstanceObservation;
use crate::instance_life::InstanceState;
use crate::lookup_failure::LookupFailure;
use crate::nodeeni::EniSpec;
use crate::nodeeni::NodeEni;
use crate::observed::{AttachmentState, Missed, ObservedAttachment};
use crate::observed::{Cluster, Ec2Catalog, ObservedEni, ObservedIpv6, TaggedGroups};
use crate::settings::Settings;
use jiff::SignedDuration;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::eniattachment::Phase;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_api::ids::{SecurityGroupId, SubnetId};
use multi_eni_api::{ConnectionTracking, NodeENI, NodeEniSpec, names};

pub(crate) fn attachment(state: AttachmentState) -> ObservedAttachment {
    ObservedAttachment {
        id: "eni-attach-1".into(),
        instance: InstanceId::parse("i-0123456789abcdef0").ok(),
        card: 0,
        index: 1,
        state,
        since: at(0),
        delete_on_termination: true,
    }
}

pub(crate) fn eni(n: u32) -> ObservedEni {
    ObservedEni {
        id: EniId::parse(&format!("eni-{n:017x}")).unwrap(),
        subnet: Some(SubnetId::parse("subnet-0f59b4f14737be9ad").unwrap()),
        vpc: "vpc-1".into(),
        zone: "z1".into(),
        owner: "123456789012".into(),
        mac: "02:00:00:00:00:01".into(),
        private_ips: vec!["10.0.0.5".into()],
        ipv4_prefixes: Vec::new(),
        ipv6: ObservedIpv6::default(),
        operator: None,
        groups: vec![],
        description: String::new(),
        source_dest_check: true,
        connection_tracking: ConnectionTracking::default(),
        tags: tags(&cluster(), &new_attachment("n0", 1, false)).into_iter().collect(),
        attachment: None,
        in_use_since: None,
        shown_at: at(0),
        last_call: None,
    }
}

fn cluster() -> Cluster {
    Cluster { uid: "cluster".into(), name: "cluster".into() }
}

struct World {
    attachment: Attachment,
    observation: Observation,
    spec: EniSpec,
    call_history: CallHistory,
    instance: Option<InstanceObservation>,
    unlooked: bool,
    states_failure: Option<LookupFailure>,
    home_shown: Option<Timestamp>,
    resync_took: SignedDuration,
    rivals: Vec<Attachment>,
    node_leaving: bool,
    catalog: Ec2Catalog,
    quota: QuotaGate,
    instance_type: Option<(InstanceTypeGate, Subject<'static>)>,
    permissions: crate::gates::permission::PermissionGate,
    subnets: crate::gates::subnet::SubnetGate,
    now: Timestamp,
}

impl World {
    /// A process that leads since 10 s. The ENIAttachment is made at 20 s, so all calls for it are this process's.
    fn new(observation: Observation) -> Self {
        let spec = NodeEniSpec {
            node_selector: [("a".to_owned(), "b".to_owned())].into(),
            subnet_id: Some("subnet-0f59b4f14737be9ad".into()),
            device_index: 1,
            delete_on_termination: true,
            ..Default::default()
        };
        let mut eni_attachment = new_attachment("n0", 1, false);
        eni_attachment.created = at(20);
        Self {
            call_history: CallHistory::made(at(10)),
            attachment: eni_attachment,
            observation,
            spec: NodeEni::read(&NodeENI::new("a", spec)).spec.unwrap(),
            instance: None,
            unlooked: false,
            states_failure: None,
            home_shown: None,
            resync_took: SignedDuration::ZERO,
            rivals: Vec::new(),
            node_leaving: false,
            catalog: Ec2Catalog::default(),
            quota: QuotaGate::default(),
            instance_type: None,
            permissions: Default::default(),
            subnets: Default::default(),
            now: at(30),
        }
    }

    fn step(&self) -> Step {
        step(Input {
            cluster: &cluster(),
            attachment: &self.attachment,
            observation: &self.observation,
            spec: Some(&self.spec),
            rivals: &self.rivals.iter().collect::<Vec<_>>(),
            node_leaving: self.node_leaving,
            // A test that sets no instance has one that was just observed running.
            instance: if self.unlooked {
                None
            } else {
                self.instance.or(Some(InstanceObservation::first(InstanceState::Running, self.now)))
            },
            states_failure: self.states_failure.as_ref(),
            home_shown: self.home_shown,
            resync_took: self.resync_took,
            catalog: &self.catalog,
            call_history: &self.call_history,
            quota: &self.quota,
            instance_type: self.instance_type.as_ref().map(|(gate, subject)| (gate, *subject)),
            permissions: &self.permissions,
            subnets: &self.subnets,
            settings: &crate::settings::Settings::default(),
            now: self.now,
        })
    }

    fn set_shown_at(&mut self, seconds: i64) {
        let Observation::Seen(eni) = &mut self.observation else { panic!("nothing is seen") };
        eni.shown_at = at(seconds);
    }

    fn set_last_call(&mut self, seconds: i64) {
        let Observation::Seen(eni) = &mut self.observation else { panic!("nothing is seen") };
        eni.last_call = Some(at(seconds));
    }

    /// EC2 accepts a plain Detach of the first attachment.
    fn accept_detach(&mut self, seconds: i64) {
        self.call_history.sends_detach("eni-attach-1", false, true);
        self.call_history.succeeded(Call::Detach, at(seconds));
    }

    fn fail(&mut self, call: Call, code: &str, message: &str) {
        let error = CallError::Answered { code: code.into(), message: message.into() };
        self.call_history.failed(call, &error, self.now);
    }
}

#[test]
fn a_mismatched_token_is_replaced_once() {
    let mut world = World::new(absent(25));
    world.fail(Call::Create, "IdempotentParameterMismatch", "");
    assert_eq!(world.step().action, Action::Wait);
    (world.now, world.observation) = (at(95), absent(94));
    let next = world.step();
    assert_eq!((next.action, next.status.attempt), (Action::NextAttempt, 1));
    world.attachment.status = next.status;
    let Action::Create { token, .. } = world.step().action else { panic!("{:?}", world.step().action) };
    assert_eq!(token, names::client_token(&world.attachment.uid, 1));
}

#[test]
fn an_own_failure_is_reported_whatever_the_quota_gate_holds_back() {
    let mut world = World::new(absent(25));
    let refused = CallError::Answered { code: crate::gates::quota::CODE.into(), message: String::new() };
    world.fail(Call::Create, "InsufficientFreeAddressesInSubnet", "");
    world.quota.answered("another", at(28), &Err(refused), at(29));
    world.now = at(300);
    let ready = |step: &Step| step.status.conditions.iter().find(|c| c.type_ == types::READY).unwrap().reason.clone();
    assert_eq!(ready(&world.step()), "SubnetFull");
    world.quota.freed();
    assert_eq!(ready(&world.step()), "SubnetFull");
}

#[test]
fn all_creates_wait_for_the_quota_and_report_it() {
    let mut world = World::new(absent(25));
    let refused =
        CallError::Answered { code: crate::gates::quota::CODE.into(), message: "Maximum of 5000 reached.".into() };
    world.quota.answered("another", at(28), &Err(refused.clone()), at(29));
    let waiting = world.step();
    assert_eq!((waiting.action, waiting.recheck), (Action::Wait, Some(at(629))));
    assert_eq!(waiting.status.phase, Phase::Blocked);
    let ready = waiting.status.conditions.iter().find(|c| c.type_ == types::READY).unwrap();
    assert_eq!(ready.reason, "LimitExceeded");
    assert!(ready.message.contains("Maximum of 5000 reached. Raise the quota"), "{}", ready.message);
    // An ENIAttachment that was refused itself waits as long as the others.
    world.call_history.failed(Call::Create, &refused, at(29));
    assert_eq!((world.step().action, world.step().recheck), (Action::Wait, Some(at(629))));
    world.quota.freed();
    // The refused Create may have ignored its token. No Create follows before a lookup proves that no ENI was made.
    assert_eq!(world.step().action, Action::Wait);
    world.call_history.create_unknown = None;
    assert!(matches!(world.step().action, Action::Create { .. }));
    // If the gate knows no refusal, the ENIAttachment's own call history counts.
    world.quota = QuotaGate::default();
    assert_eq!(world.step().action, Action::Wait);
}

/// The quota gate lets one call try from time to time, and then the permission gate holds that call back.
#[test]
fn the_report_does_not_depend_on_the_gate_that_holds_the_create_back() {
    let mut world = World::new(absent(25));
    let refused =
        CallError::Answered { code: crate::gates::quota::CODE.into(), message: "Maximum of 5000 reached.".into() };
    world.quota.answered("another", at(28), &Err(refused), at(29));
    let denied = CallError::Answered { code: "UnauthorizedOperation".into(), message: "no".into() };
    for uid in ["a", "b", "c"] {
        let mut call_history = CallHistory::made(at(0));
        call_history.failed(Call::Create, &denied, at(29));
        world.permissions.answered(uid, Call::Create, &Err(denied.clone()), call_history.failure.as_ref(), at(29));
    }
    let first = world.step();
    assert_eq!((first.action, first.status.phase), (Action::Wait, Phase::Blocked));
    world.attachment.status = first.status.clone();
    world.quota.freed();
    let next = world.step();
    assert_eq!((next.action, &next.status), (Action::Wait, &first.status));
    // The status stays also while the Create is tried, because the Create may be withdrawn.
    world.now = at(100);
    let tries = world.step();
    assert!(matches!(tries.action, Action::Create { .. }), "{:?}", tries.action);
    assert_eq!(tries.status, first.status);
}

fn absent(by_tag: i64) -> Observation {
    Observation::Absent { by_tag: at(by_tag), home: None, by_id: None, deleted: None }
}

/// Two lookups by ID, a minute apart, did not show the ENI. `home`: when EC2 had last shown this cluster before the
/// second one.
fn missed_twice(by_tag: Timestamp, last: Timestamp, home: Option<Timestamp>) -> Observation {
    let since = last.saturating_sub(crate::instance_life::APART).unwrap();
    Observation::Absent { by_tag, home: None, by_id: Some(Missed::once(since).and(last).after(home)), deleted: None }
}

fn seen(state: Option<AttachmentState>) -> Observation {
    let mut eni = eni(1);
    eni.attachment = state.map(attachment);
    Observation::Seen(Box::new(eni))
}

#[test]
fn provisioning_is_create_attach_settled_and_only_then_ready() {
    let mut world = World::new(absent(25));
    let Action::Create { token, may_repeat: false } = world.step().action else { panic!("{:?}", world.step()) };
    assert_eq!(token, "uid-n0-1-0");
    let tags = tags(&cluster(), &world.attachment);
    assert_eq!(tags[names::TAG_CLUSTER], "cluster");
    assert_eq!(tags[names::TAG_ATTACHMENT_UID], "uid-n0-1");
    world.observation = seen(None);
    assert!(matches!(world.step().action, Action::Attach { index: 1, card: 0, .. }));
    world.observation = seen(Some(AttachmentState::Attaching));
    assert_eq!(world.step().action, Action::Wait);
    assert!(!is_true(&world.step().status.conditions, types::READY));
    world.observation = seen(Some(AttachmentState::Attached));
    let step = world.step();
    assert_eq!(step.action, Action::Settled);
    assert!(is_true(&step.status.conditions, types::READY) && step.status.phase == Phase::Attached);
    world.attachment.status = step.status.clone();
    assert_eq!(world.step().status, step.status, "a second lookup writes nothing");
}

#[test]
fn delete_on_termination_is_repaired_after_ready() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.spec.delete_on_termination = false;
    let step = world.step();
    assert!(
        matches!(step.action, Action::Modify { change: Change::DeleteOnTermination { value: false, .. }, .. }),
        "{step:?}"
    );
    assert!(is_true(&step.status.conditions, types::READY), "off the path to Ready");
}

#[test]
fn a_blind_process_waits_and_an_eni_without_our_tags_is_never_touched() {
    assert_eq!(World::new(Observation::Blind).step().action, Action::Wait);
    let mut theirs = eni(1);
    theirs.tags.remove(names::TAG_CLUSTER);
    let mut world = World::new(Observation::Seen(Box::new(theirs)));
    assert_eq!(world.step().action, Action::Wait);
    assert_eq!(world.step().status.phase, Phase::Blocked);
    world.attachment.deleting = Some(at(25));
    assert_eq!(world.step().action, Action::Wait);
}

#[test]
fn a_lost_answer_repeats_the_token_within_an_hour_and_needs_a_lookup_after_it() {
    let mut world = World::new(absent(25));
    world.call_history.failed(Call::Create, &CallError::Unknown("timeout".into()), at(40));
    world.now = at(45);
    assert!(matches!(world.step().action, Action::Create { token, .. } if token == "uid-n0-1-0"));
    world.now = at(4000);
    assert_eq!(world.step().action, Action::LookupByTag, "the token is too old to tell");
    world.observation = absent(4000);
    assert_eq!(world.step().action, Action::NextAttempt);
    assert_eq!(world.step().status.attempt, 1);
    world.attachment.status = world.step().status;
    world.call_history.create_unknown = None;
    assert!(matches!(world.step().action, Action::Create { token, .. } if token == "uid-n0-1-1"));
}

/// EC2 answered with an ENI, no status names the ENI, and now no lookup shows it. A repeated Create could make a second
/// ENI with the same token in another account.
#[test]
fn an_eni_that_this_process_made_is_looked_up_whatever_the_status_contains() {
    let mut world = World::new(absent(200));
    world.call_history.succeeded(Call::Create, at(30));
    world.call_history.created_eni = Some(eni(1).id);
    world.now = at(201);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
}

#[test]
fn a_permanent_failure_is_not_retried_soon() {
    let mut world = World::new(absent(25));
    world.fail(Call::Create, "InvalidParameterValue", "no");
    world.now = at(300);
    let step = world.step();
    assert_eq!((step.action, step.status.phase), (Action::Wait, Phase::Blocked));
    assert_eq!(step.status.last_error.unwrap().code, "InvalidParameterValue");
    assert!(step.recheck.is_some_and(|at_| at_ > at(600)));
    for _ in 0..3 {
        world.fail(Call::Create, "UnauthorizedOperation", "You are not authorized");
        let step = world.step();
        assert!(step.status.phase == Phase::Pending && step.status.last_error.is_none(), "{step:?}");
    }
    world.fail(Call::Create, "UnauthorizedOperation", "You are not authorized");
    assert!(world.step().status.conditions.iter().any(|c| c.message.contains("ec2:CreateNetworkInterface")));
}

/// Somebody detached the ENI, or this controller did because the attachment was stuck.
#[test]
fn a_stuck_detach_is_forced_after_a_lookup() {
    let mut world = World::new(seen(Some(AttachmentState::Detaching)));
    world.now = at(899);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(900);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.set_shown_at(900);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
}

/// Somebody may put the tags back or detach the ENI. Only a lookup by ID shows this, because a resync finds ENIs by tag.
#[test]
fn an_eni_without_our_tags_is_looked_up_by_its_id() {
    let mut theirs = eni(1);
    theirs.tags.remove(names::TAG_CLUSTER);
    let mut world = World::new(Observation::Seen(Box::new(theirs)));
    world.now = at(599);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(601);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
}

#[test]
fn a_stuck_attach_is_reported_at_90_s_detached_at_5_min_and_forced_15_min_after_an_accepted_detach() {
    let mut world = World::new(seen(Some(AttachmentState::Attaching)));
    let reason =
        |world: &World| world.step().status.conditions.iter().find(|c| c.type_ == types::READY).unwrap().reason.clone();
    world.now = at(89);
    assert_eq!((world.step().action, reason(&world).as_str()), (Action::Wait, "Attaching"));
    world.now = at(90);
    assert_eq!((world.step().action, reason(&world).as_str()), (Action::Wait, "StuckAttaching"));
    world.now = at(300);
    assert_eq!(
        world.step().action,
        Action::LookupById(eni(1).id),
        "an old observation does not prove that the ENI is stuck"
    );
    world.set_shown_at(300);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    world.now = at(899);
    world.fail(Call::Detach, "IncorrectState", "not now");
    world.now = at(901);
    world.set_shown_at(901);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }), "EC2 has accepted none yet");
    world.accept_detach(901);
    world.now = at(1801);
    world.set_shown_at(1801);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
    world.fail(Call::Detach, "RequestLimitExceeded", "slower");
    assert_eq!(world.step().action, Action::Wait, "a forced Detach that failed is not repeated at once");
}

#[test]
fn an_eni_attached_elsewhere_is_not_touched() {
    let mut moved = eni(1);
    let mut at_ = attachment(AttachmentState::Attached);
    at_.instance = InstanceId::parse("i-0fedcba9876543210").ok();
    moved.attachment = Some(at_);
    let mut world = World::new(Observation::Seen(Box::new(moved)));
    assert_eq!((world.step().action, world.step().status.phase), (Action::Wait, Phase::Blocked));
    world.attachment.deleting = Some(at(25));
    assert_eq!(world.step().action, Action::Wait);
}

#[test]
fn a_deleted_eni_is_lost_only_after_a_lookup_by_id() {
    let mut world = World::new(absent(80));
    world.attachment.status = World::new(seen(Some(AttachmentState::Attached))).step().status;
    world.now = at(100);
    let step = world.step();
    assert_eq!(step.action, Action::LookupById(eni(1).id));
    assert_eq!(step.status, world.attachment.status, "a resync that does not show the ENI yet changes nothing");
    world.observation =
        Observation::Absent { by_tag: at(80), home: None, by_id: Some(Missed::once(at(100))), deleted: None };
    let step = world.step();
    assert_eq!(step.action, Action::Wait);
    world.attachment.status = step.status;
    assert!(world.attachment.lost());
}

/// Resyncs keep observations young. If Describes fail, no action may follow from an old observation.
#[test]
fn an_old_observation_is_renewed_before_an_action() {
    let mut world = World::new(seen(None));
    world.now = at(150);
    assert!(matches!(world.step().action, Action::Attach { .. }));
    world.now = at(151);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.set_shown_at(151);
    assert!(matches!(world.step().action, Action::Attach { .. }));
    // The answer of this process's own call is younger, and says nothing about the tags.
    let Observation::Seen(observation) = &mut world.observation else { panic!("it is seen") };
    observation.last_call = Some(at(300));
    world.now = at(302);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
}

#[test]
fn the_longest_names_make_tags_that_ec2_takes() {
    let mut eni_attachment = new_attachment("n0", 1, false);
    (eni_attachment.nodeeni, eni_attachment.node) = ("e".repeat(253), "n".repeat(253));
    assert!(tags(&cluster(), &eni_attachment).values().all(|value| value.chars().count() <= 256));
}

#[test]
fn groups_by_name_are_repaired_once_the_names_are_looked_up() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    let web = SecurityGroupId::parse("sg-00000001").unwrap();
    world.spec.group_names = vec!["web".to_owned()];
    assert_eq!(world.step().action, Action::Settled, "not looked up yet");
    world.catalog.groups_named.insert("web".into(), [("vpc-2".to_owned(), web.clone())].into());
    assert_eq!(world.step().action, Action::Settled, "no such group in its VPC");
    world.catalog.groups_named.insert("web".into(), [("vpc-1".to_owned(), web.clone())].into());
    let change = Change::Groups(vec![web]);
    assert!(matches!(world.step().action, Action::Modify { change: found, .. } if found == change));
}

#[test]
fn groups_by_terms_are_repaired_in_place_and_one_answer_takes_no_group_off() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    let [web, db] = ["sg-00000001", "sg-00000002"].map(|id| SecurityGroupId::parse(id).unwrap());
    let term = TagTerm::read(None, &[("tier".to_owned(), "*".to_owned())].into()).unwrap();
    world.spec.group_terms = vec![GroupTerm::Tags(term.clone())];
    let answer = |world: &mut World, groups: &[&SecurityGroupId], is_confirmed: bool| {
        let groups = groups.iter().map(|id| ("vpc-1".to_owned(), (*id).clone())).collect();
        world.catalog.groups_tagged.insert(term.clone(), TaggedGroups { groups, is_confirmed });
        match world.step().action {
            Action::Modify { change: Change::Groups(groups), .. } => Some(groups),
            Action::Settled => None,
            other => panic!("{other:?}"),
        }
    };
    // The ENI of these tests has no group.
    assert_eq!(answer(&mut world, &[&db, &web], false), Some(vec![web.clone(), db.clone()]));
    let Observation::Seen(eni) = &mut world.observation else { panic!("the ENI is shown") };
    eni.groups = vec![web.clone(), db.clone()];
    assert_eq!(answer(&mut world, &[&web, &db], true), None);
    assert_eq!(answer(&mut world, &[&web], false), None, "a partial answer");
    assert_eq!(answer(&mut world, &[], true), None, "no group matches: the old groups stay");
    assert_eq!(answer(&mut world, &[&web], true), Some(vec![web.clone()]));
}

/// The watch may show an object before the answer to its creation is processed, because that answer waits for the answers
/// of other creations.
#[test]
fn learning_late_that_an_object_was_made_here_keeps_the_call_history() {
    let eni_attachment = new_attachment("n0", 1, false);
    let mut call_history = CallHistory::begin(at(10), &eni_attachment);
    call_history.failed(Call::Create, &CallError::Unknown("broken".into()), at(21));
    call_history.learns_that_it_was_made_here(&eni_attachment, at(22));
    assert_eq!(call_history.may_exist_since(), Some(at(21)));
    assert!(call_history.failure.is_some());
    let mut fresh = CallHistory::begin(at(10), &eni_attachment);
    fresh.learns_that_it_was_made_here(&eni_attachment, at(22));
    assert_eq!(fresh.may_exist_since(), None, "no call was made for it before");
}

/// A code of this controller in a status is no answer of EC2. So the next leader does not wait ten minutes after a call
/// that got no answer.
#[test]
fn an_unanswered_call_of_an_earlier_process_is_not_a_refusal() {
    for (code, class) in [
        ("NoAnswer", crate::ec2_errors::Class::Unknown),
        ("NotSent", crate::ec2_errors::Class::Credentials),
        ("InternalError", crate::ec2_errors::Class::Retry),
    ] {
        let mut eni_attachment = new_attachment("n0", 1, false);
        eni_attachment.status.last_error = Some(multi_eni_api::eniattachment::LastError {
            action: Call::Delete.action().to_owned(),
            code: code.to_owned(),
            message: "connection refused".to_owned(),
            at: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(5))),
            count: 1,
        });
        assert_eq!(
            CallHistory::begin(at(10), &eni_attachment).failure.map(|failure| failure.class),
            Some(class),
            "{code}"
        );
    }
}

/// EC2 answers a repeated Create with the state from its first answer.
#[test]
fn a_create_that_may_be_a_repetition_is_marked_as_one() {
    let may_repeat = |world: &World| match world.step().action {
        Action::Create { may_repeat, .. } => may_repeat,
        other => panic!("{other:?}"),
    };
    let mut world = World::new(absent(25));
    assert!(!may_repeat(&world), "made here");
    world.call_history = CallHistory::begin(at(10), &world.attachment);
    assert!(!may_repeat(&world), "created in this term: only the answer is missing");
    world.attachment.created = at(9);
    assert!(may_repeat(&world), "it existed before this term");
    world.attachment.created = at(20);
    world.call_history.create_unknown = Some(at(21));
    assert!(may_repeat(&world), "the call got no answer");
}

/// Two controllers, or a controller and a policy of the account, undo each other's changes.
#[test]
fn a_repair_that_does_not_last_backs_off_and_is_reported() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.spec.source_dest_check = false;
    let mut sent = Vec::new();
    for seconds in 30..3630 {
        world.now = at(seconds);
        world.set_shown_at(seconds);
        if let Action::Modify { change, .. } = world.step().action {
            world.call_history.sends_change(&change, Some(&world.spec), world.now);
            world.call_history.succeeded(Call::Modify, world.now);
            sent.push(seconds);
        }
    }
    assert!(sent.len() <= 22, "{sent:?}");
    let status = world.step().status;
    let error = status.last_error.unwrap();
    assert!(error.code == "RepairUndone" && error.message.contains("sourceDestCheck"), "{error:?}");
    assert!(is_true(&status.conditions, types::READY));
    // A change that lasted for an hour was not undone.
    world.now = at(sent.last().unwrap() + 3600);
    world.set_shown_at(sent.last().unwrap() + 3600);
    assert!(matches!(world.step().action, Action::Modify { .. }));
    assert!(world.step().status.last_error.is_none());
}

/// A tool of the account detaches ENIs that it does not know.
#[test]
fn an_eni_that_is_detached_repeatedly_backs_off_and_is_reported() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.status.attachment_id = Some("eni-attach-1".into());
    let mut sent = Vec::new();
    for seconds in 30..3630 {
        world.now = at(seconds);
        // The ENI is detached as soon as it is attached.
        world.observation = seen(None);
        world.set_shown_at(seconds);
        if let Action::Attach { .. } = world.step().action {
            world.call_history.sends_attach(world.attachment.status.attachment_id.as_deref());
            world.call_history.succeeded(Call::Attach, world.now);
            sent.push(seconds);
        }
    }
    assert!(sent.len() <= 22 && sent[3] < 40, "{sent:?}");
    let last = *sent.last().unwrap();
    world.observation = seen(Some(AttachmentState::Attached));
    world.spec.delete_on_termination = true;
    world.set_shown_at(last + 10);
    world.now = at(last + 10);
    let there = world.step();
    let error = there.status.last_error.as_ref().unwrap();
    assert!(error.code == "RepairUndone" && error.message.contains("DetachNetworkInterface"), "{error:?}");
    assert_eq!((there.action, there.recheck), (Action::Settled, Some(at(last + 900))));
    assert!(is_true(&there.status.conditions, types::READY));
    world.now = at(last + 900);
    world.set_shown_at(last + 900);
    assert!(world.step().status.last_error.is_none(), "it stayed");
}

/// This process itself detaches an ENI whose attachment is stuck.
#[test]
fn a_detach_by_this_process_does_not_count_as_undone() {
    let mut call_history = CallHistory::made(at(10));
    for n in 0..6 {
        call_history.sends_detach("eni-attach-1", false, true);
        call_history.succeeded(Call::Detach, at(20 + n));
        call_history.sends_attach(Some("eni-attach-1"));
        call_history.succeeded(Call::Attach, at(21 + n));
    }
    assert_eq!(call_history.repairs.undone_often(at(30)), None);
    call_history.sends_attach(None);
    call_history.succeeded(Call::Attach, at(31));
    assert_eq!(call_history.repairs.detached(at(32)), None, "it is the first time");
}

/// Removing the finalizer changes nothing on EC2.
#[test]
fn a_removed_finalizer_does_not_change_the_status() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.status = world.step().status;
    world.attachment.has_finalizer = false;
    let step = world.step();
    assert_eq!((step.action, step.status), (Action::Wait, world.attachment.status));
}
