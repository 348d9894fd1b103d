//! The controller is started in another Region, or with a role of another account. It concludes nothing from what EC2 does not
//! show there, creates and deletes nothing, and reports the problem.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it needs")]

use multi_eni_bench::region::REGION;
use multi_eni_bench::workload::run_isolated;
use multi_eni_bench::world::{World, nodeenis, nodes};
use multi_eni_sim::ec2::{Ec2, Settings};
use multi_eni_sim::kube::GroupResource;
use serde_json::{Value, json};

fn attachments() -> GroupResource {
    GroupResource::new("networking.k8s.aws", "eniattachments")
}

/// Another account or another Region, without anything of this cluster.
fn elsewhere(world: &World) -> Ec2 {
    let ec2 = Ec2::new(world.clock, Settings { seed: 9, ..Settings::default() });
    ec2.add_vpc("vpc-0eeeeeeeeeeeeeee1");
    ec2.add_subnet("subnet-0eeeeeeeeeeeeee01", "vpc-0eeeeeeeeeeeeeee1", "eu-west-1a", "10.9.0.0/16", None).unwrap();
    ec2
}

fn condition(object: &Value, kind: &str) -> (String, String) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default();
    let text = |field: &str| found.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

/// Removes from the ENIAttachments what earlier versions did not write: account, zone and Region.
fn forget_the_place(world: &World) {
    for object in world.api.list(&attachments()) {
        let fields = ["ownerID", "availabilityZone", "region"];
        assert!(fields.iter().all(|field| object["status"][field].is_string()), "it is kept: {object:#}");
        let patch = json!({ "status": { "ownerID": null, "availabilityZone": null, "region": null } });
        world.api.patch_status(&attachments(), "", object["metadata"]["name"].as_str().unwrap(), patch).unwrap();
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Meanwhile {
    Nothing,
    NodeEniDeleted,
    NoNodes,
    EarlierStatuses,
    NodeJoins,
}

fn away_and_back(region: &'static str, meanwhile: Meanwhile) {
    let result = run_isolated(move || async move {
        let mut world = World::open(5, 0.8).await?;
        world.apply(1)?;
        world.until_ready(5).await?;
        let home = world.ec2.snapshot().enis;
        let other = elsewhere(&world);
        if meanwhile == Meanwhile::EarlierStatuses {
            forget_the_place(&world);
        }
        // The controller of the first account must have stopped before anything is deleted.
        world.restart_in(&other, region).await;
        match meanwhile {
            Meanwhile::NodeEniDeleted => drop(world.api.delete(&nodeenis(), "", "pool-1").map_err(|e| e.to_string())?),
            Meanwhile::NoNodes => {
                for n in 1..=5 {
                    world.api.delete(&nodes(), "", &format!("n{n}")).map_err(|error| error.to_string())?;
                }
            }
            Meanwhile::NodeJoins => world.join(6)?,
            Meanwhile::Nothing | Meanwhile::EarlierStatuses => {}
        }
        world.pass(1800).await;
        let said = world.api.get(&nodeenis(), "", "pool-1").map(|object| condition(&object, "Degraded"));
        let unready = world.gauges.wrong_place();
        let kept: Vec<Value> = world.api.list(&attachments());
        let touched = (world.ec2.snapshot().enis == home, other.snapshot().enis.len());
        world.restart().await;
        world.pass(180).await;
        let back = world.api.get(&nodeenis(), "", "pool-1").map(|object| condition(&object, "Ready"));
        let at_home = (world.gauges.wrong_place(), world.api.list(&attachments()).len());
        let mutations = world.ec2.snapshot().enis == home;
        world.close().await;
        Ok((said, unready, kept, touched, back, at_home, mutations))
    });
    let (said, unready, kept, touched, back, at_home, untouched) = result.expect("the simulation fails");
    let what = format!("{region} {meanwhile:?}");
    let (reason, message) = said.expect("the NodeENI is there");
    assert_eq!(reason, "WrongPlace", "{what}: {message}");
    assert!(unready.is_some_and(|why| message.contains(&why)), "{what}: {message}");
    assert_eq!(kept.len(), 5, "{what}: {kept:#?}");
    assert!(!kept.iter().any(|object| object.to_string().contains("ENILost")), "{what}");
    let others = if meanwhile == Meanwhile::NodeJoins { touched.1 } else { 0 };
    assert_eq!(touched, (meanwhile != Meanwhile::NodeJoins, others), "{what}");
    assert_eq!(others, 0, "{what}: ENIs created in the wrong place");
    match meanwhile {
        Meanwhile::Nothing | Meanwhile::EarlierStatuses => {
            assert_eq!(
                (back.expect("it is there").0.as_str(), at_home, untouched),
                ("AllReady", (None, 5), true),
                "{what}"
            );
        }
        Meanwhile::NodeJoins => {
            assert_eq!((back.expect("it is there").0.as_str(), at_home), ("AllReady", (None, 6)), "{what}")
        }
        Meanwhile::NodeEniDeleted => {
            assert_eq!(
                (back, at_home),
                (None, (None, 0)),
                "{what}: deleted when the account and Region are right again"
            )
        }
        Meanwhile::NoNodes => assert_eq!(at_home.0, None, "{what}"),
    }
}

#[test]
fn another_region() {
    for meanwhile in [
        Meanwhile::Nothing,
        Meanwhile::NodeEniDeleted,
        Meanwhile::NoNodes,
        Meanwhile::EarlierStatuses,
        Meanwhile::NodeJoins,
    ] {
        away_and_back("us-west-2", meanwhile);
    }
}

#[test]
fn another_account_in_the_same_region() {
    for meanwhile in [
        Meanwhile::Nothing,
        Meanwhile::NodeEniDeleted,
        Meanwhile::NoNodes,
        Meanwhile::EarlierStatuses,
        Meanwhile::NodeJoins,
    ] {
        away_and_back(REGION, meanwhile);
    }
}

/// All ENIs were deleted by hand while the controller was away. This is the right place all the same, and the ENIs are created
/// again.
#[test]
fn at_home_without_any_eni() {
    let result = run_isolated(|| async {
        let mut world = World::open(3, 0.8).await?;
        world.apply(1)?;
        world.until_ready(3).await?;
        let ours: Vec<String> = world
            .ec2
            .snapshot()
            .enis
            .into_values()
            .filter(|eni| eni.client_token.is_some())
            .map(|eni| eni.id)
            .collect();
        let other = elsewhere(&world);
        world.restart_in(&other, "us-west-2").await;
        for eni in &ours {
            world.ec2.hand_detach(eni, true).map_err(|error| error.to_string())?;
        }
        world.pass(30).await;
        for eni in &ours {
            world.ec2.hand_delete(eni).map_err(|error| error.to_string())?;
        }
        world.restart().await;
        world.pass(900).await;
        world.until_ready(3).await?;
        let wrong = world.gauges.wrong_place();
        world.close().await;
        Ok(wrong)
    });
    assert_eq!(result.expect("the simulation fails"), None);
}
