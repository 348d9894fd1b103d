//! Maps simulated UIDs, versions and times to the real ones. It learns them from pairs of answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The real values by the simulated ones.
#[derive(Default)]
pub struct Twins {
    uids: BTreeMap<String, String>,
    versions: BTreeMap<String, String>,
    real_versions: BTreeSet<String>,
    /// By the simulated UID, the field and its simulated value.
    times: BTreeMap<(String, &'static str, String), String>,
    /// By the simulated version: the managed fields of the real object.
    owners: BTreeMap<String, Value>,
}

/// The times that a server sets.
const TIMES: [&str; 2] = ["creationTimestamp", "deletionTimestamp"];

impl Twins {
    /// Records that two UIDs belong to the same object.
    pub fn pair_uids(&mut self, simulated: &str, real: &str) {
        self.uids.entry(simulated.to_owned()).or_insert_with(|| real.to_owned());
    }

    /// Learns from two answers about the same object. Returns a problem if one server stored the object and the other did not.
    pub fn learn(&mut self, simulated: &Value, real: &Value) -> Option<String> {
        let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let both = |field: &str| {
            Some((text(simulated, field), text(real, field))).filter(|(s, r)| !s.is_empty() && !r.is_empty())
        };
        if let Some((simulated, real)) = both("uid") {
            self.pair_uids(&simulated, &real);
        }
        let uid = text(simulated, "uid");
        for field in TIMES {
            if let Some((simulated, real)) = both(field) {
                self.times.entry((uid.clone(), field, simulated)).or_insert(real);
            }
        }
        let owners = real["metadata"]["managedFields"].clone();
        let (simulated, real) = both("resourceVersion")?;
        if self.versions.contains_key(&simulated) {
            // If the real version is another one, the comparison shows it.
            return None;
        }
        self.versions.insert(simulated.clone(), real.clone());
        self.owners.insert(simulated.clone(), owners);
        let new = self.real_versions.insert(real.clone());
        (!new).then(|| format!("the simulator stored it as version {simulated}, the real server left it at {real}"))
    }

    /// A body for the real server. An object that goes back as it was read gets the managed fields that were read there, because
    /// the real server takes other times, or another order, for a change.
    pub fn body(&self, body: &Value) -> Value {
        let mut translated = self.translate(body);
        let (owners, version) = (&body["metadata"]["managedFields"], body["metadata"]["resourceVersion"].as_str());
        if let Some(there) = version.and_then(|version| self.owners.get(version)).filter(|_| owners.is_array()) {
            translated["metadata"]["managedFields"] = there.clone();
        }
        translated
    }

    /// The value with the real UIDs, versions and times.
    pub fn translate(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::from(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.translate(item)).collect(),
            Value::Object(map) => self.object(map),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn object(&self, map: &Map<String, Value>) -> Value {
        // A JSON patch has the field's path beside the value.
        let patched = map.get("path").and_then(Value::as_str).is_some_and(|path| path.ends_with("/resourceVersion"));
        let translated = map.iter().map(|(name, value)| {
            let version = name == "resourceVersion" || (patched && name == "value");
            let twin = value.as_str().filter(|_| version).and_then(|version| self.versions.get(version));
            (self.text(name), twin.map_or_else(|| self.translate(value), |twin| Value::from(twin.clone())))
        });
        let mut translated: Map<String, Value> = translated.collect();
        for field in TIMES {
            let text = |name: &str| map.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(time) = self.times.get(&(text("uid"), field, text(field))) {
                translated.insert(field.to_owned(), Value::from(time.clone()));
            }
        }
        Value::Object(translated)
    }

    /// The text with the real UIDs.
    pub fn text(&self, text: &str) -> String {
        let (mut translated, mut done, mut at) = (String::new(), 0, 0);
        while at + UID <= text.len() {
            let twin = text.get(at..at + UID).filter(|part| has_shape(part)).and_then(|part| self.uids.get(part));
            if let Some(twin) = twin {
                translated.push_str(text.get(done..at).unwrap_or_default());
                translated.push_str(twin);
                at += UID;
                done = at;
            } else {
                at += 1;
            }
        }
        translated.push_str(text.get(done..).unwrap_or_default());
        VERSIONS.iter().fold(translated, |text, words| self.version_after(words, text))
    }

    /// The text with the real version in the brackets that these words open.
    fn version_after(&self, words: &str, text: String) -> String {
        let twin = || {
            let (before, rest) = text.split_once(words)?;
            let (version, after) = rest.split_once(')')?;
            Some(format!("{before}{words}{})", self.versions.get(version)?) + after)
        };
        twin().unwrap_or(text)
    }
}

/// The words of the API server before a version, when the precondition of a deletion does not hold.
const VERSIONS: [&str; 2] = ["the ResourceVersion in the precondition (", "the ResourceVersion in record ("];

/// How long a UID is.
const UID: usize = 36;

fn has_shape(text: &str) -> bool {
    [8, 13, 18, 23].iter().all(|at| text.as_bytes().get(*at) == Some(&b'-'))
}

#[test]
fn uids_are_replaced_anywhere_in_a_text() {
    let (one, other) = ("11111111-2222-4333-8444-555555555555", "99999999-8888-4777-8666-000000000000");
    let mut twins = Twins::default();
    twins.pair_uids(one, other);
    assert_eq!(twins.text(&format!("é {one}/{one}x")), format!("é {other}/{other}x"));
    let known = serde_json::json!({ "metadata": { "resourceVersion": "7" } });
    assert_eq!(twins.learn(&known, &serde_json::json!({ "metadata": { "resourceVersion": "70" } })), None);
    let said = |version: &str| format!("the ResourceVersion in the precondition ({version}) does not match (7)");
    assert_eq!(twins.text(&said("7")), said("70"));
    let patch =
        serde_json::json!([{ "path": "/metadata/resourceVersion", "value": "7" }, { "path": "/spec", "value": "7" }]);
    let there =
        serde_json::json!([{ "path": "/metadata/resourceVersion", "value": "70" }, { "path": "/spec", "value": "7" }]);
    assert_eq!(twins.translate(&patch), there);
}
