//! The schema of NodeENIs refuses the resource names and drivers that the agent refuses, with the agent's words, and no others. A real API
//! server evaluates it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test says what it needs")]

use multi_eni_agent::device_plugin::resource_name::ResourceName;
use multi_eni_agent::dpdk::driver::DpdkDriver;
use multi_eni_control_plane::{ControlPlane, Failure, chart};
use serde_json::{Value, json};

fn nodeeni(name: &str, settings: &Value) -> String {
    let mut spec = json!({ "nodeSelector": { "a": "b" }, "subnetID": "subnet-12345678" });
    spec.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    json!({ "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "NodeENI", "metadata": { "name": name }, "spec": spec })
        .to_string()
}

fn crds() -> Result<String, Failure> {
    Ok(std::fs::read_to_string(format!("{}/crds/networking.k8s.aws.yaml", chart())).map_err(|e| e.to_string())?)
}

/// The CRDs without the rules of these fields, as an older release has them.
fn older(crds: &str) -> String {
    use serde::Deserialize;
    let documents = serde_yaml::Deserializer::from_str(crds).map(|crd| Value::deserialize(crd).unwrap());
    let without_rules = documents.map(|mut crd| {
        let spec = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
        for field in ["dpdkResourceName", "dpdkDriver"] {
            spec[field].as_object_mut().into_iter().for_each(|field| drop(field.remove("x-kubernetes-validations")));
        }
        crd.to_string()
    });
    without_rules.collect::<Vec<_>>().join("\n---\n")
}

fn establish(plane: &ControlPlane, crds: &str) -> Result<(), Failure> {
    plane.apply(crds)?.success()?;
    plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?.success()?;
    Ok(())
}

#[test]
fn the_schema_refuses_what_the_agent_refuses_and_a_stored_object_can_still_be_changed() -> Result<(), Failure> {
    let plane = ControlPlane::start()?;
    establish(&plane, &older(&crds()?))?;
    let stored =
        |mtu: i32| nodeeni("stored", &json!({ "dpdkResourceName": "a/b/c", "dpdkDriver": "other", "mtu": mtu }));
    plane.apply(&stored(1500))?.success()?;
    establish(&plane, &crds()?)?;
    // The API server needs a moment to take the new schema.
    let driver = |driver: &str| nodeeni("one", &json!({ "dpdkDriver": driver }));
    let mut refusals = (0..100).map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(200));
        plane.apply(&driver("igb-uio"))
    });
    let refused =
        refusals.find_map(|applied| applied.map(|applied| (!applied.ok).then_some(applied.stderr)).transpose());
    let words = refused.ok_or("the schema takes the driver igb-uio")??;
    assert!(words.contains("dpdkDriver must be vfio-pci, igb_uio or uio_pci_generic"), "{words}");
    for known in DpdkDriver::ALL.map(DpdkDriver::name).into_iter().chain([""]) {
        plane.apply(&driver(known))?.success()?;
    }
    for other in ["vfio-pci ", "VFIO-PCI", "ena", "vfio-pci\nx"] {
        plane.apply(&driver(other))?.refusal().map_err(|why| format!("{other:?} was taken: {why}"))?;
    }

    let longest = format!("example.com/{}", "x".repeat(63));
    let (prefix, too_long) = (format!("{}a/x", "a.".repeat(121)), format!("{}aaa/x", "a.".repeat(121)));
    for name in [
        "fast",
        "example.com/fast",
        "example.com/Fast-net_1.x",
        "kubernetes.io",
        "requests.fast",
        "a/b",
        "1.2/3",
        &longest,
        &prefix,
        "/",
        "example.com/",
        "/fast",
        "example.com/fast/er",
        "a/b/c",
        "Example.com/fast",
        "example..com/fast",
        "-example.com/fast",
        "example-.com/fast",
        "exa_mple.com/fast",
        "kubernetes.io/fast",
        "node.kubernetes.io/fast",
        "xkubernetes.iox/fast",
        "requests.example.com/fast",
        "example.com/-fast",
        "example.com/fast_",
        "-fast",
        "fast.",
        "example.com/fa st",
        "fast\n",
        "example.com/../x",
        "example.com/ü",
        &format!("{longest}x"),
        &too_long,
    ] {
        let applied = plane.apply(&nodeeni("one", &json!({ "dpdkResourceName": name })))?;
        match name.parse::<ResourceName>() {
            Ok(_) => drop(applied.success().map_err(|why| format!("{name:?}: {why}"))?),
            Err(error) => {
                let (words, error) =
                    (applied.refusal().map_err(|why| format!("{name:?} was taken: {why}"))?, error.to_string());
                let (_, why) = error.split_once(" is no name of an extended resource: ").unwrap();
                let expected = format!("dpdkResourceName is no name of an extended resource: {why}");
                assert!(words.contains(&expected), "{name:?}: {expected:?} is not in {words}");
            }
        }
    }
    // Pods of a NodeENI without a resource request none.
    plane.apply(&nodeeni("one", &json!({ "dpdkResourceName": "" })))?.success()?;

    plane.apply(&stored(9001))?.success()?;
    plane.passed();
    Ok(())
}
