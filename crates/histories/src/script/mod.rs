//! A history as plain data and as text: the setting, the operations with their times, the faults, and when the faults stop.
//!
//! A script is YAML. [`Script::text`] writes one line for each event and each fault, so that a person can read and edit it.

mod faults;
mod operation;
mod operation_values;
mod placement;
mod setting;
mod validate;

pub use faults::{Fault, Faults, InjectedFault, Rates, Seam};
pub use operation::Operation;
pub use operation_values::{HandChange, Target, UnsupportedKind};
pub use placement::Placement;
pub use setting::{Graces, Setting, SubnetPlace};

use serde::{Deserialize, Serialize};

/// Milliseconds since the beginning of a history.
pub type Millis = u64;

/// A whole history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// One sentence that says why the script is kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The seed of IDs, delays and random faults.
    pub seed: u64,
    /// The setting of EC2, the API server and the controller.
    #[serde(default)]
    pub setting: Setting,
    /// The operations, in order.
    pub events: Vec<Event>,
    /// The faults of requests.
    #[serde(default)]
    pub trouble: Faults,
    /// When faults stop and the environment is restored.
    pub calm_at: Millis,
    /// Whether the controller is watched for an hour at rest at the end.
    #[serde(default)]
    pub idle_hour: bool,
}

/// An operation and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it happens.
    pub at: Millis,
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// If the text is no YAML of this form; the message says where.
    pub fn parse(text: &str) -> Result<Self, serde_yaml::Error> {
        serde_yaml::from_str(text)
    }

    /// Writes the script, one line for each event and each fault. The value of each line is JSON, which is also YAML.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if !self.about.is_empty() {
            out += &format!("about: {}\n", json(&self.about));
        }
        out += &format!("seed: {}\nsetting: {}\nevents:\n", self.seed, json(&self.setting));
        for event in &self.events {
            out += &format!("- {}\n", json(event));
        }
        out += &format!(
            "trouble:\n  rates: {}\n  listed:{}\n",
            json(&self.trouble.rates),
            if self.trouble.listed.is_empty() { " []" } else { "" }
        );
        for injected in &self.trouble.listed {
            out += &format!("  - {}\n", json(injected));
        }
        out += &format!("calm_at: {}\nidle_hour: {}\n", self.calm_at, self.idle_hour);
        out
    }
}

/// The value as one line of JSON.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
