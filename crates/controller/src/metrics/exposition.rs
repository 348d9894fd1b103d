//! Writes metrics in the OpenMetrics text format, which Prometheus reads. It is given descriptions and values, and computes none.

use super::description::{Kind, Metric};
use multi_eni_ec2::Histogram;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;

/// The value of one time series.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a counter of seconds.
    Seconds(f64),
    /// Of a gauge.
    Whole(i64),
    /// Of a gauge.
    Number(f64),
    /// Of a histogram.
    Histogram(Histogram),
}

impl Value {
    /// The value of a gauge that counts things.
    pub fn number_of(things: usize) -> Self {
        Self::Whole(i64::try_from(things).unwrap_or(i64::MAX))
    }

    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Count(value) => encoder.encode_counter::<NoLabelSet, u64, u64>(value, None),
            Self::Seconds(value) => encoder.encode_counter::<NoLabelSet, f64, f64>(value, None),
            Self::Whole(value) => encoder.encode_gauge(value),
            Self::Number(value) => encoder.encode_gauge(value),
            Self::Histogram(value) => {
                encoder.encode_histogram::<NoLabelSet>(value.sum(), value.count(), &value.buckets(), None)
            }
        }
    }
}

/// One time series: the values of the labels, in the order of the description, and its value.
pub type Row = (Vec<String>, Value);

/// The metrics of one scrape.
#[derive(Debug, Default)]
pub struct Exposition(Registry);

impl Exposition {
    /// Adds a metric with its time series. A metric without any is left out.
    pub fn add(&mut self, metric: &Metric, rows: impl IntoIterator<Item = Row>) {
        let labelled = |(values, value): Row| (metric.labels.iter().copied().zip(values).collect(), value);
        let rows = Rows { kind: metric.kind, rows: rows.into_iter().map(labelled).collect() };
        match metric.unit() {
            Some((base, unit)) => {
                self.0.register_with_unit(base, metric.help, Unit::Other(unit.to_owned()), rows);
            }
            None => self.0.register(metric.name, metric.help, rows),
        }
    }

    /// Adds a metric without labels.
    pub fn one(&mut self, metric: &Metric, value: Value) {
        self.add(metric, [(Vec::new(), value)]);
    }

    /// The text of the scrape.
    ///
    /// # Errors
    /// If a value cannot be written; none of those above fails.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }
}

/// The time series of one metric.
#[derive(Debug)]
struct Rows {
    kind: Kind,
    rows: Vec<(Vec<(&'static str, String)>, Value)>,
}

impl EncodeMetric for Rows {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, value) in &self.rows {
            if labels.is_empty() {
                value.encode(&mut encoder)?;
            } else {
                value.encode(&mut encoder.encode_family(labels)?)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        }
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_its_type_its_unit_and_a_line_for_each_series() {
        let mut out = Exposition::default();
        let took = Metric::alpha("multi_eni_took_seconds", Kind::Histogram, &["of"], "How long it took");
        let mut histogram = Histogram::new(&[0.5]);
        histogram.observe(0.25);
        out.add(&took, [(vec!["a\"b".to_owned()], Value::Histogram(histogram))]);
        out.one(&Metric::alpha("multi_eni_leads", Kind::Gauge, &[], "Whether it leads"), Value::Whole(1));
        out.one(&Metric::alpha("process_cpu_seconds", Kind::Counter, &[], "CPU time"), Value::Seconds(1.5));
        out.add(&Metric::alpha("multi_eni_none", Kind::Gauge, &["of"], "Nothing"), []);
        let expected = "# HELP multi_eni_took_seconds How long it took.\n\
             # TYPE multi_eni_took_seconds histogram\n\
             # UNIT multi_eni_took_seconds seconds\n\
             multi_eni_took_seconds_sum{of=\"a\\\"b\"} 0.25\n\
             multi_eni_took_seconds_count{of=\"a\\\"b\"} 1\n\
             multi_eni_took_seconds_bucket{le=\"0.5\",of=\"a\\\"b\"} 1\n\
             multi_eni_took_seconds_bucket{le=\"+Inf\",of=\"a\\\"b\"} 1\n\
             # HELP multi_eni_leads Whether it leads.\n\
             # TYPE multi_eni_leads gauge\n\
             multi_eni_leads 1\n\
             # HELP process_cpu_seconds CPU time.\n\
             # TYPE process_cpu_seconds counter\n\
             # UNIT process_cpu_seconds seconds\n\
             process_cpu_seconds_total 1.5\n\
             # EOF\n";
        assert_eq!(out.text().unwrap(), expected);
    }
}
