//! How many ENIs a page of a resync asks for. EC2 answers a page of 1,000 ENIs with many addresses slowly, so the number is halved
//! when a page gets no answer, and grows again after resyncs that were answered as a whole. This file only counts; it sends
//! nothing.

use multi_eni_plan::ec2_errors::{Call, CallError, Class, classify};

/// The number is not halved below this. With fewer ENIs a page, a large cluster needs too many calls for one resync.
const LEAST: i32 = 50;
/// After so many whole resyncs in a row the number is doubled. Each doubling may cost one resync that fails.
const WHOLE_RESYNCS: u32 = 10;

/// How many ENIs the next page asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageSize {
    most: i32,
    current: i32,
    whole: u32,
}

impl PageSize {
    /// Begins with the most, which [`Options::page_size`](crate::options::Options::page_size) sets.
    pub fn new(most: i32) -> Self {
        Self { most, current: most, whole: 0 }
    }

    /// Maximum number of ENIs of the next page.
    pub fn current(&self) -> i32 {
        self.current
    }

    /// A resync has ended: as a whole, or by this error. Errors that say nothing about the size of the answer, such as a missing
    /// permission or throttling, do not change the number.
    pub fn resync_ended(&mut self, error: Option<&CallError>) {
        match error.map(|error| classify(Call::Describe, error)) {
            None => {
                self.whole += 1;
                if self.whole >= WHOLE_RESYNCS {
                    (self.current, self.whole) = (self.most.min(self.current.saturating_mul(2)), 0);
                }
            }
            Some(Class::Unknown) => {
                (self.current, self.whole) = (self.current.min((self.current / 2).max(LEAST)), 0);
            }
            Some(_) => self.whole = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_an_answer_halves_the_number_and_ten_whole_resyncs_double_it() {
        let no_answer = CallError::Unknown("timeout after 10s".to_owned());
        let mut size = PageSize::new(1000);
        let mut after = |error: Option<&CallError>, times: u32| {
            (0..times).for_each(|_| size.resync_ended(error));
            size.current()
        };
        assert_eq!(after(Some(&no_answer), 1), 500);
        assert_eq!(after(Some(&no_answer), 1), 250);
        assert_eq!(after(None, 9), 250);
        assert_eq!(after(None, 1), 500);
        assert_eq!(after(None, 10), 1000);
        assert_eq!(after(None, 10), 1000, "never more than the option");
        assert_eq!(after(Some(&no_answer), 20), LEAST, "never less than 50");
    }

    #[test]
    fn a_refused_page_and_a_small_option_change_nothing() {
        let mut size = PageSize::new(1000);
        for code in ["RequestLimitExceeded", "UnauthorizedOperation", "InvalidParameterValue"] {
            size.resync_ended(Some(&CallError::Answered { code: code.to_owned(), message: String::new() }));
            assert_eq!(size.current(), 1000, "{code}");
        }
        let mut size = PageSize::new(5);
        size.resync_ended(Some(&CallError::Unknown(String::new())));
        assert_eq!(size.current(), 5);
    }
}
