//! What was said of the progress of a removal, and whether there is news. It is given the text, and prints nothing.

use super::removal::Removal;
use super::text;
use jiff::Timestamp;

/// The units of a duration in a message.
const UNITS: [&str; 7] = ["ms", "s", "seconds", "min", "minutes", "h", "hours"];

/// The progress that was said last, without its times.
#[derive(Debug, Default)]
pub(super) struct Progress(String);

impl Progress {
    /// How far the removal is, if that is not what was said last. A time that moves is no news.
    pub fn news(&mut self, removal: &Removal) -> Option<String> {
        let text = text::progress(removal);
        let now = without_times(&text);
        (now != self.0).then(|| {
            self.0 = now;
            text
        })
    }
}

/// The text without its moments and durations.
fn without_times(text: &str) -> String {
    let mut words = text.split_whitespace().peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && words.next_if(|unit| UNITS.contains(&bare(unit))).is_some() {
            continue;
        }
        if bare(word).parse::<Timestamp>().is_err() {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// The word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|char: char| !char.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::super::removal::Scope;
    use super::super::removal::tests::{attachment, begun};
    use super::*;
    use crate::watch::Watched;

    /// A removal whose only ENIAttachment is blocked with this message.
    fn blocked(message: &str) -> Removal {
        let mut one = attachment("1", "n1", "a");
        (one.blocked, one.message) = (true, message.into());
        begun(Scope::Cluster, &["a"], &[one])
    }

    #[test]
    fn a_moving_time_alone_is_no_news() {
        let mut said = Progress::default();
        let text = said.news(&blocked("DeviceInUse: process 7 has held it for 30 s")).unwrap();
        assert!(text.ends_with("DeviceInUse: process 7 has held it for 30 s\n"), "{text}");
        assert_eq!(said.news(&blocked("DeviceInUse: process 7 has held it for 31 s")), None);
        assert_eq!(said.news(&blocked("DeviceInUse: process 7 has held it for 2 min")), None);
        assert!(said.news(&blocked("DeviceInUse: process 8 has held it for 2 min")).is_some(), "another process");
        assert!(said.news(&blocked("Refused: until 2026-11-30T12:05:00Z, 3 calls")).is_some());
        assert_eq!(said.news(&blocked("Refused: until 2026-11-30T12:05:15Z, 3 calls")), None);
        assert!(said.news(&blocked("Refused: until 2026-11-30T12:05:15Z, 4 calls")).is_some(), "another number");
    }

    #[test]
    fn each_eni_that_is_gone_is_news_once() {
        let all = [attachment("1", "n1", "a"), attachment("2", "n2", "a"), attachment("3", "n3", "a")];
        let mut removal = begun(Scope::Cluster, &["a"], &all);
        let mut said = Progress::default();
        assert_eq!(said.news(&removal).as_deref(), Some("0 of 3 ENIs are gone\n"));
        assert_eq!(said.news(&removal), None);
        for (uid, expected) in [("1", "1 of 3 ENIs is gone\n"), ("2", "2 of 3 ENIs are gone\n")] {
            removal.attachments.take(Watched::Delete { name: String::new(), uid: uid.into(), version: String::new() });
            assert_eq!(said.news(&removal).as_deref(), Some(expected));
            assert_eq!(said.news(&removal), None);
        }
    }
}
