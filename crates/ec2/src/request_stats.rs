//! How the requests to EC2 ended, by action and code, and how long they took. The codes come from EC2, so their number is bounded
//! here, and so are their characters.

use crate::histogram::Histogram;
use crate::lock::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Upper bounds of the latency of a request, in seconds. A request times out after 10 s at the latest.
const LATENCY_BOUNDS: &[f64] = &[0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How many different codes of one action are counted apart. All further codes count as [`OTHER`].
const MAX_CODES: usize = 40;
/// Stands for the codes beyond [`MAX_CODES`].
const OTHER: &str = "other";
/// The longest code that is kept.
const MAX_CODE_LENGTH: usize = 64;

/// The requests to EC2 so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestStats {
    /// The number of requests, by EC2's name of the action and by code: `ok`, EC2's error code, or a code of this controller for a
    /// request without an answer.
    pub by_code: BTreeMap<(&'static str, String), u64>,
    /// How long the requests took, by the same.
    pub durations: BTreeMap<(&'static str, String), Histogram>,
}

impl RequestStats {
    fn record(&mut self, action: &'static str, code: &str, took: Duration) {
        let code: String = code
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
            .take(MAX_CODE_LENGTH)
            .collect();
        let mut key = (action, code);
        if !self.by_code.contains_key(&key) && self.codes_of(action) >= MAX_CODES {
            OTHER.clone_into(&mut key.1);
        }
        *self.by_code.entry(key.clone()).or_default() += 1;
        let histogram = self.durations.entry(key).or_insert_with(|| Histogram::new(LATENCY_BOUNDS));
        histogram.observe(took.as_secs_f64());
    }

    fn codes_of(&self, action: &'static str) -> usize {
        self.by_code.keys().filter(|(of, _)| *of == action).count()
    }
}

/// The requests of one handle.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<RequestStats>);

impl Requests {
    /// Records the end of one request.
    pub fn ended(&self, action: &'static str, code: &str, took: Duration) {
        lock(&self.0).record(action, code, took);
    }

    /// All requests so far.
    pub fn all(&self) -> RequestStats {
        lock(&self.0).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_counted_apart_up_to_a_bound() {
        let requests = Requests::default();
        for n in 0..100 {
            requests.ended("AttachNetworkInterface", &format!("Code{n}"), Duration::from_millis(30));
        }
        requests.ended("CreateTags", "a \"b\"\n", Duration::from_secs(60));
        requests.ended("CreateTags", "ab", Duration::from_secs(1));
        let stats = requests.all();
        assert_eq!(stats.codes_of("AttachNetworkInterface"), MAX_CODES + 1);
        assert_eq!(stats.by_code[&("AttachNetworkInterface", "Code0".to_owned())], 1);
        assert_eq!(stats.by_code[&("AttachNetworkInterface", OTHER.to_owned())], 60);
        assert_eq!(stats.by_code[&("CreateTags", "ab".to_owned())], 2, "quotes and line breaks are left out");
        assert_eq!(stats.durations[&("AttachNetworkInterface", OTHER.to_owned())].count(), 60);
        assert!((stats.durations[&("CreateTags", "ab".to_owned())].sum() - 61.0).abs() < 1e-9);
    }
}
