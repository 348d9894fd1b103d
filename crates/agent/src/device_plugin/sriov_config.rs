//! Decides the text of the SR-IOV network device plugin's configuration: everybody else's entries, byte for byte, and an entry for each
//! pool. An entry of ours carries a mark, which the plugin leaves out as a field that it does not know.

use crate::device_plugin::json_array::{elements, members};
use crate::device_plugin::pool::Pools;
use crate::device_plugin::resource_name::ResourceName;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ops::Range;

/// The member with the entries.
const LIST: &str = "resourceList";
/// The field that marks an entry.
const MARK: &str = "managedBy";
/// Its value.
const AUTHOR: &str = "multi-eni-agent";

/// The configuration as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The text.
    pub text: String,
    /// The agent's entries.
    pub entries: Vec<String>,
    /// Resources that another entry has. Ours are left out.
    pub taken: Vec<ResourceName>,
}

/// Why a configuration is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmergeable {
    /// The text is no JSON object.
    #[error("it is no JSON object: {0}")]
    NotAnObject(String),
    /// The plugin would read another list than the agent.
    #[error("it has several members that the plugin takes for {LIST}, or one in other letters")]
    Ambiguous,
    /// The list is something else.
    #[error("its member {LIST} is no list")]
    NotAList,
}

/// The configuration with an entry for each pool. Entries of ours that no pool has are gone.
///
/// # Errors
/// If the text cannot be understood. It must then stay as it is.
pub fn merge(text: &str, pools: &Pools) -> Result<Merged, Unmergeable> {
    let is_empty = text.trim().is_empty();
    let text = if is_empty { "{}\n" } else { text };
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| Unmergeable::NotAnObject(error.to_string()))?;
    let members = members(text).ok_or_else(|| Unmergeable::NotAnObject("it is another value".to_owned()))?;
    // The plugin's parser takes a key in any letters, and the last one of several.
    let mut lists = members.iter().filter(|member| member.key.eq_ignore_ascii_case(LIST));
    let list = match (lists.next(), lists.next()) {
        (None, _) => None,
        (Some(only), None) if only.key == LIST => Some(only.value.clone()),
        (Some(_), _) => return Err(Unmergeable::Ambiguous),
    };
    let entries = match &list {
        Some(range) if &text[range.clone()] != "null" => elements(text, range).ok_or(Unmergeable::NotAList)?,
        Some(_) | None => Vec::new(),
    };
    let (ours, others): (Vec<&Range<usize>>, Vec<&Range<usize>>) =
        entries.iter().partition(|range| is_ours(&text[(*range).clone()]));
    let names: BTreeSet<String> = others.iter().filter_map(|range| full_name(&text[(*range).clone()])).collect();
    let (mut wanted, mut taken) = (Vec::new(), Vec::new());
    for resource in pools.keys() {
        if names.contains(&resource.to_string()) {
            taken.push(resource.clone());
        } else {
            wanted.extend(entry(resource, pools));
        }
    }
    let is_so = ours.iter().map(|range| &text[(*range).clone()]).eq(wanted.iter().map(String::as_str));
    let text = if is_so { text.to_owned() } else { spliced(text, list, &entries, &wanted) };
    Ok(Merged { text: if is_so && is_empty { String::new() } else { text }, entries: wanted, taken })
}

/// The text with other entries of ours.
fn spliced(text: &str, list: Option<Range<usize>>, entries: &[Range<usize>], wanted: &[String]) -> String {
    let wanted: Vec<String> = wanted.iter().map(|entry| format!("\n    {entry}")).collect();
    let Some(list) = list else {
        let (before, after) = text.split_at(text.find('{').map_or(0, |at| at.saturating_add(1)));
        let separator = if after.trim_start().starts_with('}') { "" } else { "," };
        return format!("{before}\"{LIST}\": [{}\n]{separator}{after}", wanted.join(","));
    };
    let (before, after) = (&text[..list.start], &text[list.end..]);
    let Some(last) = entries.last() else {
        return format!("{before}[{}\n]{after}", wanted.join(","));
    };
    // An entry goes with the white space in front of it.
    let mut from = list.start.saturating_add(1);
    let mut kept = Vec::new();
    for range in entries {
        if !is_ours(&text[range.clone()]) {
            kept.push(text[from..range.end].to_owned());
        }
        from = text[range.end..].find(',').map_or(range.end, |comma| range.end.saturating_add(comma).saturating_add(1));
    }
    kept.extend(wanted);
    let end = list.end.saturating_sub(1);
    format!("{before}[{}{}{after}", kept.join(","), &text[last.end..=end])
}

fn is_ours(entry: &str) -> bool {
    serde_json::from_str::<Value>(entry).is_ok_and(|entry| entry[MARK] == AUTHOR)
}

/// The resource of somebody's entry, as the plugin reads it.
fn full_name(entry: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(entry).ok()?;
    let text = |name: &str| {
        let field = entry.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        field.1.as_str().filter(|text| !text.is_empty())
    };
    Some(format!("{}/{}", text("resourcePrefix").unwrap_or("intel.com"), text("resourceName")?))
}

/// The entry of a pool. It has the devices that a pod can have now, because the plugin does not know of health.
fn entry(resource: &ResourceName, pools: &Pools) -> Option<String> {
    let devices: Vec<_> = pools.get(resource)?.iter().filter(|(_, device)| device.is_healthy).collect();
    let drivers: BTreeSet<&String> = devices.iter().filter_map(|(_, device)| device.driver.as_ref()).collect();
    let addresses: Vec<&str> = devices.iter().map(|(address, _)| address.as_str()).collect();
    let entry = json!({
        "resourcePrefix": resource.prefix(), "resourceName": resource.name(),
        "selectors": { "drivers": drivers, "pciAddresses": addresses },
        MARK: AUTHOR,
    });
    (!addresses.is_empty()).then(|| entry.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::pool::{Access, Device, Pool};
    use proptest::prelude::*;

    fn pools(enis: &[(&str, &str, bool)]) -> Pools {
        let mut pools = Pools::new();
        for (resource, address, is_healthy) in enis {
            let driver = Some("ena".to_owned());
            let device = Device { is_healthy: *is_healthy, numa_node: None, driver, access: Access::Interface };
            let pool: &mut Pool = pools.entry(resource.parse().unwrap()).or_default();
            pool.insert(address.parse().unwrap(), device);
        }
        pools
    }

    fn one() -> Pools {
        pools(&[("example.com/a", "0000:00:06.0", true)])
    }

    const OURS: &str = r#"{"managedBy":"multi-eni-agent","resourceName":"a","resourcePrefix":"example.com","selectors":{"drivers":["ena"],"pciAddresses":["0000:00:06.0"]}}"#;

    /// As people write it.
    const OTHERS: &str = r#"{
    "resourceList": [{
            "resourceName": "intel_sriov",
            "selectors": { "vendors": ["8086"],  "unknown": 1.0 }
        },
        { "resourcePrefix":"mellanox.com", "resourceName": "rdma" }
    ],
    "resourceList2": []
}
"#;

    #[test]
    fn an_entry_is_added_and_taken_away_again_and_nothing_else_changes() {
        let added = merge(OTHERS, &one()).unwrap();
        let expected = OTHERS.replace("\"rdma\" }\n", &format!("\"rdma\" }},\n    {OURS}\n"));
        assert_eq!((added.text.as_str(), added.taken), (expected.as_str(), vec![]));
        assert_eq!(merge(&added.text, &one()).unwrap().text, added.text);
        assert_eq!(merge(&added.text, &Pools::new()).unwrap().text, OTHERS);
    }

    #[test]
    fn a_file_without_entries_gets_some() {
        let list = format!("[\n    {OURS}\n]");
        for (before, after) in [
            ("", format!("{{\"resourceList\": {list}}}\n")),
            ("{}", format!("{{\"resourceList\": {list}}}")),
            (r#"{"x": 1}"#, format!(r#"{{"resourceList": {list},"x": 1}}"#)),
            (r#"{"resourceList":null}"#, format!(r#"{{"resourceList":{list}}}"#)),
            (r#"{"resourceList": [ ]}"#, format!(r#"{{"resourceList": {list}}}"#)),
        ] {
            assert_eq!(merge(before, &one()).unwrap().text, after, "{before}");
            assert_eq!(merge(before, &Pools::new()).unwrap().text, before, "nothing to add");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for (text, part) in [
            ("{ half", "no JSON object"),
            ("[]", "no JSON object"),
            ("\u{feff}{}", "no JSON object"),
            (r#"{"resourceList": {}}"#, "no list"),
            (r#"{"resourceList": [], "resourceList": []}"#, "several"),
            (r#"{"RESOURCELIST": []}"#, "other letters"),
        ] {
            let error = merge(text, &one()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_resource_of_somebody_else_is_left_to_them() {
        for (name, theirs) in [
            ("example.com/a", r#"{"resourcePrefix":"example.com","resourceName":"a"}"#),
            ("intel.com/a", r#"{"resourceName":"a"}"#),
            ("intel.com/a", r#"{"RESOURCENAME":"a","resourcePrefix":""}"#),
        ] {
            let text = format!(r#"{{"resourceList":[{theirs}]}}"#);
            let merged = merge(&text, &pools(&[(name, "0000:00:06.0", true)])).unwrap();
            assert_eq!((merged.text, merged.taken), (text, vec![name.parse().unwrap()]), "{theirs}");
        }
    }

    #[test]
    fn a_device_that_is_not_ready_is_left_out() {
        let two = pools(&[("example.com/a", "0000:00:06.0", true), ("example.com/a", "0000:00:07.0", false)]);
        assert!(merge(OTHERS, &two).unwrap().text.contains(OURS));
        assert_eq!(merge(OTHERS, &pools(&[("example.com/a", "0000:00:06.0", false)])).unwrap().text, OTHERS);
    }

    #[test]
    fn an_entry_that_follows_ours_stays_where_it_is() {
        let text = format!(r#"{{"resourceList":[{OURS} , {{"resourceName":"b"}}]}}"#);
        assert_eq!(merge(&text, &one()).unwrap().text, text);
        let none = merge(&text, &Pools::new()).unwrap().text;
        assert_eq!(none, r#"{"resourceList":[ {"resourceName":"b"}]}"#);
    }

    /// An entry of somebody, with the white space and the strings that people and programs write.
    fn others() -> impl Strategy<Value = Vec<String>> {
        let space = "[ \n\t]{0,3}";
        let entry = (space, "[a-z]{1,4}", "([a-z\\[\\]{},: ü]|\\\\\"|\\\\\\\\){0,9}", space, space).prop_map(
            |(a, name, text, b, c)| {
                format!("{a}{{{b}\"resourceName\":{c}\"foreign{name}\",\"x\":[\"{text}\"{a}, 1.50]{b}}}{c}")
            },
        );
        prop::collection::vec(entry, 0..4)
    }

    fn some_pools() -> impl Strategy<Value = Pools> {
        prop::collection::vec((0..3_u8, 0..4_u8, any::<bool>()), 0..6).prop_map(|enis| {
            let text: Vec<(String, String, bool)> = enis
                .into_iter()
                .map(|(resource, device, is_healthy)| {
                    (format!("example.com/r{resource}"), format!("0000:00:0{device}.0"), is_healthy)
                })
                .collect();
            let enis: Vec<(&str, &str, bool)> = text.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), *c)).collect();
            pools(&enis)
        })
    }

    proptest! {
        #[test]
        fn others_keep_every_byte_through_a_history_of_merges(
            others in others(), history in prop::collection::vec(some_pools(), 1..4), before in "[ \n]{0,2}", after in "[ \n]{0,2}",
        ) {
            let original = format!("{before}{{\"v\":{after}\"[\",\"resourceList\":[{}]{after}}}{before}", others.join(","));
            let mut text = original.clone();
            for pools in &history {
                let merged = merge(&text, pools).unwrap();
                prop_assert_eq!(&merge(&merged.text, pools).unwrap().text, &merged.text, "a second time changes nothing");
                let mut at = 0;
                for entry in &others {
                    let entry = entry.trim();
                    let found = merged.text[at..].find(entry).map(|found| at + found);
                    prop_assert!(found.is_some(), "{} is not in {}", entry, merged.text);
                    at = found.unwrap() + entry.len();
                }
                let value: Value = serde_json::from_str(&merged.text).unwrap();
                let list = value["resourceList"].as_array().unwrap();
                let healthy = pools.values().filter(|pool| pool.values().any(|device| device.is_healthy)).count();
                prop_assert_eq!(list.len(), others.len() + healthy);
                prop_assert_eq!(&value["v"], "[");
                text = merged.text;
            }
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(bare(&merge(&text, &Pools::new()).unwrap().text), bare(&original));
        }
    }
}
