//! Output to the terminal: lines that stay, and below them one line of progress if standard error is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use multi_eni_sim::ec2::{CallRecord, Outcome};
use std::process::ExitCode;
use std::time::Instant;

/// The output. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Terminal {
    begun: Instant,
    bar: ProgressBar,
}

impl Terminal {
    /// With a line of progress if `terminal` is true.
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

    /// Prints a line.
    pub fn line(&self, text: &str) {
        self.bar.suspend(|| println!("{text}"));
    }

    /// Prints a heading.
    pub fn heading(&self, text: &str) {
        self.line(&format!("\n{text}"));
    }

    /// Prints an event with the seconds since the start.
    pub fn event(&self, source: &str, what: &str) {
        self.line(&format!("  {:6.1}s  {source:<10} {what}", self.begun.elapsed().as_secs_f64()));
    }

    /// Shows what is awaited now.
    pub fn progress(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        self.bar.tick();
    }

    /// Clears the line of progress.
    pub fn settled(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a call that EC2 got, if the call changes something or was refused.
    pub fn call(&self, call: &CallRecord) {
        let refused = match &call.outcome {
            Outcome::Done => None,
            Outcome::Refused(code) => Some(format!("refused: {code}")),
            Outcome::NeverArrived => Some("lost before EC2 received it".to_owned()),
        };
        if call.action.starts_with("Describe") && refused.is_none() {
            return;
        }
        let ids = [&call.eni_id, &call.attachment_id, &call.instance_id];
        let ids: Vec<&str> = ids.into_iter().flatten().map(String::as_str).collect();
        let line = format!("{:<32} {} {}", call.action, ids.join(" → "), refused.unwrap_or_default());
        self.event("EC2", line.trim_end());
    }

    /// Prints an error that ends the sandbox before the scenario starts.
    pub fn fail(&self, reason: &str) -> ExitCode {
        self.settled();
        eprintln!("Error: {reason}");
        ExitCode::FAILURE
    }
}
