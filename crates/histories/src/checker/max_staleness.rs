//! How long a replica may not know of a change. The checker judges an action only by facts that are older than these times.

use crate::script::Millis;

/// How old a replica's view of EC2 and of the API server may be: a watch that brings nothing for 60 s, one resync a minute, and a
/// minute of EC2's lag.
pub(super) const MAX_STALENESS: Millis = 200_000;

/// How old a replica's view of watched objects may be: a watch may bring nothing for a time, and take a time to start again.
pub(super) const MAX_WATCH_STALENESS: Millis = 100_000;

/// How old a replica's answer to the question which subnet or group a name stands for may be.
pub(super) const MAX_NAME_AGE: Millis = 300_000;
