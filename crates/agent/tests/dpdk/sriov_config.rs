//! The binary with `--sriov-config`: the file of the SR-IOV network device plugin, which has entries of other people.

use super::binary::{command, start_with, stop, text};
use super::rig::{eni, run, until};
use super::{Node, vfio};
use multi_eni_agent::wanted::WantedEni;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// As a person has written it.
const OTHERS: &str = r#"{
    "resourceList": [{
            "resourceName": "intel_sriov",
            "selectors": { "vendors": ["8086"],  "unknown": 1.0 }
        },
        { "resourcePrefix":"mellanox.com", "resourceName": "rdma" }
    ],
    "comment": "do\u0020not edit"
}
"#;

/// The file with the agent's entry for a device that has this driver.
fn with_entry(driver: &str) -> String {
    let ours = format!(
        r#"{{"managedBy":"multi-eni-agent","resourceName":"fast","resourcePrefix":"example.com","selectors":{{"drivers":["{driver}"],"pciAddresses":["0000:00:06.0"]}}}}"#
    );
    OTHERS.replace("\"rdma\" }\n", &format!("\"rdma\" }},\n    {ours}\n"))
}

fn named(wanted: WantedEni) -> WantedEni {
    WantedEni { resource_name: Some("example.com/fast".to_owned()), ..wanted }
}

#[test]
fn the_running_agent_merges_its_entry_into_the_file_of_another_author_and_clean_takes_it_out() {
    let node = Node::with_vfio(&[1, 2]);
    let directory = node.rig.run_dir().join("pcidp");
    fs::create_dir_all(&directory).unwrap();
    let (real, file) = (directory.join("real.json"), directory.join("config.json"));
    fs::write(&real, OTHERS).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &file).unwrap();
    let sriov = ["--sriov-config", file.to_str().unwrap()];
    let until_text = |expected: &str| {
        until(&format!("{expected} is in the file"), || fs::read_to_string(&real).unwrap() == expected);
    };

    // The other ENI has no resource name.
    let agent = start_with(&node, &[named(eni(1)), eni(2)], &sriov);
    until_text(&with_entry("ena"));
    // The driver of the device changes, and the entry with it. An event of the kernel makes the agent read its file.
    command(&node, "run", Some(&[named(vfio(1)), eni(2)]));
    run(&format!("ip -n {} link set lo down", node.rig.namespace("node")));
    until_text(&with_entry("vfio-pci"));
    // Another author edits the file meanwhile.
    let edit = |text: &str| text.replace("\"rdma\"", "\"roce\"");
    fs::write(&real, edit(&with_entry("vfio-pci"))).unwrap();
    command(&node, "run", Some(&[named(eni(1)), eni(2)]));
    run(&format!("ip -n {} link set lo up", node.rig.namespace("node")));
    until_text(&edit(&with_entry("ena")));

    stop(agent);
    assert_eq!(fs::read_to_string(&real).unwrap(), edit(&with_entry("ena")), "pods go on without the agent");
    let cleaned = command(&node, "clean", None).args(sriov).output().unwrap();
    assert!(cleaned.status.success(), "{}", text(&cleaned));
    assert!(text(&cleaned).contains("remove the agent's entries from"), "{}", text(&cleaned));
    assert_eq!(fs::read_to_string(&real).unwrap(), edit(OTHERS));
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&file).unwrap().file_type().is_symlink());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn a_file_that_the_running_agent_cannot_understand_stays_as_it_is() {
    let node = Node::with_vfio(&[1]);
    let file = node.rig.run_dir().join("config.json");
    fs::write(&file, "{ half").unwrap();
    let sriov = ["--sriov-config", file.to_str().unwrap()];
    let agent = start_with(&node, &[named(eni(1))], &sriov);
    until("the ENI is set up", || run(&format!("ip -n {} link", node.rig.namespace("node"))).contains("net1"));
    let said = text(&command(&node, "doctor", Some(&[named(eni(1))])).args(sriov).output().unwrap());
    assert!(said.contains("is left as it is"), "{said}");
    stop(agent);
    let cleaned = command(&node, "clean", None).args(sriov).output().unwrap();
    assert!(!cleaned.status.success() && text(&cleaned).contains("is left as it is"), "{}", text(&cleaned));
    assert_eq!(fs::read_to_string(&file).unwrap(), "{ half");
}
