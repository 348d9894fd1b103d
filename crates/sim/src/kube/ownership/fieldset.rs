//! A set of field paths, as a tree.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::kube::schema::{ListType, Schema};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A field of an object.
    Field(String),
    /// An item of a list with keys: the keys and their values as JSON.
    Key(String),
    /// An item of a set: its value as JSON.
    Value(String),
}

impl Element {
    /// The key of `item` in a list with these keys.
    pub fn of_item(keys: &[String], item: &Value, schema: &Schema) -> Self {
        let of = |key: &String| {
            item.get(key).cloned().or_else(|| schema.item().field(key).default.clone()).unwrap_or(Value::Null)
        };
        let map: BTreeMap<&String, Value> = keys.iter().map(|k| (k, of(k))).collect();
        Self::Key(serde_json::to_string(&map).unwrap_or_default())
    }

    /// The element in the format of `fieldsV1`.
    fn to_v1(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(json) => format!("k:{json}"),
            Self::Value(json) => format!("v:{json}"),
        }
    }

    /// The element in the format of a conflict's message.
    fn shown(&self) -> String {
        match self {
            Self::Field(name) => format!(".{name}"),
            Self::Key(json) => {
                let map: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
                let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("[{}]", pairs.join(","))
            }
            Self::Value(json) => format!("[={json}]"),
        }
    }
}

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Whether the path that leads here is in the set.
    pub owned: bool,
    /// The paths below.
    pub children: BTreeMap<Element, FieldSet>,
}

impl FieldSet {
    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        !self.owned && self.children.values().all(Self::is_empty)
    }

    /// The paths of all leaves of `value`. With `containers`, also the paths of the objects and lists that contain them.
    pub fn of(value: &Value, schema: &Schema, containers: bool) -> Self {
        let mut set = Self::default();
        match value {
            Value::Object(map) if !schema.atomic_map && !map.is_empty() => {
                set.owned = containers;
                for (name, child) in map {
                    set.children.insert(Element::Field(name.clone()), Self::of(child, schema.field(name), containers));
                }
            }
            Value::Array(items) if !items.is_empty() && schema.list_type != ListType::Atomic => {
                set.owned = containers;
                for (element, item) in elements(items, schema) {
                    let mut inner = match element {
                        Element::Key(_) => Self::of(item, schema.item(), containers),
                        Element::Field(_) | Element::Value(_) => Self::default(),
                    };
                    inner.owned = true;
                    set.children.insert(element, inner);
                }
            }
            _ => set.owned = true,
        }
        set
    }

    /// Adds everything in `other`.
    pub fn union(&mut self, other: &Self) {
        self.owned |= other.owned;
        for (element, child) in &other.children {
            self.children.entry(element.clone()).or_default().union(child);
        }
    }

    /// Removes everything in `other`.
    pub fn subtract(&mut self, other: &Self) {
        self.owned &= !other.owned;
        for (element, child) in &other.children {
            if let Some(mine) = self.children.get_mut(element) {
                mine.subtract(child);
            }
        }
        self.children.retain(|_, child| !child.is_empty());
    }

    /// Whether the sets have a path in common.
    pub fn meets(&self, other: &Self) -> bool {
        let below =
            |(element, child): (&Element, &Self)| self.children.get(element).is_some_and(|mine| mine.meets(child));
        self.owned && other.owned || other.children.iter().any(below)
    }

    /// The paths in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(element, child)| {
            let both = child.intersection(other.children.get(element)?);
            (!both.is_empty()).then(|| (element.clone(), both))
        });
        Self { owned: self.owned && other.owned, children: children.collect() }
    }

    /// Removes a whole subtree.
    pub fn remove_below(&mut self, path: &[&str]) {
        match path {
            [] => {}
            [last] => {
                self.children.remove(&Element::Field((*last).to_owned()));
            }
            [first, rest @ ..] => {
                let element = Element::Field((*first).to_owned());
                if let Some(child) = self.children.get_mut(&element) {
                    child.remove_below(rest);
                    if child.is_empty() {
                        self.children.remove(&element);
                    }
                }
            }
        }
    }

    /// All paths in the set, in the format of a conflict's message.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(String::new(), &mut paths);
        paths
    }

    fn collect(&self, path: String, paths: &mut Vec<String>) {
        for (element, child) in &self.children {
            child.collect(format!("{path}{}", element.shown()), paths);
        }
        if self.owned && !path.is_empty() {
            paths.push(path);
        }
    }

    /// The set in the format of `fieldsV1`.
    pub fn to_v1(&self) -> Value {
        let mut map = Map::new();
        if self.owned && !self.children.is_empty() {
            map.insert(".".into(), Value::Object(Map::new()));
        }
        for (element, child) in &self.children {
            map.insert(element.to_v1(), child.to_v1());
        }
        Value::Object(map)
    }
}

/// The items of a list, each with its path element.
pub fn elements<'a>(items: &'a [Value], schema: &Schema) -> Vec<(Element, &'a Value)> {
    let element = |item: &Value| match &schema.list_type {
        ListType::Map(keys) => Element::of_item(keys, item, schema),
        ListType::Set | ListType::Atomic => Element::Value(item.to_string()),
    };
    items.iter().map(|item| (element(item), item)).collect()
}
