//! `multi-eni drain` and orphans: it waits for those that the controller removes by itself, and names those that it never removes.

use super::drain::{INSTANCES, as_hook, nodes, says};
use super::drain_hook::Hook;
use super::plan_rights::documented_actions;
use crate::harness::account::SUBNET_A;
use crate::harness::{Environment, Failure, SOON};
use multi_eni_api::names::{TAG_ATTACHMENT_UID, TAG_CLUSTER, TAG_NODE, TAG_NODEENI, TAG_NODEENI_UID};
use multi_eni_plan::orphans::APART;
use multi_eni_sim::ec2::WorldError;

/// An instance without a Node.
pub(super) const ELSEWHERE: &str = "i-0bbbbbbbbbbbbbbb1";

pub(super) fn failed(error: WorldError) -> String {
    error.to_string()
}

/// Makes an ENI with the tags of this cluster whose ENIAttachment and NodeENI do not exist.
pub(super) fn orphan(environment: &Environment) -> Result<String, Failure> {
    let uid = environment.get(&["namespace", "kube-system"])?["metadata"]["uid"].clone();
    let gone = "00000000-0000-4000-8000-000000000000";
    let tags = [
        (TAG_CLUSTER, uid.as_str().unwrap_or_default()),
        (TAG_ATTACHMENT_UID, gone),
        (TAG_NODEENI, "gone"),
        (TAG_NODEENI_UID, gone),
        (TAG_NODE, "node1"),
    ];
    Ok(environment.account.ec2.hand_create(SUBNET_A, &tags).map_err(failed)?)
}

/// ENIs that the controller never removes: the command names them at once, does not wait, and leaves them. At the end they are
/// gone.
pub(super) fn those_that_the_controller_never_removes(environment: &Environment, hook: &Hook) -> Result<(), Failure> {
    let ec2 = &environment.account.ec2;
    let (elsewhere, untagged) = (orphan(environment)?, orphan(environment)?);
    ec2.run_instance(ELSEWHERE, "m5.xlarge", SUBNET_A).map_err(failed)?;
    ec2.hand_attach(&elsewhere, ELSEWHERE, 0, 1).map_err(failed)?;
    ec2.hand_change(&untagged, |eni| drop(eni.tags.remove(TAG_ATTACHMENT_UID))).map_err(failed)?;
    let begun = std::time::Instant::now();
    let ended = hook.run(true)?;
    let why = format!("{ELSEWHERE} is no instance of a Node of this cluster, so the controller never changes this ENI");
    let announced = format!("Not removed: {elsewhere} has no ENIAttachment, and {why}");
    let by_hand = format!("If nothing uses it: aws ec2 delete-network-interface --network-interface-id {untagged}");
    let words =
        ["Nothing to do", announced.as_str(), "EC2 still shows 2 ENIs", "so the controller never changes it", &by_hand];
    says(environment, &ended, 1, &words);
    assert!(begun.elapsed() < SOON, "it waited for what never goes: {}", ended.1);

    ec2.hand_detach(&elsewhere, true).map_err(failed)?;
    for eni in [&elsewhere, &untagged] {
        environment.until("the ENI is deleted by hand", SOON, || Ok(ec2.hand_delete(eni).map_err(failed)?))?;
    }
    Ok(())
}

#[test]
fn an_orphan_is_waited_for_until_the_controller_has_removed_it() -> Result<(), Failure> {
    let environment = Environment::with_a_controller()?;
    let hook = Hook::install(&environment, true)?;
    nodes(&environment, 1)?;
    environment.attached(INSTANCES[0], &[1], SOON)?;
    let lost = orphan(&environment)?;
    let made = environment.account.ec2.snapshot().enis[&lost].created;

    let dry = as_hook(&environment, &hook.account, &["--dry-run"])?;
    says(&environment, &dry, 0, &["EC2 shows 2 ENIs", "EC2 shows 1 ENI that has no ENIAttachment"]);
    // The controller needs more time than this. The NodeENI is gone nevertheless.
    let waits = format!("1 ENI without an ENIAttachment is left ({lost}). The controller removes such ENIs by itself");
    let ended = as_hook(&environment, &hook.account, &["--yes", "--timeout", "40s"])?;
    let late = "Not done within 40s: 1 ENI without an ENIAttachment is left.";
    let words = ["1 of 1 ENI is gone", waits.as_str(), "--timeout ends before that", late, "EC2 still shows 1 ENI"];
    says(&environment, &ended, 1, &words);
    environment.assert_eq("objects", environment.names("nodeenis,eniattachments")?, Vec::new());

    // The API server has nothing to remove any more. The rest of the time is waited for.
    let ended = as_hook(&environment, &hook.account, &["--yes", "--timeout", "8m"])?;
    let words =
        ["There is no NodeENI and no ENIAttachment.", waits.as_str(), "EC2 shows no ENI with the tag of this cluster."];
    says(&environment, &ended, 0, &words);
    let deleted = environment
        .account
        .mutations()
        .into_iter()
        .find(|call| call.action == "DeleteNetworkInterface" && call.eni_id.as_deref() == Some(lost.as_str()));
    let deleted = deleted.ok_or("nothing deleted the orphan")?;
    assert!(deleted.landed.duration_since(made) >= APART, "the proof was shortened: {deleted:#?}");
    environment.passed();
    Ok(())
}

#[test]
fn without_a_leader_orphans_are_named_and_not_waited_for() -> Result<(), Failure> {
    let environment = Environment::start()?;
    let lost = orphan(&environment)?;
    // The command has only the permission that its page names.
    let actions = documented_actions(include_str!("../../../../../docs/reference/drain.md"));
    environment.assert_eq("documented actions", &actions, &["DescribeNetworkInterfaces".to_owned()].into());
    environment.account.permit_only(actions);
    let admin = environment.plane.admin_kubeconfig();
    let ended = super::drain::drain(&environment, &admin, &["--yes"])?;
    let by_hand = format!("Without a controller: aws ec2 delete-network-interface --network-interface-id {lost}");
    let words = [
        "There is no NodeENI and no ENIAttachment.",
        "No controller leads: no namespace has a Lease",
        "EC2 still shows 1 ENI",
        &by_hand,
    ];
    says(&environment, &ended, 1, &words);
    environment.account.ec2.hand_delete(&lost).map_err(failed)?;
    environment.passed();
    Ok(())
}
