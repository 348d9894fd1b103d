//! Says a warning once, until its text is another one or its cause has gone. Nothing is logged here.

use std::sync::{Mutex, PoisonError};

/// What was said last.
#[derive(Debug, Default)]
pub struct SaidOnce(Mutex<Option<String>>);

impl SaidOnce {
    /// Whether the text was not said last. It counts as said from now on.
    pub fn is_new(&self, text: &str) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = last.as_deref() != Some(text);
        if is_new {
            *last = Some(text.to_owned());
        }
        is_new
    }

    /// The cause has gone.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_new_until_it_is_said_and_again_when_its_cause_comes_back() {
        let said = SaidOnce::default();
        assert!(said.is_new("a") && !said.is_new("a") && said.is_new("b") && said.is_new("a"));
        said.forget();
        assert!(said.is_new("a"));
    }
}
