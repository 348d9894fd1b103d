//! The watch and the report, with a stand-in for the API server that has the requests of the agent and nothing else: a list, a watch
//! and a patch of the status. The node is real.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

#[path = "../kubelet/mod.rs"]
mod kubelet;
#[path = "../rig/mod.rs"]
mod rig;

mod pods;
mod server;

use futures::future;
use kube::Client;
use multi_eni_agent::dpdk::driver::DpdkDriver;
use multi_eni_agent::metrics::AgentMetrics;
use multi_eni_agent::run;
use multi_eni_agent::wanted::{WantedDpdk, WantedEni};
use multi_eni_http_server::Pages;
use rig::devices::{address, with_links};
use rig::{Rig, eni};
use serde_json::{Value, json};
use server::{State, answer, attached, created, until};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn an_attached_eni_costs_one_list_one_watch_and_one_write() {
    let rig = Rig::new();
    let state = Arc::new(Mutex::new(State { objects: vec![created()], version: 7, ..State::default() }));
    let for_service = Arc::clone(&state);
    let service = tower::service_fn(move |request| answer(Arc::clone(&for_service), request));
    let mut agent = rig.agent();
    let metrics = AgentMetrics::default();
    let is_ready = || metrics.ready().is_ok();
    assert!(!is_ready(), "nothing is known yet");
    let boot_id = agent.boot_id().to_owned();
    let story = async {
        until("the agent watches", || state.lock().unwrap().watch.is_some()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            state.lock().unwrap().patches,
            Vec::<Value>::new(),
            "an ENI that does not exist yet is not reported"
        );
        state.lock().unwrap().store("MODIFIED", attached());
        // EC2 shows the ENI attached some time before the guest has the link.
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.attach(&eni(1));
        until("the report is written", || !state.lock().unwrap().patches.is_empty()).await;
        // Further writes would have been made by now.
        tokio::time::sleep(Duration::from_secs(2)).await;
        {
            let state = state.lock().unwrap();
            assert_eq!(state.patches.len(), 1, "{:#?}", state.patches);
            assert_eq!(state.requests, ["list", "watch"]);
            let patch = &state.patches[0];
            let conditions = patch["status"]["conditions"].as_array().unwrap();
            assert_eq!(conditions.len(), 1);
            let condition = &conditions[0];
            assert_eq!((&condition["type"], &condition["status"]), (&json!("Configured"), &json!("True")));
            assert_eq!(patch["metadata"], json!({ "uid": "uid-1" }));
            let node = json!({
                "linkName": "ens6", "macAddress": "02:00:00:00:00:01", "alternativeName": "storage", "mtu": 1400, "routeTable": 10_001, "bootID": boot_id,
                "addresses": ["10.0.1.11", "10.0.1.101", "2001:db8:1::1"], "managedBy": "multi-eni",
                "macAddress": "02:00:00:00:00:01",
                "message": "the interface is configured",
            });
            assert_eq!(patch["status"]["node"], node);
            assert_eq!(patch["status"].as_object().unwrap().len(), 2);
        }
        let text = metrics.metrics().await.unwrap();
        assert!(is_ready());
        for line in [
            "multi_eni_agent_enis{reason=\"Configured\"} 1",
            "multi_eni_agent_status_writes_total{result=\"ok\"} 1",
            "multi_eni_agent_status_writes_total{result=\"failed\"} 0",
            "multi_eni_agent_steps_total{kind=\"address\",result=\"ok\"} 3",
            "multi_eni_agent_steps_total{kind=\"rule\",result=\"ok\"} 3",
            "multi_eni_agent_backoffs{of=\"step\"} 0",
            "multi_eni_agent_turns_total{result=\"failed\"} 0",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}:\n{text}");
        }
        // The controller removes the object: nothing of the agent's is left.
        let object = attached();
        state.lock().unwrap().store("DELETED", object);
        until("the rules are gone", || !rig.state().contains("lookup 10001")).await;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(service, "default");
        let ends =
            future::select(Box::pin(run::with_api_server(&mut agent, client, "node1", &metrics)), Box::pin(story))
                .await;
        match ends {
            future::Either::Left((result, _)) => panic!("the agent ended: {result:?}"),
            future::Either::Right(((), _)) => {}
        }
    });
}

/// The agent ends after it has given a device back and before the API server has its report.
#[test]
fn a_device_that_was_given_back_by_an_agent_that_was_killed_is_reported_by_the_next_one() {
    let rig = Rig::new();
    let tree = with_links(&rig, [1]);
    let vfio = WantedEni { dpdk: Some(WantedDpdk { driver: Ok(DpdkDriver::VfioPci), pci_address: None }), ..eni(1) };
    rig.turn(&[vfio]);
    assert_eq!(tree.driver(&address(1)).as_deref(), Some("vfio-pci"));
    let mut object = attached();
    let boot_id = rig.agent().boot_id().to_owned();
    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    object["metadata"]["finalizers"] = json!(["networking.k8s.aws/eni"]);
    object["status"]["node"] = json!({
        "driver": "vfio-pci", "pciAddress": address(1), "macAddress": "02:00:00:00:00:01", "bootID": boot_id,
    });
    rig.turn(&[]);
    assert_eq!(tree.driver(&address(1)).as_deref(), Some("ena"));
    assert!(!rig.directories().state.join("bindings.json").exists(), "the ledger knows nothing of it");
    let mut agent = rig.agent();

    let state = Arc::new(Mutex::new(State { objects: vec![object], version: 7, ..State::default() }));
    let for_service = Arc::clone(&state);
    let service = tower::service_fn(move |request| answer(Arc::clone(&for_service), request));
    let story = async {
        until("the report is written", || !state.lock().unwrap().patches.is_empty()).await;
        // It is written once.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let patches = state.lock().unwrap().patches.clone();
        let [patch] = patches.as_slice() else { panic!("{patches:#?}") };
        let condition = &patch["status"]["conditions"][0];
        assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("Restored")));
        assert_eq!(patch["status"]["node"]["driver"], "ena");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(service, "default");
        let metrics = AgentMetrics::default();
        let ends =
            future::select(Box::pin(run::with_api_server(&mut agent, client, "node1", &metrics)), Box::pin(story))
                .await;
        match ends {
            future::Either::Left((result, _)) => panic!("the agent ended: {result:?}"),
            future::Either::Right(((), _)) => {}
        }
    });
}
