//! A name of a group or subnet is resolved to something else while the NodeENI does not change.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it needs")]

use multi_eni_bench::region::{GROUP, subnet};
use multi_eni_bench::workload::run_isolated;
use multi_eni_bench::world::{World, nodeenis};
use multi_eni_sim::ec2::Eni;
use serde_json::{Value, json};

const VPC: &str = "vpc-0a1b2c3d4e5f60718";
const NEW: &str = "sg-0000000000000dea1";

fn ours(world: &World) -> Vec<Eni> {
    world.ec2.snapshot().enis.into_values().filter(|eni| eni.client_token.is_some()).collect()
}

fn degraded(world: &World) -> String {
    let object = world.api.get(&nodeenis(), "", "pool-1").expect("the NodeENI is there");
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == "Degraded").unwrap_or_default();
    found.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[test]
fn a_group_that_is_deleted_and_made_again_reaches_new_and_old_enis() {
    let result = run_isolated(|| async {
        let world = World::open(3, 0.8).await?;
        world.apply_spec(json!({ "subnetID": subnet(1), "securityGroupNames": ["pool"] }))?;
        world.until_ready(3).await?;
        world.ec2.remove_place(GROUP);
        world.ec2.add_security_group(NEW, VPC, "pool");
        world.join(4)?;
        // A lookup of names every 3 to 4 min, and 3 min until the other group is certain for ENIs that exist.
        world.pass(600).await;
        let groups: Vec<Vec<String>> = ours(&world).into_iter().map(|eni| eni.groups).collect();
        let (ready, said) = (world.observer.observations().are_ready, degraded(&world));
        world.close().await;
        Ok((groups, ready, said))
    });
    let (groups, ready, said) = result.expect("the simulation fails");
    assert_eq!(groups, vec![vec![NEW.to_owned()]; 4]);
    assert_eq!((ready, said.as_str()), (4, "AsExpected"));
}

#[test]
fn existing_enis_get_the_new_group_when_no_node_joins() {
    let result = run_isolated(|| async {
        let world = World::open(2, 0.8).await?;
        world.apply_spec(json!({ "subnetID": subnet(1), "securityGroupNames": ["pool"] }))?;
        world.until_ready(2).await?;
        world.ec2.remove_place(GROUP);
        world.pass(290).await;
        let between = (degraded(&world), world.observer.observations().are_ready);
        world.ec2.add_security_group(NEW, VPC, "pool");
        world.pass(600).await;
        let groups: Vec<Vec<String>> = ours(&world).into_iter().map(|eni| eni.groups).collect();
        let said = degraded(&world);
        world.close().await;
        Ok((between, groups, said))
    });
    let (between, groups, said) = result.expect("the simulation fails");
    assert_eq!(between, ("SecurityGroupNotResolved".to_owned(), 2), "reported, and the ENIs stay");
    assert_eq!((groups, said.as_str()), (vec![vec![NEW.to_owned()]; 2], "AsExpected"));
}

#[test]
fn a_second_group_of_the_name_is_reported_and_changes_nothing() {
    let result = run_isolated(|| async {
        let world = World::open(2, 0.8).await?;
        world.apply_spec(json!({ "subnetID": subnet(1), "securityGroupNames": ["pool"] }))?;
        world.until_ready(2).await?;
        world.ec2.add_security_group(NEW, VPC, "pool");
        world.pass(300).await;
        let groups: Vec<Vec<String>> = ours(&world).into_iter().map(|eni| eni.groups).collect();
        let said = degraded(&world);
        world.ec2.remove_place(NEW);
        world.pass(300).await;
        let after = degraded(&world);
        world.close().await;
        Ok((groups, said, after))
    });
    let (groups, said, after) = result.expect("the simulation fails");
    assert_eq!(groups, vec![vec![GROUP.to_owned()]; 2]);
    assert_eq!((said.as_str(), after.as_str()), ("SecurityGroupNotResolved", "AsExpected"));
}

#[test]
fn a_subnet_name_that_moves_goes_through_the_rollout() {
    let result = run_isolated(|| async {
        let world = World::open(3, 0.8).await?;
        world.ec2.name_subnet(&subnet(1), "storage").map_err(|error| error.to_string())?;
        world.apply_spec(json!({ "subnetName": "storage" }))?;
        world.until_ready(3).await?;
        world.ec2.name_subnet(&subnet(1), "old").map_err(|error| error.to_string())?;
        world.ec2.name_subnet(&subnet(2), "storage").map_err(|error| error.to_string())?;
        let mut fewest = 3;
        for _ in 0..600 {
            world.pass(1).await;
            fewest = world.observer.observations().are_ready.min(fewest);
        }
        let subnets: Vec<String> = ours(&world).into_iter().map(|eni| eni.subnet_id).collect();
        let ready = world.observer.observations().are_ready;
        world.close().await;
        Ok((subnets, fewest, ready))
    });
    let (subnets, fewest, ready) = result.expect("the simulation fails");
    assert_eq!((subnets, ready), (vec![subnet(2); 3], 3));
    assert_eq!(fewest, 2, "one at a time");
}

/// A subnet that does not exist yet, by ID and by name: it is reported, and found within minutes.
#[test]
fn a_missing_subnet_is_found_within_minutes() {
    for spec in [json!({ "subnetID": "subnet-0dddddddddddddd01" }), json!({ "subnetName": "later" })] {
        let result = run_isolated(move || async move {
            let world = World::open(1, 0.8).await?;
            world.apply_spec(spec)?;
            world.pass(20).await;
            let said = degraded(&world);
            world
                .ec2
                .add_subnet("subnet-0dddddddddddddd01", VPC, "eu-west-1a", "10.3.0.0/24", Some("later"))
                .map_err(|error| error.to_string())?;
            world.pass(300).await;
            let ready = world.observer.observations().are_ready;
            world.close().await;
            Ok((said, ready))
        });
        assert_eq!(result.expect("the simulation fails"), ("SubnetNotFound".to_owned(), 1));
    }
}
