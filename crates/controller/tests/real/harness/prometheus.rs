//! Pages of metrics, as Prometheus' own Python client parses them.

use super::{Environment, Failure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/prometheus/parse.py");

/// The pages of several scrapes.
#[derive(Debug, Default)]
pub struct Scrapes {
    /// The type of each metric, by the name that its description has.
    pub types: BTreeMap<String, String>,
    /// The metrics that have had another value than zero.
    pub moved: BTreeSet<String>,
    /// The time series of the last scrape: name, labels, value.
    pub last: Vec<(String, Value, f64)>,
}

impl Scrapes {
    /// Scrapes a replica and adds its page.
    pub fn scrape(&mut self, environment: &Environment, replica: usize) -> Result<(), Failure> {
        let page = environment.replicas[replica].metrics()?;
        self.add(&parse(environment, &page)?);
        Ok(())
    }

    fn add(&mut self, families: &Value) {
        self.last.clear();
        for (name, family) in families.as_object().into_iter().flatten() {
            self.types.insert(name.clone(), family["type"].as_str().unwrap_or_default().to_owned());
            for sample in family["samples"].as_array().into_iter().flatten() {
                let value = sample[2].as_f64().unwrap_or_default();
                if value != 0.0 {
                    self.moved.insert(name.clone());
                }
                self.last.push((sample[0].as_str().unwrap_or_default().to_owned(), sample[1].clone(), value));
            }
        }
    }

    /// The sum of the time series of the last scrape that have this name and these label values.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |found: &Value| labels.iter().all(|(label, value)| found[label] == *value);
        self.last
            .iter()
            .filter(|(found, has_labels, _)| found == name && has(has_labels))
            .map(|(.., value)| value)
            .sum()
    }
}

/// Parses a page with `prometheus_client`, which refuses a page that is not as OpenMetrics demands.
fn parse(environment: &Environment, page: &str) -> Result<Value, Failure> {
    let file = environment.plane.dir().join("metrics.txt");
    fs::write(&file, page).map_err(|e| format!("{}: {e}", file.display()))?;
    let python = python()?;
    let output =
        Command::new(&python).arg("-B").arg(SCRIPT).arg(&file).output().map_err(|e| format!("{python}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{}\n{page}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout).map_err(|e| format!("{SCRIPT}: {e}"))?)
}

/// The Python interpreter: `MULTI_ENI_PYTHON`, or the one of `tools/python-venv`.
fn python() -> Result<String, String> {
    if let Ok(python) = std::env::var("MULTI_ENI_PYTHON") {
        return Ok(python);
    }
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/python-venv");
    let made = Command::new(tool).output().map_err(|e| format!("{tool}: {e}"))?;
    if !made.status.success() {
        return Err(format!("no Python with prometheus_client: {}", String::from_utf8_lossy(&made.stderr)));
    }
    Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned())
}
