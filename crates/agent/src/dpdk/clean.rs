//! `multi-eni-agent clean`: gives every device back. A device that a process holds is tried again until the deadline.

use crate::node_agent::{AgentError, NodeAgent, Turn};
use crate::plan::report::{EniReport, Outcome};
use std::thread::sleep;
use std::time::{Duration, Instant};

const AGAIN: Duration = Duration::from_millis(500);

/// Makes turns without ENIs until nothing is bound, or the deadline for devices is over. The result is all of them together.
///
/// # Errors
/// If the node cannot be observed.
pub fn until_given_back(agent: &mut NodeAgent) -> Result<Turn, AgentError> {
    let until = Instant::now().checked_add(agent.binder().deadline());
    let mut all = agent.turn(&[])?;
    while !agent.binder().bindings().devices.is_empty() && until.is_some_and(|until| Instant::now() < until) {
        sleep(AGAIN);
        let turn = agent.turn(&[])?;
        all.steps.extend(turn.steps);
        all.device_steps.extend(turn.device_steps);
        (all.failed, all.reports) = (turn.failed, turn.reports);
    }
    Ok(all)
}

/// What could not be given back, in sentences.
pub fn left(turn: &Turn) -> Vec<String> {
    let sentence = |report: &EniReport| match &report.outcome {
        Outcome::Blocked(obstacle) => Some(format!("{}: {obstacle} ({})", report.attachment, obstacle.reason())),
        Outcome::Configured
        | Outcome::NotManaged
        | Outcome::InUse { .. }
        | Outcome::Bound { .. }
        | Outcome::Restored { .. }
        | Outcome::Changing { .. } => None,
    };
    turn.reports.iter().filter_map(sentence).collect()
}
