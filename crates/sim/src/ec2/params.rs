//! The query protocol's parameters: `Action=…&Filter.1.Name=…&Filter.1.Value.1=…`.

use std::collections::BTreeMap;

use super::refusal::Refusal;

/// Parameters by their full dotted name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads a form body; a parameter given twice is refused, as its meaning would be a guess.
    pub fn parse(form: &[u8]) -> Result<Self, Refusal> {
        let mut found = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            if found.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Refusal::new("MalformedQueryString", format!("The parameter {name} is given twice")));
            }
        }
        Ok(Self(found))
    }

    /// From pairs, for what is done by hand.
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    pub fn set(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| Refusal::missing(name))
    }

    pub fn count(&self, name: &str) -> Result<Option<u32>, Refusal> {
        self.get(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    Refusal::value(format!("Invalid value '{value}' for {name}. It must be a non-negative integer"))
                })
            })
            .transpose()
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        self.get(name)
            .map(|value| match value {
                "true" | "True" => Ok(true),
                "false" | "False" => Ok(false),
                _ => Err(Refusal::value(format!("Invalid value '{value}' for {name}. It must be true or false"))),
            })
            .transpose()
    }

    /// `prefix.1`, `prefix.2`, … in numeric order.
    pub fn list(&self, prefix: &str) -> Vec<String> {
        let mut found: Vec<(u32, &String)> =
            self.below(prefix).filter_map(|(rest, value)| Some((rest.parse().ok()?, value))).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, value)| value.clone()).collect()
    }

    /// `prefix.1.…`, `prefix.2.…`: each as its own parameters.
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

    /// Whether anything was given as `name` or below it.
    pub fn mentions(&self, name: &str) -> bool {
        self.has(name) || self.below(name).next().is_some()
    }

    /// The first parameter whose root is not one of these.
    pub fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.0.keys().map(String::as_str).find(|name| {
            let root = name.split('.').next().unwrap_or(name);
            !["Action", "Version", "DryRun"].contains(&root) && !known.contains(&root)
        })
    }

    /// What makes two requests "the same" for a client token.
    pub fn identity(&self) -> BTreeMap<String, String> {
        let apart = ["Action", "Version", "DryRun", "ClientToken"];
        self.0.iter().filter(|(name, _)| !apart.contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a String)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?.strip_prefix('.')?, value)))
    }
}
