//! The conditions name what EC2's message names, and leave out what differs with each request.

use super::*;

/// The message of the condition Ready, and the recorded error.
fn reported(world: &World) -> (String, String) {
    let status = world.step().status;
    let ready = status.conditions.iter().find(|condition| condition.type_ == types::READY).unwrap();
    (ready.message.clone(), status.last_error.map(|error| error.message).unwrap_or_default())
}

#[test]
fn a_missing_permission_names_action_and_policy_without_the_encoded_part() {
    let denied = |n: u32| {
        format!(
            "You are not authorized to perform this operation. User: arn:aws:sts::111122223333:assumed-role/a/b is not authorized \
             to perform: ec2:CreateTags on resource: arn:aws:ec2:eu-west-1:111122223333:network-interface/* with an explicit deny \
             in a service control policy. Encoded authorization failure message: p3aI9{n}"
        )
    };
    let mut world = World::new(absent(25));
    for n in 0..5 {
        world.fail(Call::Create, "UnauthorizedOperation", &denied(n));
    }
    let (message, error) = reported(&world);
    let advice =
        "Remove the statement in the organization's service control policy that explicitly denies ec2:CreateTags";
    assert!(message.contains(advice) && message.contains("aws sts decode-authorization-message"), "{message}");
    for text in [message, error] {
        assert!(text.contains("explicit deny in a service control policy"), "{text}");
        assert!(!text.contains("p3aI9") && !text.contains("Encoded"), "{text}");
    }
}

#[test]
fn an_auth_failure_about_a_resource_is_not_about_credentials() {
    let mut world = World::new(seen(Some(AttachmentState::Attached)));
    world.attachment.deleting = Some(at(25));
    world.fail(Call::Detach, "AuthFailure", "You do not have permission to access the specified resource.");
    let (message, _) = reported(&world);
    assert!(message.contains("The credentials are valid, but the resource belongs to another account"), "{message}");
    assert!(!message.contains("Check the controller's AWS credentials"), "{message}");

    let mut bad = World::new(absent(25));
    bad.fail(Call::Create, "AuthFailure", "AWS was not able to validate the provided access credentials");
    let (message, _) = reported(&bad);
    assert!(message.contains("Check the controller's AWS credentials"), "{message}");
}

#[test]
fn too_many_security_groups_name_the_quota() {
    let mut world = World::new(absent(25));
    let words = "user 111122223333 exceeded limit 5 on the number of interface security group memberships";
    world.fail(Call::Create, "InvalidParameterValue", words);
    let (message, _) = reported(&world);
    assert!(message.contains("Name fewer security groups, or raise the quota"), "{message}");
}

/// The cause may be the subnet or a security group, which the NodeENI only names.
#[test]
fn a_create_that_can_never_work_names_more_than_the_nodeeni() {
    let mut world = World::new(absent(25));
    let words = "The subnet 'subnet-1' does not have an associated IPv6 CIDR block";
    world.fail(Call::Create, "InvalidParameterValue", words);
    let (message, _) = reported(&world);
    let advice = "CIDR block. Correct the NodeENI, or the subnet or the security groups that it names";
    assert!(message.ends_with(advice), "{message}");
}

/// A new leader and `multi-eni plan` know the failures of others by the status alone.
#[test]
fn a_missing_security_group_stays_reported_by_a_process_that_reads_the_status() {
    let mut world = World::new(absent(25));
    for _ in 0..4 {
        world.fail(Call::Create, "InvalidGroup.NotFound", "The security group 'sg-1' does not exist");
    }
    let status = world.step().status;
    assert_eq!(status.phase, Phase::Blocked);
    let mut next = World::new(absent(25));
    next.attachment.status = status;
    next.call_history = CallHistory::begin(at(40), &next.attachment);
    next.now = at(41);
    assert_eq!(next.step().status.phase, Phase::Blocked, "{:?}", next.step());
}
