//! The parameters of EC2's query protocol: `Action=…&Filter.1.Name=…&Filter.1.Value.1=…`.
//!
//! [`Params`] parses names and single values. Which parameters an action has is in `actions`.

use std::collections::BTreeMap;

use super::api_error::ApiError;

/// Parameters by their full, dotted names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// Parses a form body. A parameter that is given twice is refused, as its meaning is not defined.
    pub fn parse(form: &[u8]) -> Result<Self, ApiError> {
        let mut found = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            if found.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(ApiError::new("MalformedQueryString", format!("The parameter {name} is given twice")));
            }
        }
        Ok(Self(found))
    }

    /// Parameters from pairs, for changes that tests make by hand.
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Sets a parameter.
    pub fn set(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    /// A parameter's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether a parameter of exactly this name is given.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A parameter's value; refuses an absent or empty one.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| ApiError::missing(name))
    }

    /// A parameter as a non-negative integer.
    pub fn count(&self, name: &str) -> Result<Option<u32>, ApiError> {
        self.get(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    ApiError::value(format!("Invalid value '{value}' for {name}. It must be a non-negative integer"))
                })
            })
            .transpose()
    }

    /// A parameter as a boolean.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.get(name)
            .map(|value| match value {
                "true" | "True" => Ok(true),
                "false" | "False" => Ok(false),
                _ => Err(ApiError::value(format!("Invalid value '{value}' for {name}. It must be true or false"))),
            })
            .transpose()
    }

    /// The values of `prefix.1`, `prefix.2`, …, in numeric order.
    pub fn list(&self, prefix: &str) -> Vec<String> {
        let mut found: Vec<(u32, &String)> =
            self.below(prefix).filter_map(|(rest, value)| Some((rest.parse().ok()?, value))).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, value)| value.clone()).collect()
    }

    /// The structures `prefix.1.…`, `prefix.2.…`, each as parameters of its own.
    pub fn structs(&self, prefix: &str) -> Vec<Params> {
        let mut found: BTreeMap<u32, Params> = BTreeMap::new();
        for (rest, value) in self.below(prefix) {
            if let Some((number, field)) = rest.split_once('.')
                && let Ok(number) = number.parse()
            {
                found.entry(number).or_default().set(field.to_owned(), value.clone());
            }
        }
        found.into_values().collect()
    }

    /// Whether a parameter is given whose name is `name` or begins with `name` and a dot.
    pub fn mentions(&self, name: &str) -> bool {
        self.has(name) || self.below(name).next().is_some()
    }

    /// The first parameter whose name before the first dot is not in `known`.
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.0.keys().map(String::as_str).find(|name| {
            let root = name.split('.').next().unwrap_or(name);
            !["Action", "Version", "DryRun"].contains(&root) && !known.contains(&root)
        })
    }

    /// The parameters that two requests with the same client token must have in common.
    pub fn identity(&self) -> BTreeMap<String, String> {
        let apart = ["Action", "Version", "DryRun", "ClientToken"];
        self.0.iter().filter(|(name, _)| !apart.contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    /// The parameters whose names begin with `prefix` and a dot, by the rest of their names.
    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a String)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?.strip_prefix('.')?, value)))
    }
}
