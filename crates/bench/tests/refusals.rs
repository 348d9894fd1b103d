//! Refused and unanswered requests, in virtual time: how often they are repeated, and what is reported.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it needs")]

use multi_eni_api::names::{ANNOTATION_RECONCILE_AT, GROUP};
use multi_eni_bench::region::subnet;
use multi_eni_bench::workload::run_isolated;
use multi_eni_bench::world::{World, nodeenis};
use multi_eni_sim::ec2::{Fault, Incoming};
use multi_eni_sim::kube::{Denial, Failure, FaultDecision, GroupResource};
use serde_json::{Value, json};

fn denial(verb: &str, resource: &str, percent: u8, code: u16) -> Denial {
    let (verb, resource) = (verb.to_owned(), resource.to_owned());
    Denial { verb, resource, percent, code, message: "only the platform team may".to_owned(), until: None }
}

fn sent(world: &World, verb: &str, target: &str) -> u64 {
    let key = (verb.to_owned(), format!("{target}.networking.k8s.aws"));
    world.api.request_counts().get(&key).copied().unwrap_or(0)
}

/// The reason and message of a condition.
fn condition(world: &World, kind: &str) -> (String, String) {
    let object = world.api.get(&nodeenis(), "", "pool-1").expect("the NodeENI is there");
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default();
    let text = |field: &str| found.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

#[test]
fn refused_creates_back_off_are_reported_and_succeed_when_allowed() {
    for code in [400, 403, 422, 500] {
        let result = run_isolated(move || async move {
            let world = World::open(60, 0.8).await?;
            world.api.refuse(denial("create", "eniattachments", 90, code));
            world.apply(1)?;
            world.pass(5).await;
            let early = condition(&world, "Degraded");
            let before = sent(&world, "create", "eniattachments");
            world.pass(1800).await;
            let in_vain = sent(&world, "create", "eniattachments") - before;
            let served = world.observer.observations().are_ready;
            world.api.refuse_nothing();
            world.pass(300 + 60).await;
            let all = world.observer.observations().are_ready;
            let late = condition(&world, "Degraded");
            world.close().await;
            Ok((early, in_vain, served, all, late))
        });
        let (early, in_vain, served, all, late) = result.expect("the simulation fails");
        assert_eq!(early.0, "APIServerRefused", "{code}: {early:?}");
        assert!(early.1.contains("only the platform team may") && early.1.contains("nodes"), "{early:?}");
        // Eight doublings, then one try in five minutes: at most 14 tries for each of 60 nodes in half an hour.
        assert!((60..60 * 15).contains(&in_vain), "{code}: {in_vain}");
        assert!(served > 0 && served < 60, "{code}: the others are served: {served}");
        assert_eq!((all, late.0.as_str()), (60, "AsExpected"), "{code}");
    }
}

#[test]
fn refused_deletes_back_off_and_are_reported() {
    let result = run_isolated(|| async {
        let world = World::open(20, 0.8).await?;
        world.apply(1)?;
        world.until_ready(20).await?;
        world.api.refuse(denial("delete", "eniattachments", 100, 422));
        world.api.delete(&nodeenis(), "", "pool-1").map_err(|error| error.to_string())?;
        let before = sent(&world, "delete", "eniattachments");
        world.pass(600).await;
        let said = condition(&world, "Degraded");
        let in_vain = sent(&world, "delete", "eniattachments") - before;
        world.api.refuse_nothing();
        world.pass(360).await;
        let left = world.observer.observations().there;
        world.close().await;
        Ok((said, in_vain, left))
    });
    let (said, in_vain, left) = result.expect("the simulation fails");
    assert_eq!(said.0, "APIServerRefused", "{said:?}");
    assert!(said.1.contains("delete 20 eniattachments"), "{said:?}");
    assert!((20..20 * 13).contains(&in_vain), "{in_vain}");
    assert_eq!(left, 0);
}

#[test]
fn every_other_refused_write_backs_off() {
    for (verb, resource) in [
        ("patch", "eniattachments/status"),
        ("patch", "nodeenis"),
        ("patch", "nodeenis/status"),
        ("patch", "eniattachments"),
    ] {
        let result = run_isolated(move || async move {
            let world = World::open(10, 0.8).await?;
            world.api.refuse(denial(verb, resource, 100, 422));
            world.apply(1)?;
            world.pass(60).await;
            world.api.delete(&nodeenis(), "", "pool-1").map_err(|error| error.to_string())?;
            world.pass(1740).await;
            let (name, rest) = resource.split_once('/').unwrap_or((resource, ""));
            let target = format!("{name}.networking.k8s.aws{}", if rest.is_empty() { "" } else { "/status" });
            let counts = world.api.request_counts();
            let in_vain = counts.get(&(verb.to_owned(), target)).copied().unwrap_or(0);
            world.api.refuse_nothing();
            world.pass(400).await;
            let left = world.api.list(&nodeenis()).len();
            world.close().await;
            Ok((in_vain, left))
        });
        let (in_vain, left) = result.expect("the simulation fails");
        assert!(in_vain > 0 && in_vain < 10 * 40, "{verb} {resource}: {in_vain}");
        assert_eq!(left, 0, "{verb} {resource}");
    }
}

/// The API server is away for 45 s. The first ENI of a NodeENI that is created meanwhile comes within 10 s of its return.
#[test]
fn all_watches_resume_when_the_api_server_is_back() {
    let result = run_isolated(|| async {
        let world = World::open(3, 0.8).await?;
        world.pass(400).await;
        let probes = world.api.requests().iter().filter(|request| request.path == "/readyz").count();
        world.api.intercept(Box::new(|_| FaultDecision::FailBefore(Failure::Disconnect)));
        world.api.break_watches();
        world.pass(20).await;
        world.apply(1)?;
        world.pass(25).await;
        world.api.stop_intercepting();
        world.observer.begin();
        world.until_ready(3).await?;
        let last = world.observer.observations().ready.values().copied().fold(0.0, f64::max);
        let asked = world.api.requests().iter().filter(|request| request.path == "/readyz").count();
        world.pass(600).await;
        let later = world.api.requests().iter().filter(|request| request.path == "/readyz").count();
        world.close().await;
        Ok((probes, last, asked, later))
    });
    let (before, last, asked, later) = result.expect("the simulation fails");
    assert_eq!(before, 0, "nothing is asked while all is well");
    assert!(last < 10.0, "{last}");
    assert!((1..30).contains(&asked) && later == asked, "{asked} {later}");
}

#[test]
fn an_unresponsive_ec2_is_reported_after_a_minute_and_while_it_lasts() {
    for (fault, reason) in [(Fault::Unreachable, "EC2Unreachable"), (Fault::Throttle, "EC2Throttled")] {
        let result = run_isolated(move || async move {
            let world = World::open(3, 0.8).await?;
            world.ec2.set_fault_source(move |_: &Incoming| Some(fault.clone()));
            world.apply(1)?;
            world.pass(100).await;
            let late = condition(&world, "Degraded");
            world.ec2.clear_faults();
            world.pass(90).await;
            let over = condition(&world, "Degraded");
            world.close().await;
            Ok((late, over))
        });
        let (late, over) = result.expect("the simulation fails");
        assert_eq!(late.0, reason, "{late:?}");
        assert!(late.1.contains("since"), "{late:?}");
        assert_eq!(over.0, "AsExpected", "{over:?}");
    }
}

/// Sets the annotation `reconcile-at` of the only ENIAttachment. Returns the number of Events `Retried` after that.
async fn retried(world: &World, value: &str) -> Result<usize, String> {
    let attachments = GroupResource::new(GROUP, "eniattachments");
    let mut object = world.api.list(&attachments).pop().ok_or("no ENIAttachment")?;
    object["metadata"]["annotations"][ANNOTATION_RECONCILE_AT] = value.into();
    world.api.replace(&attachments, "", object).map_err(|error| error.to_string())?;
    world.pass(5).await;
    let events = world.api.list(&GroupResource::new("", "events"));
    Ok(events.iter().filter(|event| event["reason"] == "Retried").count())
}

#[test]
fn a_request_for_a_new_try_has_an_event_only_if_something_waits() {
    let result = run_isolated(|| async {
        let mut world = World::open(1, 0.8).await?;
        world.apply_spec(json!({ "subnetID": subnet(1), "description": "storage" }))?;
        world.until_ready(1).await?;
        let mut events = vec![retried(&world, "1").await?];
        // The next process has no call history of it.
        world.restart().await;
        world.pass(10).await;
        events.push(retried(&world, "2").await?);
        // A change in place that EC2 refuses waits, although the ENIAttachment is Ready.
        world.ec2.set_fault_source(|call: &Incoming| {
            let fails = call.action == "ModifyNetworkInterfaceAttribute";
            fails.then(|| Fault::Fail { code: "NeverHeardOf".to_owned(), status: None })
        });
        let enis = world.ec2.snapshot().enis;
        let eni = enis.values().find(|eni| eni.client_token.is_some()).map(|eni| eni.id.clone()).ok_or("no ENI")?;
        world.ec2.hand_change(&eni, |eni| eni.description = "by hand".to_owned()).map_err(|error| error.to_string())?;
        world.pass(90).await;
        events.push(retried(&world, "3").await?);
        // The change is made, so nothing waits any more.
        world.ec2.clear_faults();
        world.pass(900).await;
        events.push(retried(&world, "4").await?);
        world.close().await;
        Ok(events)
    });
    assert_eq!(result.expect("the simulation fails"), [0, 0, 1, 1]);
}
