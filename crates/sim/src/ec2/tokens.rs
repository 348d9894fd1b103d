//! Client tokens: CreateNetworkInterface's idempotency.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::model::Eni;
use super::refusal::Refusal;

/// Successful Creates by their token. A Create that failed leaves its token unused.
#[derive(Debug, Default)]
pub(super) struct Tokens(BTreeMap<String, Remembered>);

#[derive(Debug)]
struct Remembered {
    identity: BTreeMap<String, String>,
    answer: Eni,
    at: Timestamp,
}

impl Tokens {
    /// The interface that this token already made.
    ///
    /// If it was deleted since, the original answer is given all the same: AWS documents that a repeated request
    /// "returns the original result without performing any further actions". It is also the harder case for a caller,
    /// who then holds an ID that does not exist and has to notice.
    pub fn answered(
        &mut self,
        token: &str,
        identity: &BTreeMap<String, String>,
        memory: SignedDuration,
        now: Timestamp,
    ) -> Result<Option<Eni>, Refusal> {
        self.0.retain(|_, remembered| now.duration_since(remembered.at) < memory);
        match self.0.get(token) {
            None => Ok(None),
            Some(remembered) if remembered.identity == *identity => Ok(Some(remembered.answer.clone())),
            Some(_) => Err(Refusal::new(
                "IdempotentParameterMismatch",
                format!("The client token '{token}' was used before with different parameters"),
            )),
        }
    }

    pub fn remember(&mut self, token: &str, identity: BTreeMap<String, String>, answer: Eni, at: Timestamp) {
        self.0.insert(token.to_owned(), Remembered { identity, answer, at });
    }
}
