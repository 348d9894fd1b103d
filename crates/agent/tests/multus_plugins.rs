//! The definition `storage` of docs/multus.md, executed by the real CNI plugins host-device, static and sbr, between the agent's turns.
//! The test does what Multus does with a definition: it calls the plugins one after the other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

mod guide;
mod rig;

use multi_eni_agent::plan::report::Outcome;
use multi_eni_agent::wanted::WantedEni;
use multi_eni_api::node_config::NodeMode;
use rig::{Rig, eni, run};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The directory of the plugins.
fn plugins() -> PathBuf {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/cni-plugins");
    let output = Command::new(tool).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "tools/cni-plugins: its reason is above");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The network namespace of a pod, with an eth0 that has the default route.
struct Pod {
    namespace: String,
    /// The definition, as the plugins get it.
    config: Value,
    plugins: PathBuf,
    /// What the last plugin has answered.
    result: Value,
}

impl Pod {
    fn new(rig: &Rig, config: Value) -> Self {
        let namespace = rig.namespace("pod");
        run(&format!("ip netns add {namespace}"));
        run(&format!("ip -n {namespace} link set lo up"));
        run(&format!("ip -n {namespace} link add eth0 type veth peer name eth9"));
        run(&format!("ip -n {namespace} addr add 192.0.2.2/24 dev eth0"));
        run(&format!("ip -n {namespace} link set eth0 up"));
        run(&format!("ip -n {namespace} link set eth9 up"));
        run(&format!("ip -n {namespace} route add default via 192.0.2.1 dev eth0"));
        Self { namespace, config, plugins: plugins(), result: Value::Null }
    }

    /// Calls one plugin of the definition.
    fn call(&self, command: &str, plugin: &Value, ips: &Value) -> Value {
        let mut input = plugin.clone();
        for key in ["name", "cniVersion"] {
            input[key] = self.config[key].clone();
        }
        if plugin["capabilities"]["ips"] == true {
            input["runtimeConfig"] = json!({ "ips": ips });
        }
        if !self.result.is_null() {
            input["prevResult"] = self.result.clone();
        }
        let mut child = Command::new(self.plugins.join(plugin["type"].as_str().unwrap()))
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", "pod")
            .env("CNI_NETNS", format!("/var/run/netns/{}", self.namespace))
            .env("CNI_IFNAME", "net1")
            .env("CNI_PATH", &self.plugins)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command} of {}: {text}", plugin["type"]);
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    fn add(&mut self, ips: &Value) {
        for plugin in self.config["plugins"].as_array().unwrap().clone() {
            self.result = self.call("ADD", &plugin, ips);
        }
    }

    fn delete(&mut self, ips: &Value) {
        for plugin in self.config["plugins"].as_array().unwrap().iter().rev() {
            self.call("DEL", plugin, ips);
        }
        self.result = Value::Null;
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).output();
    }
}

/// The definition of the page, in the subnet of the rig.
fn definition() -> Value {
    let objects = guide::objects();
    let definition = guide::definitions(&objects).find(|object| object["metadata"]["name"] == "storage").unwrap();
    let (config, _) = guide::config(definition);
    serde_json::from_str(&config.to_string().replace("10.0.2.", "10.0.1.")).unwrap()
}

/// The state without the lines that have the index and the carrier of the link: they may be others when it has been away.
fn without_index(state: &str) -> Vec<&str> {
    state.lines().filter(|line| !line.contains("ens6@")).collect()
}

#[test]
fn a_pod_takes_the_eni_by_its_alternative_name_and_gives_it_back() {
    let rig = Rig::new();
    let wanted = [WantedEni { mode: NodeMode::Link, interface_name: Some("storage".to_owned()), ..eni(1) }];
    rig.attach(&wanted[0]);
    rig.turn(&wanted);
    let set_up = rig.state();
    assert!(set_up.contains("altname storage"), "{set_up}");
    let mut pod = Pod::new(&rig, definition());
    let address = wanted[0].addresses[0];
    let ips = json!([format!("{address}/24")]);
    for _ in 0..2 {
        pod.add(&ips);
        assert!(!rig.state().contains("ens6"), "{}", rig.state());
        assert!(
            rig.in_namespace("pod", || rig.answers(address)),
            "{}",
            run(&format!("ip -n {} route show table all", pod.namespace))
        );
        assert!(rig.in_namespace("pod", || rig.reaches_client(address)));
        let turn = rig.turn(&wanted);
        assert_eq!(turn.steps, Vec::<String>::new(), "the agent leaves a link that a pod has");
        // The pod ends.
        pod.delete(&ips);
        let turn = rig.turn(&wanted);
        assert_eq!(turn.reports[0].outcome, Outcome::Configured, "{:?}", turn.steps);
        assert_eq!(without_index(&rig.state()), without_index(&set_up));
        assert!(rig.state().contains("ens6") && rig.state().contains("mtu 1400"), "{}", rig.state());
    }
}
