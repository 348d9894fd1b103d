//! Client tokens: the idempotency of CreateNetworkInterface.
//!
//! [`ClientTokens`] remembers successful Creates only, and for a limited time that the settings give.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::api_error::ApiError;
use super::model::Eni;

/// Successful Creates by their token. A Create that fails leaves its token unused.
#[derive(Debug, Default)]
pub(super) struct ClientTokens(BTreeMap<String, TokenRecord>);

#[derive(Debug)]
struct TokenRecord {
    identity: BTreeMap<String, String>,
    answer: Eni,
    at: Timestamp,
}

impl ClientTokens {
    /// The interface that an earlier Create with this token answered.
    ///
    /// The answer stays the same if the interface was deleted since. AWS documents that a repeated request "returns the
    /// original result without performing any further actions". This is also the harder case for a caller, which then gets an
    /// ID that does not exist.
    pub fn answered(
        &mut self,
        token: &str,
        identity: &BTreeMap<String, String>,
        memory: SignedDuration,
        now: Timestamp,
    ) -> Result<Option<Eni>, ApiError> {
        self.0.retain(|_, remembered| now.duration_since(remembered.at) < memory);
        match self.0.get(token) {
            None => Ok(None),
            Some(remembered) if remembered.identity == *identity => Ok(Some(remembered.answer.clone())),
            Some(_) => Err(ApiError::new(
                "IdempotentParameterMismatch",
                format!("The client token '{token}' was used before with different parameters"),
            )),
        }
    }

    /// Remembers a successful Create.
    pub fn remember(&mut self, token: &str, identity: BTreeMap<String, String>, answer: Eni, at: Timestamp) {
        self.0.insert(token.to_owned(), TokenRecord { identity, answer, at });
    }
}
