//! The node agent with a real API server: the chart's DaemonSet, its rights and its admission policy, and the agent's own token.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod container;
mod rig;

use container::attachments::{attached, condition, read};
use container::rights::{granted, used};
use container::{ACCOUNT, NAMESPACE, get};
use multi_eni_control_plane::{ControlPlane, Failure};
use rig::{Rig, eni, until};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Applies a part of a status with the agent's field manager, with a token.
fn report(
    plane: &ControlPlane,
    token: &Path,
    name: &str,
    status: &Value,
) -> Result<multi_eni_control_plane::Output, Failure> {
    let object = json!({ "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENIAttachment",
        "metadata": { "name": name }, "status": status });
    let args = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--subresource=status",
        "--field-manager=multi-eni-agent",
        "--validate=false",
        "-f",
        "-",
    ];
    Ok(plane.kubectl_as(token, &args, &object.to_string())?)
}

fn configured(status: &str) -> Value {
    json!([{ "type": "Configured", "status": status, "reason": "Configured", "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z" }])
}

#[test]
fn the_agent_of_the_chart_configures_its_node_and_writes_no_more_than_its_own_part() -> Result<(), Failure> {
    // Everything from here on is in the network namespace of the node, the API server, too.
    let rig = Rig::new();
    let plane = ControlPlane::start()?;
    let set = container::install(&plane)?;
    let (own, other) = (container::token(&plane, &set, "node1")?, container::token(&plane, &set, "node2")?);
    let mine = attached(&plane, "node1", 1)?;
    let others = attached(&plane, "node2", 2)?;

    let binary = Path::new(env!("CARGO_BIN_EXE_multi-eni-agent"));
    let mut agent = container::start(&plane, &set, "node1", &own, binary)?;
    rig.attach(&eni(1));
    until("the agent has reported", || {
        assert!(agent.ended().unwrap().is_none(), "{}", agent.log());
        condition(&read(&plane, &mine), "Configured").is_some_and(|condition| condition["status"] == "True")
    });
    let object = read(&plane, &mine);
    assert_eq!(object["status"]["node"]["linkName"], "ens6", "{}", agent.log());
    assert_eq!(object["status"]["phase"], "Attached");
    assert!(condition(&object, "Ready").is_some());
    assert!(rig.state().contains("from 10.0.1.11 lookup 10001"), "{}", rig.state());
    assert!(rig.state().contains("accept_ra of ens6 is 0"), "{}", rig.state());
    assert!(rig.answers(eni(1).addresses[0]));
    assert_eq!(condition(&read(&plane, &others), "Configured"), None, "another node's ENIAttachment");
    let managers = object["metadata"]["managedFields"].as_array().unwrap();
    let fields = managers.iter().find(|fields| fields["manager"] == "multi-eni-agent").unwrap();
    let status: Vec<&String> = fields["fieldsV1"]["f:status"].as_object().unwrap().keys().collect();
    assert_eq!(status, ["f:conditions", "f:node"], "{fields}");
    let ready = get(61690, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    let metrics = get(61691, "/metrics");
    assert!(metrics.contains("multi_eni_agent_enis{reason=\"Configured\"} 1\n"), "{metrics}");
    assert!(get(61690, "/healthz").ends_with("ok") && get(61690, "/metrics").starts_with("HTTP/1.1 404"));

    // The agent has used every right that the chart grants, and no other.
    assert_eq!(used(&plane)?, granted(&container::render(&plane)?)?);

    // What the agent's own token may not do, although RBAC lets it patch each status.
    let (own, other) = (
        plane.kubeconfig_with_token("node1", &own, NAMESPACE)?,
        plane.kubeconfig_with_token("node2", &other, NAMESPACE)?,
    );
    // kubectl reads an object before it patches it. The agent does not.
    let account = format!("--serviceaccount={NAMESPACE}:{ACCOUNT}");
    let bind = |role: &str| -> Result<String, Failure> {
        Ok(plane
            .kubectl(&[
                "create",
                "clusterrolebinding",
                &format!("agent-{role}"),
                &format!("--clusterrole={role}"),
                &account,
            ])?
            .success()?)
    };
    let role = ["create", "clusterrole", "reads", "--verb=get"];
    let of = "--resource=eniattachments.networking.k8s.aws,eniattachments.networking.k8s.aws/status";
    plane.kubectl(&[&role[..], &[of]].concat())?.success()?;
    bind("reads")?;
    let node = json!({ "node": { "linkName": "ens7" } });
    let refused = |token: &Path, name: &str, status: &Value| -> Result<String, Failure> {
        Ok(report(&plane, token, name, status)?.refusal()?)
    };
    let words = refused(&own, &others, &node)?;
    assert!(words.contains("is of the node node2, and the token is of a Pod on the node node1"), "{words}");
    let words = refused(&own, &mine, &json!({ "phase": "Blocked" }))?;
    assert!(words.contains("the node agent writes node and the condition Configured and nothing else"), "{words}");
    let words = refused(&own, &mine, &json!({ "eniID": "eni-00000001" }))?;
    assert!(words.contains("the node agent writes node and the condition Configured and nothing else"), "{words}");
    let mut conditions = configured("True");
    conditions[0]["type"] = json!("Ready");
    conditions[0]["status"] = json!("False");
    let words = refused(&own, &mine, &json!({ "conditions": conditions }))?;
    assert!(words.contains("the node agent writes Configured and no other"), "{words}");
    conditions[0]["type"] = json!("Fresh");
    let words = refused(&own, &mine, &json!({ "conditions": conditions }))?;
    assert!(words.contains("the node agent writes Configured and no other"), "{words}");
    let patch = |token: &Path, subresource: &str, patch: &str| -> Result<String, Failure> {
        let args = ["patch", "eniattachment", &mine, "--type=json", "-p", patch];
        let with = if subresource.is_empty() { vec![] } else { vec![subresource] };
        Ok(plane.kubectl_as(token, &[&args[..], &with[..]].concat(), "")?.refusal()?)
    };
    let without = r#"[{"op":"remove","path":"/status/macAddress"}]"#;
    let words = patch(&own, "--subresource=status", without)?;
    assert!(words.contains("and the condition Configured and nothing else"), "{words}");
    let without = r#"[{"op":"remove","path":"/status/conditions"}]"#;
    let words = patch(&own, "--subresource=status", without)?;
    assert!(words.contains("the node agent writes Configured and no other"), "{words}");
    let spec = r#"[{"op":"replace","path":"/spec/nodeName","value":"node2"}]"#;
    let words = patch(&own, "", spec)?;
    assert!(words.contains("cannot patch resource \"eniattachments\""), "{words}");

    // A token of the same ServiceAccount that is not a Pod's.
    let unbound = plane.kubeconfig_for_service_account(NAMESPACE, ACCOUNT)?;
    let words = refused(&unbound, &mine, &node)?;
    assert!(words.contains("the token of the node agent names no node"), "{words}");

    // The same write by the agent of that node is accepted.
    let status = json!({ "node": { "linkName": "ens7" }, "conditions": configured("False") });
    report(&plane, &other, &others, &status)?.success()?;
    let object = read(&plane, &others);
    assert_eq!(
        (&object["status"]["node"]["linkName"], &object["status"]["phase"]),
        (&json!("ens7"), &json!("Attached"))
    );

    // Should another role permit more, the policy does not.
    bind("cluster-admin")?;
    let words = patch(&own, "", spec)?;
    assert!(words.contains("the node agent writes the status of ENIAttachments and nothing else"), "{words}");
    let words = plane.kubectl_as(&own, &["delete", "eniattachment", &mine], "")?.refusal()?;
    assert!(words.contains("the node agent writes the status of ENIAttachments and nothing else"), "{words}");

    // Nobody else is affected.
    plane.kubectl(&["delete", "eniattachment", &mine])?.success()?;
    until("the agent has taken back what it did", || !rig.state().contains("lookup 10001"));
    agent.terminate()?;
    assert!(agent.wait_end(Duration::from_secs(10))?.success(), "{}", agent.log());
    plane.passed();
    Ok(())
}
