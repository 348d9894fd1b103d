//! Counters that events increase while the process runs. The number of label values is bounded.

use super::exposition::{Row, Value};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many different combinations of label values are counted apart. All further combinations count as [`OTHER`].
const MAX_SERIES: usize = 200;
/// Stands for the label values beyond [`MAX_SERIES`].
const OTHER: &str = "other";

/// The counters of one metric, by the values of its labels.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<Vec<String>, u64>>);

impl Counters {
    /// Counters that begin with zero for these values of a single label.
    pub fn beginning_with(values: &[&str]) -> Self {
        Self(Mutex::new(values.iter().map(|value| (vec![(*value).to_owned()], 0)).collect()))
    }

    /// Counters that begin with zero for these values of two labels.
    pub fn beginning_with_pairs<'a>(values: impl IntoIterator<Item = [&'a str; 2]>) -> Self {
        Self(Mutex::new(values.into_iter().map(|pair| (pair.map(str::to_owned).to_vec(), 0)).collect()))
    }

    /// A counter without labels.
    pub fn unlabelled() -> Self {
        Self(Mutex::new(BTreeMap::from([(Vec::new(), 0)])))
    }

    /// Counts one event.
    pub fn count<const N: usize>(&self, labels: [&str; N]) {
        let mut key = labels.map(str::to_owned).to_vec();
        let mut counts = self.lock();
        if counts.len() >= MAX_SERIES && !counts.contains_key(&key) {
            key.iter_mut().for_each(|value| OTHER.clone_into(value));
        }
        *counts.entry(key).or_default() += 1;
    }

    /// The counter with these label values; zero if nothing was counted.
    pub fn of<const N: usize>(&self, labels: [&str; N]) -> u64 {
        self.lock().get(labels.map(str::to_owned).as_slice()).copied().unwrap_or_default()
    }

    /// All counters.
    pub fn rows(&self) -> Vec<Row> {
        self.lock().iter().map(|(labels, count)| (labels.clone(), Value::Count(*count))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<String>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_label_values_are_counted_together() {
        let counters = Counters::beginning_with(&["known"]);
        assert_eq!(counters.rows(), [(vec!["known".to_owned()], Value::Count(0))]);
        (0..300).for_each(|n| counters.count([&format!("v{n}")]));
        counters.count(["known"]);
        let rows = counters.rows();
        assert_eq!(rows.len(), MAX_SERIES + 1);
        assert!(rows.contains(&(vec!["known".to_owned()], Value::Count(1))));
        assert_eq!((counters.of(["known"]), counters.of(["v0"]), counters.of(["v299"])), (1, 1, 0));
        assert!(rows.contains(&(vec![OTHER.to_owned()], Value::Count(101))), "{rows:?}");
    }
}
