//! Times that lie ahead, in sentences for people. A message may be written after such a time has come, for example while an answer of
//! EC2 is late: then it says that what follows is due. Every message that names a time of the future uses these functions.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// `until 2026-01-01T00:03:00Z`, or `until EVENT, which is due now`, if that time has come.
pub fn until(at: Timestamp, now: Timestamp, event: &str) -> String {
    match ahead(at, now) {
        Some(at) => format!("until {at}"),
        None => format!("until {event}, which is due now"),
    }
}

/// `at 2026-01-01T00:03:00Z`, or `due now`.
pub fn when(at: Timestamp, now: Timestamp) -> String {
    ahead(at, now).map_or_else(|| "due now".to_owned(), |at| format!("at {at}"))
}

/// `from 2026-01-01T00:03:00Z on`, or `from now on`.
pub fn from(at: Timestamp, now: Timestamp) -> String {
    ahead(at, now).map_or_else(|| "from now on".to_owned(), |at| format!("from {at} on"))
}

/// The time in whole seconds, rounded up, so that it lies ahead as the time itself does. None: it has come.
fn ahead(at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let up = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
    (at > now).then(|| at.round(up).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_767_225_600_000 + milliseconds).unwrap()
    }

    #[test]
    fn a_time_that_has_come_is_not_named() {
        let says = |time: i64, now: i64| {
            let (time, now) = (at(time), at(now));
            [until(time, now, "the next lookup"), when(time, now), from(time, now)]
        };
        let named = ["until 2026-01-01T00:03:00Z", "at 2026-01-01T00:03:00Z", "from 2026-01-01T00:03:00Z on"];
        assert_eq!(says(180_000, 179_999), named);
        assert_eq!(says(180_000, 180_000), ["until the next lookup, which is due now", "due now", "from now on"]);
        assert_eq!(says(180_000, 181_000), says(180_000, 180_000));
        // Rounded to the nearest second, it would lie in the past.
        assert_eq!(says(179_100, 179_050), named);
    }
}
