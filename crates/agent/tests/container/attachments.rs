//! ENIAttachments of a test on the API server.

use crate::rig::eni;
use multi_eni_control_plane::{ControlPlane, Failure};
use serde_json::{Value, json};

/// An ENIAttachment as the controller has it when EC2 has attached the ENI.
pub fn attached(plane: &ControlPlane, node: &str, number: u8) -> Result<String, Failure> {
    let wanted = eni(number);
    let name = format!("{node}-eni-{number}");
    let head =
        json!({ "apiVersion": "networking.k8s.aws/v1alpha1", "kind": "ENIAttachment", "metadata": { "name": name } });
    let mut object = head.clone();
    object["spec"] = json!({
        "nodeName": node, "nodeUID": "n", "instanceID": "i-00000000000000001", "nodeENIName": "one", "nodeENIUID": "o",
        "request": { "subnetID": "subnet-00000001", "subnetCIDR": "10.0.1.0/24", "deviceIndex": wanted.index },
        "nodeSettings": { "mtu": 1400, "nodeConfig": { "mode": "addresses", "interfaceName": wanted.interface_name } },
    });
    plane.apply(&object.to_string())?.success()?;
    let addresses = |is_ipv6: bool| {
        wanted.addresses.iter().filter(|ip| ip.is_ipv6() == is_ipv6).map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut object = head;
    object["status"] = json!({
        "phase": "Attached", "macAddress": wanted.mac.unwrap().to_string(),
        "privateIPs": addresses(false), "ipv6Addresses": addresses(true),
        "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }],
    });
    let args = ["apply", "--server-side", "--subresource=status", "--field-manager=multi-eni-controller", "-f", "-"];
    plane.kubectl_as(&plane.admin_kubeconfig(), &args, &object.to_string())?.success()?;
    Ok(name)
}

/// The object, with its field managers.
pub fn read(plane: &ControlPlane, name: &str) -> Value {
    let text = plane.kubectl(&["get", "eniattachment", name, "--show-managed-fields", "-o", "json"]).unwrap();
    serde_json::from_str(&text.success().unwrap()).unwrap()
}

/// The condition of this type.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}
