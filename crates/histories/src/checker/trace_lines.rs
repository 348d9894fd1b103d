//! Describes events in words, for the trace. Golden traces contain these words.

use super::eni_change_event::EniChange;
use super::trace::{Detail, Trace};
use crate::replica::is_process;
use crate::script::Millis;
use multi_eni_api::names::ANNOTATION_DESELECTED_SINCE;
use multi_eni_sim::ec2::{By, CallRecord, Eni, Outcome};
use multi_eni_sim::kube::ObjectChange;
use serde_json::Value;

/// A call that EC2 has finished.
pub fn landed(trace: &mut Trace, at: Millis, record: &CallRecord) {
    let detail = if record.action.starts_with("Describe") { Detail::Everything } else { Detail::Story };
    trace.line(detail, at, &record.user_agent, || {
        let mut what = record.action.clone();
        let named = [&record.eni_id, &record.instance_id, &record.attachment_id, &record.subnet_id];
        for name in named.into_iter().flatten() {
            what += &format!(" {name}");
        }
        if let Some((card, index)) = record.slot {
            what += &format!(" {card}/{index}");
        }
        for (filter, values) in &record.filters {
            what += &format!(" {filter}={values}");
        }
        if record.force {
            what += " by force";
        }
        match &record.outcome {
            Outcome::Done => {}
            Outcome::Refused(code) => what += &format!(": {code}"),
            Outcome::NeverArrived => what += ": never arrived",
        }
        if let Some(items) = record.items {
            what += &format!(": {items}");
        }
        match &record.fault {
            Some(fault) => format!("{what} ({fault:?})"),
            None => what,
        }
    });
}

/// A change of an interface. The story has only changes that time made; calls have lines of their own.
pub fn changed(trace: &mut Trace, change: &EniChange<'_>) {
    let detail = match change.by {
        By::Time => Detail::Story,
        By::Call(_) | By::Hand => Detail::Everything,
    };
    let place = |eni: Option<&Eni>| match eni {
        None => "gone".to_owned(),
        Some(eni) => match &eni.attachment {
            None => "available".to_owned(),
            Some(at) => {
                format!("{} to {} {}/{}", at.status.as_str(), at.instance_id, at.network_card_index, at.device_index)
            }
        },
    };
    trace.line(detail, change.at, "ec2", || {
        format!("{}: {} → {}", change.id, place(change.before), place(change.after))
    });
}

/// A change of an object.
pub fn object(trace: &mut Trace, at: Millis, change: &ObjectChange<'_>) {
    let resource = change.resource.resource.as_str();
    let detail = match resource {
        "eniattachments" | "nodeenis" if is_process(change.actor) => Detail::Story,
        _ => Detail::Everything,
    };
    if !trace.keeps(detail) {
        return;
    }
    let text =
        |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let what = match (change.before, change.after) {
        (None, Some(_)) => "created".to_owned(),
        (Some(_), None) => "gone".to_owned(),
        (Some(before), Some(after)) => {
            let mut what = Vec::new();
            let deselected_since = format!("/metadata/annotations/{}", ANNOTATION_DESELECTED_SINCE.replace('/', "~1"));
            let fields = [
                ("/metadata/deletionTimestamp", "deletionTimestamp"),
                (deselected_since.as_str(), "deselectedSince"),
                ("/status/phase", "phase"),
                ("/status/eniID", "eniID"),
            ];
            for (pointer, field) in fields {
                let (old, new) = (text(before, pointer), text(after, pointer));
                if old != new {
                    what.push(format!("{field}={new}"));
                }
            }
            let conditions = |object: &Value| object.pointer("/status/conditions").cloned().unwrap_or_default();
            if conditions(before) != conditions(after) {
                for condition in conditions(after).as_array().into_iter().flatten() {
                    if text(condition, "/type") == "Ready" {
                        what.push(format!(
                            "Ready={} {}: {}",
                            text(condition, "/status"),
                            text(condition, "/reason"),
                            text(condition, "/message")
                        ));
                    }
                }
            }
            if before.pointer("/metadata/finalizers") != after.pointer("/metadata/finalizers") {
                what.push("finalizers".to_owned());
            }
            if what.is_empty() { "written".to_owned() } else { what.join(", ") }
        }
        (None, None) => return,
    };
    trace.line(detail, at, change.actor, || format!("{resource} {}: {what}", change.name));
    if trace.keeps(Detail::Everything)
        && let Some(after) = change.after
    {
        trace.line(Detail::Everything, at, "store", || after.to_string());
    }
}
