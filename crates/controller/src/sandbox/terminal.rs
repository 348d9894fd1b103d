//! The running account in the terminal: lines that stay, and one line of progress below them on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use multi_eni_sim::ec2::{CallRecord, Outcome};
use std::process::ExitCode;
use std::time::Instant;

/// Where the story is told. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Account {
    begun: Instant,
    bar: ProgressBar,
}

impl Account {
    /// With a line of progress if there is a terminal for it.
    pub fn new(terminal: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if terminal {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg}") {
                bar.set_style(style);
            }
        }
        Self { begun: Instant::now(), bar }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        self.bar.suspend(|| println!("{text}"));
    }

    /// A heading.
    pub fn headline(&self, text: &str) {
        self.line(&format!("\n{text}"));
    }

    /// Something that happened, with the seconds since the start.
    pub fn event(&self, who: &str, what: &str) {
        self.line(&format!("  {:6.1}s  {who:<10} {what}", self.begun.elapsed().as_secs_f64()));
    }

    /// What is waited for now.
    pub fn progress(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        self.bar.tick();
    }

    /// Nothing is waited for.
    pub fn settled(&self) {
        self.bar.finish_and_clear();
    }

    /// A call that EC2 got: those that change something, and refusals.
    pub fn call(&self, call: &CallRecord) {
        let refused = match &call.outcome {
            Outcome::Done => None,
            Outcome::Refused(code) => Some(format!("refused: {code}")),
            Outcome::NeverArrived => Some("never arrived".to_owned()),
        };
        if call.action.starts_with("Describe") && refused.is_none() {
            return;
        }
        let ids = [&call.eni_id, &call.attachment_id, &call.instance_id];
        let ids: Vec<&str> = ids.into_iter().flatten().map(String::as_str).collect();
        let line = format!("{:<32} {} {}", call.action, ids.join(" → "), refused.unwrap_or_default());
        self.event("EC2", line.trim_end());
    }

    /// Ends the story before it began.
    pub fn fail(&self, reason: &str) -> ExitCode {
        self.settled();
        eprintln!("Error: {reason}");
        ExitCode::FAILURE
    }
}
