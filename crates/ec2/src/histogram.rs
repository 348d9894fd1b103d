//! A histogram of durations, as plain data. The bounds are fixed when it is made, so its size never grows.

/// How many durations fell between the bounds, and their sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than there are bounds: the last one counts what is above all bounds.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// An empty histogram with these upper bounds, in seconds and ascending.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Counts one duration in seconds. A negative duration, from a clock that was set back, counts as zero.
    pub fn observe(&mut self, seconds: f64) {
        let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
        let place = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.sum += seconds;
    }

    /// The sum of all durations, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each upper bound with the number of durations between it and the bound before. The last bound is infinite.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        self.bounds.iter().copied().chain([f64::INFINITY]).zip(self.counts.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_at_the_first_bound_that_it_does_not_exceed() {
        let mut histogram = Histogram::new(&[0.5, 1.0]);
        [0.25, 0.5, 0.75, 1.0, 7.5, -3.0, f64::NAN].into_iter().for_each(|seconds| histogram.observe(seconds));
        assert_eq!(histogram.buckets(), [(0.5, 4), (1.0, 2), (f64::INFINITY, 1)]);
        assert_eq!((histogram.count(), histogram.sum()), (7, 10.0));
    }
}
