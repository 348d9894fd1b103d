//! Filters of Describe calls: parsing, limits and matching.

use std::collections::BTreeMap;

use super::api_error::ApiError;
use super::params::Params;

/// "Up to 50 filters and up to 200 values per filter in a single request" (EC2 API reference, Filter).
const MOST_FILTERS: usize = 50;
const MOST_VALUES: usize = 200;
const LONGEST_VALUE: usize = 255;
/// Characters of a value that do not stand for themselves.
const WILD: [char; 3] = ['*', '?', '\\'];

/// All filters of a request. Filters are combined by AND, the values of a filter by OR.
#[derive(Debug)]
pub(super) struct Filters(Vec<Filter>);

#[derive(Debug)]
struct Filter {
    name: String,
    values: Vec<String>,
}

impl Filters {
    /// Parses `Filter.N.…`. Names that are not in `known` are refused, except `tag:KEY`.
    pub fn read(params: &Params, known: &[&str]) -> Result<Self, ApiError> {
        let given = params.structs("Filter");
        if given.len() > MOST_FILTERS {
            return Err(limit(format!("The maximum number of filters on a single call is {MOST_FILTERS}")));
        }
        let mut filters = Vec::with_capacity(given.len());
        for filter in given {
            let name = filter.required("Name")?.to_owned();
            if !known.contains(&name.as_str()) && name.strip_prefix("tag:").is_none_or(str::is_empty) {
                return Err(ApiError::value(format!("The filter '{name}' is invalid")));
            }
            let values = filter.list("Value");
            if values.is_empty() {
                return Err(ApiError::value(format!("The filter '{name}' has no values")));
            }
            if values.len() > MOST_VALUES {
                return Err(limit(format!(
                    "The maximum number of filter values specified on a single call is {MOST_VALUES}"
                )));
            }
            if values.iter().any(|value| value.chars().count() > LONGEST_VALUE) {
                return Err(limit(format!("The maximum length for a filter value is {LONGEST_VALUE} characters")));
            }
            filters.push(Filter { name, values });
        }
        Ok(Self(filters))
    }

    /// Whether the request has no filter.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values of the filter with this name, if there is one and each of its values stands for itself alone.
    pub fn exact(&self, name: &str) -> Option<&[String]> {
        let filter = self.0.iter().find(|filter| filter.name == name)?;
        (!filter.values.iter().any(|value| value.contains(WILD))).then_some(&filter.values)
    }

    /// Whether a resource matches, given its tags and, by filter name, its other values.
    pub fn pass(&self, tags: &BTreeMap<String, String>, values: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|filter| {
            let has = |candidate: &str| filter.values.iter().any(|pattern| fits(pattern, candidate));
            if let Some(key) = filter.name.strip_prefix("tag:") {
                tags.get(key).is_some_and(|value| has(value))
            } else if filter.name == "tag-key" {
                tags.keys().any(|key| has(key))
            } else {
                values(&filter.name).iter().any(|value| has(value))
            }
        })
    }
}

/// Whether a call asks for everything in one answer. EC2 has a smaller bucket for such calls.
pub(super) fn is_unfiltered(action: &str, params: &Params) -> bool {
    let narrowing = ["Filter", "MaxResults", "NextToken", "NetworkInterfaceId", "InstanceId"];
    ["DescribeNetworkInterfaces", "DescribeInstances"].contains(&action)
        && !narrowing.iter().any(|name| params.mentions(name))
}

fn limit(message: String) -> ApiError {
    ApiError::new("FilterLimitExceeded", message)
}

/// Matches a filter's value. `*` stands for any characters, `?` for one, and `\` escapes the next. Matching is case-sensitive.
fn fits(pattern: &str, text: &str) -> bool {
    if !pattern.contains(WILD) {
        return pattern == text;
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '*' => Part::Any,
            '?' => Part::One,
            '\\' => Part::Exactly(chars.next().unwrap_or('\\')),
            c => Part::Exactly(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    // Greedy matching: after a mismatch, go back to the last `*` and let it match one more character.
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match parts.get(p) {
            Some(Part::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Part::One) => (p, t) = (p + 1, t + 1),
            Some(Part::Exactly(c)) if *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    parts[p..].iter().all(|part| matches!(part, Part::Any))
}

enum Part {
    Any,
    One,
    Exactly(char),
}
