//! The topics of `backs-off`: on which topics a request depends, and of which topics a change is news.

use super::backoff::{Repeats, Request};
use super::eni_change_event::EniChange;
use super::model::{Model, ModelEni};
use crate::script::Millis;
use multi_eni_api::names::{ANNOTATION_RECONCILE_AT, TAG_ATTACHMENT_UID};
use multi_eni_plan::attachment::Attachment;
use multi_eni_sim::ec2::Incoming;
use multi_eni_sim::kube::{ObjectChange, RequestInfo};
use serde_json::Value;

/// The request that a write to the API server is. `body`: the body of a create, because the name is in it; else null.
pub fn of_write(model: &Model, info: &RequestInfo, body: &Value) -> Request {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let may = format!("{} {}", info.verb, info.target());
    let name = match info.resource.as_str() {
        // Each Event has a name of its own. Events with the same object, reason and note count as the same.
        "events" => format!("{} {}: {}", text("/regarding/name"), text("/reason"), text("/note")),
        _ if info.name.is_empty() => text("/metadata/name").to_owned(),
        _ => info.name.clone(),
    };
    let about = match info.resource.as_str() {
        "eniattachments" => match model.attachments.get(&name) {
            Some(eni_attachment) => of_attachment(model, &eni_attachment.attachment),
            None => vec![
                format!("enia {name}"),
                format!("node {}", text("/spec/nodeName")),
                format!("nodeeni {}", text("/spec/nodeENIName")),
                format!("instance {}", text("/spec/instanceID")),
            ],
        },
        "nodeenis" => vec![format!("nodeeni {name}"), format!("of {name}"), "nodes".to_owned()],
        "nodes" => vec![format!("node {name}"), format!("on {name}")],
        _ => Vec::new(),
    };
    let object = format!("{} {name}", info.resource);
    let eni_attachment = (info.resource == "eniattachments").then(|| name.clone());
    Request { what: format!("{may} {name}"), may, attachment: eni_attachment, object, about }
}

/// The request that a call to EC2 is.
pub fn of_call(model: &Model, call: &Incoming) -> Request {
    let given = |name: &str| call.parameters.get(name).map(String::as_str);
    let action = &call.action;
    if action.starts_with("Describe") {
        let values: Vec<&str> =
            call.parameters.iter().filter(|(name, _)| *name != "NextToken").map(|(_, value)| value.as_str()).collect();
        let what = format!("{action} {}", values.join(" "));
        return Request { what, may: action.clone(), ..Request::default() };
    }
    let by_attachment = |id: &str| {
        let is = |eni: &&ModelEni| eni.current.attachment.as_ref().is_some_and(|at| at.id.as_str() == id);
        model.enis.values().find(is).map(|eni| eni.current.id.to_string())
    };
    let eni = ["NetworkInterfaceId", "ResourceId.1"].into_iter().find_map(given).map(str::to_owned);
    let eni = eni.or_else(|| given("AttachmentId").and_then(by_attachment));
    // The tags that the call sets, or else the tags that the ENI has.
    let there = || eni.as_ref().and_then(|eni| model.enis.get(eni)).and_then(|eni| eni.made_for.clone());
    let uid = tag(call, TAG_ATTACHMENT_UID).or_else(there);
    let eni_attachment = uid.as_ref().and_then(|uid| model.uids.get(uid)).and_then(|name| model.attachments.get(name));
    let mut about =
        eni_attachment.map(|eni_attachment| of_attachment(model, &eni_attachment.attachment)).unwrap_or_default();
    about.extend(eni.iter().map(|eni| format!("eni {eni}")));
    about.extend(given("SubnetId").map(|subnet| format!("subnet {subnet}")));
    if action == "CreateNetworkInterface" {
        about.push("room".to_owned());
    }
    let target = eni.or(uid).or_else(|| given("AttachmentId").map(str::to_owned)).unwrap_or_default();
    // A Modify changes one attribute, and a Detach may be forced.
    let how: Vec<&str> = call
        .parameters
        .iter()
        .filter(|(name, _)| *name == "Force" || action.starts_with("Modify") && !name.ends_with("Id"))
        .map(|(name, _)| name.split('.').next().unwrap_or(name))
        .collect();
    let what = format!("{action} {target} {}", how.join(" ")).trim_end().to_owned();
    let eni_attachment = eni_attachment.map(|eni_attachment| eni_attachment.attachment.name.clone());
    Request { what, may: action.clone(), attachment: eni_attachment, about, ..Request::default() }
}

/// The instance for which a Create creates an ENI.
pub fn made_for(model: &Model, call: &Incoming) -> Option<String> {
    let eni_attachment = model.attachments.get(model.uids.get(&tag(call, TAG_ATTACHMENT_UID)?)?)?;
    eni_attachment.attachment.instance.as_ref().map(ToString::to_string)
}

/// An object has changed: records the news.
pub fn news_of_object(repeats: &mut Repeats, at: Millis, change: &ObjectChange<'_>) {
    let text = |pointer: &str| {
        let of =
            |object: Option<&Value>| object.and_then(|o| o.pointer(pointer)).and_then(Value::as_str).map(str::to_owned);
        of(change.after).or_else(|| of(change.before)).unwrap_or_default()
    };
    let (name, by) = (change.name, change.actor);
    match change.resource.resource.as_str() {
        "nodes" => {
            repeats.news("nodes".to_owned(), by, at);
            repeats.news(format!("node {name}"), by, at);
            let instance = text("/spec/providerID");
            repeats.news(format!("instance {}", instance.rsplit('/').next().unwrap_or_default()), by, at);
        }
        "nodeenis" => repeats.news(format!("nodeeni {name}"), by, at),
        "eniattachments" => {
            repeats.news(format!("enia {name}"), by, at);
            // A NodeENI's status and a Node's taint depend on the ENIAttachment, so its change is news also for the process that
            // made it.
            repeats.news(format!("of {}", text("/spec/nodeENIName")), "", at);
            repeats.news(format!("on {}", text("/spec/nodeName")), "", at);
        }
        "pods" => repeats.news(format!("pods {}", text("/spec/nodeName")), by, at),
        _ => {}
    }
}

/// Whether the change asks for a new try of the object, by a new value of the annotation.
pub fn asks_for_a_new_try(change: &ObjectChange<'_>) -> bool {
    let value = |object: Option<&Value>| {
        let annotations = object.and_then(|object| object.pointer("/metadata/annotations"));
        annotations.and_then(|annotations| annotations.get(ANNOTATION_RECONCILE_AT)).cloned()
    };
    let (before, after) = (value(change.before), value(change.after));
    after.is_some() && before != after
}

/// An interface has changed: records the news.
pub fn news_of_eni(repeats: &mut Repeats, model: &Model, change: &EniChange<'_>) {
    let (at, by, before, after) = (change.at, change.actor(), change.before, change.after);
    let Some(eni) = after.or(before) else { return };
    repeats.news(format!("eni {}", eni.id), by, at);
    // Addresses that a process frees are news also for that process.
    repeats.news(format!("subnet {}", eni.subnet_id), "", at);
    if after.is_none() || before.is_none() {
        repeats.news("room".to_owned(), "", at);
    }
    for attachment in [before, after].into_iter().flatten().filter_map(|eni| eni.attachment.as_ref()) {
        repeats.news(format!("instance {}", attachment.instance_id), "", at);
    }
    let uid = model.enis.get(&eni.id).and_then(|eni| eni.made_for.as_ref());
    let eni_attachment = uid.and_then(|uid| model.uids.get(uid)).and_then(|name| model.attachments.get(name));
    if let Some(eni_attachment) = eni_attachment {
        repeats.news(format!("of {}", eni_attachment.attachment.nodeeni), "", at);
        repeats.news(format!("enia {}", eni_attachment.attachment.name), by, at);
    }
}

fn of_attachment(model: &Model, eni_attachment: &Attachment) -> Vec<String> {
    let mut about = vec![
        format!("enia {}", eni_attachment.name),
        format!("node {}", eni_attachment.node),
        format!("nodeeni {}", eni_attachment.nodeeni),
        format!("pods {}", eni_attachment.node),
    ];
    about.extend(eni_attachment.instance.as_ref().map(|instance| format!("instance {instance}")));
    about.extend(model.made_for(&eni_attachment.uid).map(|eni| format!("eni {}", eni.current.id)));
    about
}

/// The value of a tag that a call sets.
fn tag(call: &Incoming, key: &str) -> Option<String> {
    let (name, _) = call.parameters.iter().find(|(name, value)| name.ends_with(".Key") && *value == key)?;
    call.parameters.get(&format!("{}.Value", name.trim_end_matches(".Key"))).cloned()
}
