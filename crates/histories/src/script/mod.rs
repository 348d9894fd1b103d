//! A history as plain data, and as text: what there is, what happens, what goes wrong, and when it stops going wrong.
//!
//! A script is YAML. [`Script::text`] writes an event and a fault a line, so that people can read, cut and edit it.

mod faults;
mod operation;
mod setting;
mod validate;

pub use faults::{Befallen, Fault, Faults, Rates, Seam};
pub use operation::{HandChange, Operation, Target};
pub use setting::{Graces, Setting, SubnetPlace};

use serde::{Deserialize, Serialize};

/// Milliseconds since the beginning of a history.
pub type Millis = u64;

/// A history, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Why it is kept, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Decides IDs, delays, and whom faults by rate befall.
    pub seed: u64,
    /// How the world is made.
    #[serde(default)]
    pub setting: Setting,
    /// What happens, in order.
    pub events: Vec<Event>,
    /// What goes wrong with requests.
    #[serde(default)]
    pub trouble: Faults,
    /// When faults stop and all circumstances are mended.
    pub calm_at: Millis,
    /// Whether an idle hour is watched at the end.
    #[serde(default)]
    pub idle_hour: bool,
}

/// Something that happens at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Millis,
    /// What.
    #[serde(flatten)]
    pub act: Operation,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// If it is no YAML of this form; the message says where.
    pub fn parse(text: &str) -> Result<Self, serde_yaml::Error> {
        serde_yaml::from_str(text)
    }

    /// Writes it, an event and a fault a line. Each line's value is JSON, which is YAML, too.
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
        for befallen in &self.trouble.listed {
            out += &format!("  - {}\n", json(befallen));
        }
        out += &format!("calm_at: {}\nidle_hour: {}\n", self.calm_at, self.idle_hour);
        out
    }
}

/// One line of JSON.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
