//! An ENI that EC2 calls in use while EC2 shows no attachment of it: a branch interface of a trunk, or an attachment that
//! EC2 hides. This file decides when the ENI is looked up again. The ENI is neither attached nor deleted meanwhile.

use super::action::Action;
use super::input::Input;
use super::report::Report;
use crate::message_time::second;
use crate::observed::ObservedEni;
use jiff::{SignedDuration, Timestamp};

/// Shortest time between two lookups of the ENI. Later the time is a fifth of how long the state lasts.
const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(5);

pub(super) fn wait(input: &Input<'_>, eni: &ObservedEni, since: Timestamp) -> (Action, Report) {
    let settings = input.settings;
    let report = if input.now.duration_since(since) < settings.lag {
        // Usually the ENI was just detached.
        Report::in_use(eni)
    } else {
        let message = format!(
            "EC2 has shown {} in use without an attachment since {}: something else uses the ENI (a trunk, or another AWS service), \
             so the controller neither attaches nor deletes it. Release the ENI there",
            eni.id,
            second(since)
        );
        Report::blocked("InUseWithoutAttachment", message)
    };
    let pause = (eni.as_of().duration_since(since) / 5).clamp(FIRST_LOOK, settings.blocked_recheck.max(FIRST_LOOK));
    let again = eni.as_of().saturating_add(pause).unwrap_or(Timestamp::MAX);
    if input.now >= again { (Action::LookupById(eni.id.clone()), report) } else { (Action::Wait, report.until(again)) }
}
