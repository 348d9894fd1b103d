//! The values of the chart for the node agent, and what is rendered for them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

use multi_eni_control_plane::{ControlPlane, Failure, chart};
use serde::Deserialize;
use serde_json::{Value, json};

/// The rendered objects, by kind and name.
fn render(plane: &ControlPlane, values: &[&str]) -> Result<Vec<Value>, Failure> {
    let set: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
    let text = plane.helm_template("multi-eni", "eni", &set)?;
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let object = Value::deserialize(document).map_err(|e| e.to_string())?;
        // A template that renders nothing leaves an empty document.
        if !object.is_null() {
            objects.push(object);
        }
    }
    Ok(objects)
}

fn one<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "several of {kind}");
    object
}

/// The environment of a Pod's container, as names and values.
fn environment(object: &Value) -> Vec<(&str, &Value)> {
    let variables = object["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    variables.iter().map(|variable| (variable["name"].as_str().unwrap(), &variable["value"])).collect()
}

#[test]
fn the_agent_is_off_by_default_and_one_value_enables_both_halves() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    let off = render(&plane, &[])?;
    for object in &off {
        assert!(!object["metadata"]["name"].as_str().unwrap().contains("agent"), "{object}");
    }
    assert!(!environment(one(&off, "Deployment")).iter().any(|(name, _)| *name == "MULTI_ENI_NODE_AGENT"));
    // With --reuse-values from a release of an older chart the value is nil.
    assert_eq!(render(&plane, &["nodeAgent=null"])?, off);

    let on = render(&plane, &["nodeAgent.enabled=true"])?;
    let set = one(&on, "DaemonSet");
    assert!(environment(one(&on, "Deployment")).contains(&("MULTI_ENI_NODE_AGENT", &json!("true"))));
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["hostNetwork"], true);
    let container = &pod["containers"][0];
    let security = json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
        "capabilities": { "drop": ["ALL"], "add": ["NET_ADMIN"] } });
    assert_eq!(container["securityContext"], security);
    // The startup taint, with any effect; and every taint that keeps pods away.
    let tolerations = json!([{ "key": "networking.k8s.aws/eni-not-ready", "operator": "Exists" },
        { "operator": "Exists", "effect": "NoSchedule" }]);
    assert_eq!((&pod["tolerations"], &pod["priorityClassName"]), (&tolerations, &json!("system-node-critical")));
    let probes = |container: &Value| {
        ["livenessProbe", "readinessProbe"].map(|probe| {
            let get = &container[probe]["httpGet"];
            format!("{}:{}{}", get["host"].as_str().unwrap(), get["port"], get["path"].as_str().unwrap())
        })
    };
    assert_eq!(probes(container), ["127.0.0.1:61690/healthz", "127.0.0.1:61690/readyz"]);
    // The selectors of the two workloads do not overlap.
    let label = "app.kubernetes.io/component";
    let selects = |object: &Value| object["spec"]["selector"]["matchLabels"][label].as_str().unwrap().to_owned();
    assert_eq!((selects(set), selects(one(&on, "Deployment"))), ("node-agent".to_owned(), "controller".to_owned()));

    let moved = render(
        &plane,
        &["nodeAgent.enabled=true", "nodeAgent.healthAddr=[::]:7001", "nodeAgent.metricsAddr=10.0.0.1:7002"],
    )?;
    let container = &one(&moved, "DaemonSet")["spec"]["template"]["spec"]["containers"][0];
    // Without a host the kubelet asks the address of the node.
    assert_eq!(probes(container), [":7001/healthz", ":7001/readyz"]);
    assert_eq!(container["ports"][0]["containerPort"], 7002);
    plane.passed();
    Ok(())
}

#[test]
fn values_that_cannot_work_are_refused() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    for wrong in [
        "nodeAgent.enable=true",
        "nodeAgent.healthAddr=:61690",
        "nodeAgent.metricsAddr=[::]",
        "nodeAgent.image.repository=",
        "nodeAgent.serviceAccount.annotations.a=b",
    ] {
        let refusal = plane.helm(&["template", "multi-eni", &chart(), "--set", wrong])?.refusal()?;
        assert!(refusal.contains("nodeAgent") || refusal.contains("/nodeAgent"), "{wrong}: {refusal}");
    }
    let nameless = "nodeAgent.enabled=true,nodeAgent.serviceAccount.create=false";
    let refusal = plane.helm(&["template", "multi-eni", &chart(), "--set", nameless])?.refusal()?;
    assert!(refusal.contains("nodeAgent.serviceAccount.name is needed"), "{refusal}");
    let named = format!("{nameless},nodeAgent.serviceAccount.name=mine,rbac.create=false");
    let objects = render(&plane, &[&named])?;
    // The policy goes by the name of the account, whoever makes the account and its roles.
    let policy = one(&objects, "ValidatingAdmissionPolicy");
    let condition = "request.userInfo.username == 'system:serviceaccount:eni:mine'";
    assert_eq!(policy["spec"]["matchConditions"][0]["expression"], condition);
    assert!(!objects.iter().any(|object| object["kind"] == "ClusterRole"));
    plane.passed();
    Ok(())
}

/// No kubelet runs on Fargate, and AWS keeps the network of the nodes of Auto Mode. A hybrid node has no ENI.
#[test]
fn the_agent_runs_on_nodes_that_can_have_enis_and_where_the_user_wants_it() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    let pod = |values: &[&str]| -> Result<Value, Failure> {
        let objects = render(&plane, &[&["nodeAgent.enabled=true"], values].concat())?;
        Ok(one(&objects, "DaemonSet")["spec"]["template"]["spec"].clone())
    };
    let expression = json!({ "key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate", "auto", "hybrid"] });
    let terms = json!({ "nodeSelectorTerms": [{ "matchExpressions": [expression] }] });
    let affinity = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": terms } });
    let plain = pod(&[])?;
    assert_eq!((&plain["affinity"], &plain["nodeSelector"]), (&affinity, &json!({ "kubernetes.io/os": "linux" })));
    // A label of the user's is asked for besides.
    let limited = pod(&["nodeAgent.nodeSelector.ng=multi-eni"])?;
    let selector = json!({ "kubernetes.io/os": "linux", "ng": "multi-eni" });
    assert_eq!((&limited["affinity"], &limited["nodeSelector"]), (&affinity, &selector));
    plane.passed();
    Ok(())
}

/// Of `/run`, which has the sockets of the container runtime and of systemd, the agent gets the files of network managers and nothing else.
#[test]
fn of_run_the_agent_gets_three_directories_to_read() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    for values in [&["nodeAgent.enabled=true"][..], &["nodeAgent.enabled=true", "nodeAgent.dpdk.enabled=true"]] {
        let objects = render(&plane, values)?;
        let pod = &one(&objects, "DaemonSet")["spec"]["template"]["spec"];
        let volumes = pod["volumes"].as_array().unwrap();
        let of_run: Vec<(&str, &str)> = volumes
            .iter()
            .map(|volume| (volume["name"].as_str().unwrap(), volume["hostPath"]["path"].as_str().unwrap()))
            .filter(|(_, path)| ["/run", "/var/run"].iter().any(|run| path.starts_with(run)))
            .collect();
        let expected = [
            ("networkd-links", "/run/systemd/netif/links"),
            ("networkd-files", "/run/systemd/network"),
            ("network-manager", "/run/NetworkManager/devices"),
        ];
        assert_eq!(of_run, expected);
        let writable = writable(pod);
        assert!(!expected.iter().any(|(name, _)| writable.contains(name)), "{writable:?}");
    }
    plane.passed();
    Ok(())
}

/// The names of the volumes that are mounted writable.
fn writable(pod: &Value) -> Vec<&str> {
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let writable = mounts.iter().filter(|mount| mount["readOnly"] != true);
    writable.map(|mount| mount["name"].as_str().unwrap()).collect()
}

/// DPDK and the device plugin need more of the node. Nothing of it is given before it is asked for.
#[test]
fn dpdk_and_the_device_plugin_widen_the_rights_by_values_of_their_own() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    let pod = |values: &[&str]| -> Result<(Value, usize), Failure> {
        let values = [&["nodeAgent.enabled=true"], values].concat();
        let objects = render(&plane, &values)?;
        let events =
            objects.iter().filter(|object| object["metadata"]["name"].as_str().unwrap().ends_with("agent-events"));
        Ok((one(&objects, "DaemonSet")["spec"]["template"]["spec"].clone(), events.count()))
    };
    let capabilities = |pod: &Value| pod["containers"][0]["securityContext"]["capabilities"]["add"].clone();
    let has = |pod: &Value, argument: &str| {
        pod["containers"][0]["args"].as_array().unwrap().iter().any(|given| given == argument)
    };

    for values in [&[][..], &["nodeAgent.dpdk=null", "nodeAgent.devicePlugin=null"]] {
        let (plain, events) = pod(values)?;
        assert_eq!((writable(&plain), events, &plain["hostPID"]), (vec!["state", "sysctls"], 0, &Value::Null));
    }

    let (plugin, events) = pod(&["nodeAgent.devicePlugin.enabled=true"])?;
    assert_eq!((writable(&plugin), events), (vec!["state", "sysctls", "device-plugins", "device-info"], 0));
    let (sriov, _) = pod(&["nodeAgent.devicePlugin.sriovConfig=/etc/pcidp/config.json"])?;
    assert_eq!(writable(&sriov), ["state", "sysctls", "sriov-config"]);
    assert!(has(&sriov, "--sriov-config=/etc/pcidp/config.json"));

    let (dpdk, events) = pod(&["nodeAgent.dpdk.enabled=true"])?;
    assert_eq!((writable(&dpdk), events), (vec!["state", "sys", "sysctls"], 2), "a Role and its binding");
    assert_eq!(
        (&dpdk["hostPID"], capabilities(&dpdk)),
        (&json!(true), json!(["NET_ADMIN", "DAC_READ_SEARCH", "SYS_PTRACE"]))
    );
    assert!(!has(&dpdk, "--load-modules") && !has(&dpdk, "--enable-no-iommu"));
    let all = ["nodeAgent.dpdk.enabled=true", "nodeAgent.dpdk.loadModules=true", "nodeAgent.dpdk.enableNoIOMMU=true"];
    let (all, _) = pod(&all)?;
    assert_eq!(capabilities(&all), json!(["NET_ADMIN", "DAC_READ_SEARCH", "SYS_PTRACE", "SYS_MODULE"]));
    assert!(has(&all, "--load-modules") && has(&all, "--enable-no-iommu"));
    // Not the whole of /etc, and no way up.
    for path in ["/config.json", "/etc/config.json", "/etc/../pcidp/config.json", "etc/pcidp/config.json"] {
        let value = format!("nodeAgent.devicePlugin.sriovConfig={path}");
        assert!(render(&plane, &["nodeAgent.enabled=true", &value]).is_err(), "{path}");
    }
    plane.passed();
    Ok(())
}
