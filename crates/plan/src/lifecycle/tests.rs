mod adoption;
mod drift_repair;
mod in_use;
mod life;
mod subnets;
mod tags;
mod teardown;

use super::*;
use crate::assign::tests::{at, new_attachment};
use crate::attachment::Attachment;
use crate::ec2_errors::{Call, CallError};
use crate::gates::quota::QuotaGate;
use crate::instance::InstanceObservation;
use crate::instance::InstanceState;
use crate::lookup_failure::LookupFailure;
use crate::nodeeni::EniSpec;
use crate::nodeeni::NodeEni;
use crate::observed::{AttachmentState, Missed, ObservedAttachment};
use crate::observed::{Cluster, Ec2Catalog, ObservedEni};
use crate::settings::Settings;
use multi_eni_api::conditions::{is_true, types};
use multi_eni_api::eniattachment::Phase;
use multi_eni_api::ids::{EniId, InstanceId};
use multi_eni_api::ids::{SecurityGroupId, SubnetId};
use multi_eni_api::{NodeENI, NodeEniSpec, names};

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
        groups: vec![],
        description: String::new(),
        source_dest_check: true,
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
    rivals: Vec<Attachment>,
    node_leaving: bool,
    catalog: Ec2Catalog,
    quota: QuotaGate,
    permissions: crate::gates::permission::PermissionGate,
    subnets: crate::gates::subnet::SubnetGate,
    now: Timestamp,
}

impl World {
    /// A leader since 10 s; the attachment made at 20 s, so all its calls are this process's.
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
            rivals: Vec::new(),
            node_leaving: false,
            catalog: Ec2Catalog::default(),
            quota: QuotaGate::default(),
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
            // Where a test says nothing of it, it was seen to run just now.
            instance: if self.unlooked {
                None
            } else {
                self.instance.or(Some(InstanceObservation::first(InstanceState::Running, self.now)))
            },
            states_failure: self.states_failure.as_ref(),
            home_shown: self.home_shown,
            catalog: &self.catalog,
            call_history: &self.call_history,
            quota: &self.quota,
            permissions: &self.permissions,
            subnets: &self.subnets,
            settings: &crate::settings::Settings::default(),
            now: self.now,
        })
    }

    fn looked(&mut self, seconds: i64) {
        let Observation::Seen(eni) = &mut self.observation else { panic!("nothing is seen") };
        eni.shown_at = at(seconds);
    }

    fn called(&mut self, seconds: i64) {
        let Observation::Seen(eni) = &mut self.observation else { panic!("nothing is seen") };
        eni.last_call = Some(at(seconds));
    }

    /// EC2 accepts a plain Detach of the first attachment.
    fn accepts(&mut self, seconds: i64) {
        self.call_history.sends_detach("eni-attach-1", false, true);
        self.call_history.succeeded(Call::Detach, at(seconds));
    }

    fn fail(&mut self, call: Call, code: &str, message: &str) {
        let error = CallError::Answered { code: code.into(), message: message.into() };
        self.call_history.failed(call, &error, self.now);
    }
}

#[test]
fn a_token_that_means_something_else_is_given_up_once() {
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
fn what_is_wrong_with_one_is_said_whatever_the_quota_holds_back() {
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
fn what_the_quota_refused_one_all_wait_for_and_say_so() {
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
    // Who was refused itself waits for the same, and no longer.
    world.call_history.failed(Call::Create, &refused, at(29));
    assert_eq!((world.step().action, world.step().recheck), (Action::Wait, Some(at(629))));
    world.quota.freed();
    // The refused Create may have ignored its token: until a look says that nothing was made, none follows.
    assert_eq!(world.step().action, Action::Wait);
    world.call_history.create_unknown = None;
    assert!(matches!(world.step().action, Action::Create { .. }));
    // Without word of the quota its own memory counts.
    world.quota = QuotaGate::default();
    assert_eq!(world.step().action, Action::Wait);
}

/// The quota lets one try now and then, who is then held back by the missing permission.
#[test]
fn what_is_said_does_not_change_with_who_holds_it_back() {
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
    // Also while it tries: it may have to give up its turn.
    world.now = at(100);
    let tries = world.step();
    assert!(matches!(tries.action, Action::Create { .. }), "{:?}", tries.action);
    assert_eq!(tries.status, first.status);
}

fn absent(by_tag: i64) -> Observation {
    Observation::Absent { by_tag: at(by_tag), home: None, by_id: None, deleted: None }
}

/// Two looks by ID, a minute apart, have not shown it; before the last one EC2 had shown this cluster then.
fn missed_twice(by_tag: Timestamp, last: Timestamp, home: Option<Timestamp>) -> Observation {
    let since = last.saturating_sub(crate::instance::APART).unwrap();
    Observation::Absent { by_tag, home: None, by_id: Some(Missed::once(since).and(last).after(home)), deleted: None }
}

fn seen(state: Option<AttachmentState>) -> Observation {
    let mut eni = eni(1);
    eni.attachment = state.map(attachment);
    Observation::Seen(Box::new(eni))
}

#[test]
fn the_way_in_is_create_attach_settled_and_ready_is_said_only_then() {
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
    assert_eq!(world.step().status, step.status, "a second look writes nothing");
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
fn blind_does_nothing_and_an_eni_without_our_tags_is_never_touched() {
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
fn a_lost_answer_repeats_the_token_within_the_hour_and_looks_twice_after_it() {
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

/// EC2 answered with an ENI, no status names it, and now no look shows it: another one would be made, with the same token, in
/// another account.
#[test]
fn an_eni_that_this_process_made_is_looked_for_whatever_the_status_says() {
    let mut world = World::new(absent(200));
    world.call_history.succeeded(Call::Create, at(30));
    world.call_history.created_eni = Some(eni(1).id);
    world.now = at(201);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
}

#[test]
fn what_cannot_work_is_not_tried_again_while_its_condition_stands() {
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

/// Whether by somebody's hand or by ours because its attaching was stuck.
#[test]
fn stuck_detaching_on_the_way_in_is_forced_after_a_look() {
    let mut world = World::new(seen(Some(AttachmentState::Detaching)));
    world.now = at(899);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(900);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.looked(900);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
}

/// Tags come back, hands detach: only a look shows it, since no sweep by tag does.
#[test]
fn what_is_not_ours_any_more_is_looked_at_again_by_its_id() {
    let mut theirs = eni(1);
    theirs.tags.remove(names::TAG_CLUSTER);
    let mut world = World::new(Observation::Seen(Box::new(theirs)));
    world.now = at(599);
    assert_eq!(world.step().action, Action::Wait);
    world.now = at(601);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
}

#[test]
fn stuck_attaching_is_said_at_90_s_detached_at_5_min_and_forced_15_min_after_that_was_accepted() {
    let mut world = World::new(seen(Some(AttachmentState::Attaching)));
    let reason =
        |world: &World| world.step().status.conditions.iter().find(|c| c.type_ == types::READY).unwrap().reason.clone();
    world.now = at(89);
    assert_eq!((world.step().action, reason(&world).as_str()), (Action::Wait, "Attaching"));
    world.now = at(90);
    assert_eq!((world.step().action, reason(&world).as_str()), (Action::Wait, "StuckAttaching"));
    world.now = at(300);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id), "an old look cannot tell that it is stuck");
    world.looked(300);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }));
    world.now = at(899);
    world.fail(Call::Detach, "IncorrectState", "not now");
    world.now = at(901);
    world.looked(901);
    assert!(matches!(world.step().action, Action::Detach { force: false, .. }), "EC2 has accepted none yet");
    world.accepts(901);
    world.now = at(1801);
    world.looked(1801);
    assert!(matches!(world.step().action, Action::Detach { force: true, .. }));
    world.fail(Call::Detach, "RequestLimitExceeded", "slower");
    assert_eq!(world.step().action, Action::Wait, "a forced one that failed is not repeated at once");
}

#[test]
fn an_eni_attached_elsewhere_is_never_stolen_back() {
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
fn deleted_by_hand_is_believed_only_after_a_look_by_id() {
    let mut world = World::new(absent(80));
    world.attachment.status = World::new(seen(Some(AttachmentState::Attached))).step().status;
    world.now = at(100);
    let step = world.step();
    assert_eq!(step.action, Action::LookupById(eni(1).id));
    assert_eq!(step.status, world.attachment.status, "a sweep that does not show it yet is no news");
    world.observation =
        Observation::Absent { by_tag: at(80), home: None, by_id: Some(Missed::once(at(100))), deleted: None };
    let step = world.step();
    assert_eq!(step.action, Action::Wait);
    world.attachment.status = step.status;
    assert!(world.attachment.lost());
}

/// Sweeps keep the view young. Where Describes fail, nothing is done on the strength of what was seen long ago.
#[test]
fn an_old_sight_is_renewed_before_anything_is_done_on_its_strength() {
    let mut world = World::new(seen(None));
    world.now = at(150);
    assert!(matches!(world.step().action, Action::Attach { .. }));
    world.now = at(151);
    assert_eq!(world.step().action, Action::LookupById(eni(1).id));
    world.looked(151);
    assert!(matches!(world.step().action, Action::Attach { .. }));
    // The answer of a call of ours is younger, and says nothing of its tags.
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
fn groups_by_name_follow_the_nodeeni_and_a_hand_once_the_names_are_known() {
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

/// The watch shows an object before the answer of its creation is taken in, which waits for its siblings' answers.
#[test]
fn to_learn_late_that_an_object_was_made_here_forgets_no_call() {
    let eni_attachment = new_attachment("n0", 1, false);
    let mut call_history = CallHistory::begin(at(10), &eni_attachment);
    call_history.failed(Call::Create, &CallError::Unknown("broken".into()), at(21));
    call_history.learns_that_it_was_made_here(&eni_attachment, at(22));
    assert_eq!(call_history.may_exist_since(), Some(at(21)));
    assert!(call_history.failure.is_some());
    let mut fresh = CallHistory::begin(at(10), &eni_attachment);
    fresh.learns_that_it_was_made_here(&eni_attachment, at(22));
    assert_eq!(fresh.may_exist_since(), None, "nobody called for it before");
}

/// A word of ours in a status is no answer of EC2's: the next leader does not wait ten minutes for what was lost once.
#[test]
fn a_call_of_an_earlier_process_that_got_no_answer_is_not_taken_for_refused() {
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

/// What EC2 answers to a repeated Create was so when the first was answered.
#[test]
fn a_create_that_an_earlier_one_may_have_made_already_is_known_to_be_one() {
    let may_repeat = |world: &World| match world.step().action {
        Action::Create { may_repeat, .. } => may_repeat,
        other => panic!("{other:?}"),
    };
    let mut world = World::new(absent(25));
    assert!(!may_repeat(&world), "made here");
    world.call_history = CallHistory::begin(at(10), &world.attachment);
    assert!(!may_repeat(&world), "made in this term: only the answer is still on its way");
    world.attachment.created = at(9);
    assert!(may_repeat(&world), "there before this term");
    world.attachment.created = at(20);
    world.call_history.create_unknown = Some(at(21));
    assert!(may_repeat(&world), "no answer was heard");
}

/// Two controllers fight, or a policy of the account puts back what it wants.
#[test]
fn a_repair_that_does_not_last_is_made_less_and_less_and_said() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.spec.source_dest_check = false;
    let mut sent = Vec::new();
    for seconds in 30..3630 {
        world.now = at(seconds);
        world.looked(seconds);
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
    // What stays for an hour was not undone.
    world.now = at(sent.last().unwrap() + 3600);
    world.looked(sent.last().unwrap() + 3600);
    assert!(matches!(world.step().action, Action::Modify { .. }));
    assert!(world.step().status.last_error.is_none());
}

/// A tool of the account detaches what it does not know.
#[test]
fn an_eni_that_is_detached_again_and_again_is_attached_less_and_less_and_that_is_said() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.status.attachment_id = Some("eni-attach-1".into());
    let mut sent = Vec::new();
    for seconds in 30..3630 {
        world.now = at(seconds);
        // Detached as soon as it is there.
        world.observation = seen(None);
        world.looked(seconds);
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
    world.looked(last + 10);
    world.now = at(last + 10);
    let there = world.step();
    let error = there.status.last_error.as_ref().unwrap();
    assert!(error.code == "RepairUndone" && error.message.contains("DetachNetworkInterface"), "{error:?}");
    assert_eq!((there.action, there.recheck), (Action::Settled, Some(at(last + 900))));
    assert!(is_true(&there.status.conditions, types::READY));
    world.now = at(last + 900);
    world.looked(last + 900);
    assert!(world.step().status.last_error.is_none(), "it stayed");
}

/// One that hangs is detached by this process itself.
#[test]
fn what_this_process_detached_was_detached_by_nobody_else() {
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

/// Whoever strips it changes nothing on EC2.
#[test]
fn an_attached_eni_whose_finalizer_was_taken_off_is_said_to_be_what_it_was() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.status = world.step().status;
    world.attachment.guarded = false;
    let step = world.step();
    assert_eq!((step.action, step.status), (Action::Wait, world.attachment.status));
}
