//! The error of methods that set up or change an account without an EC2 call.

use super::api_error::ApiError;

/// Why a method could not set up or change the account.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{code}: {message}")]
pub struct WorldError {
    /// EC2's code.
    pub code: String,
    /// What is wrong.
    pub message: String,
}

impl From<ApiError> for WorldError {
    fn from(error: ApiError) -> Self {
        Self { code: error.code.into_owned(), message: error.message }
    }
}

/// The result of setting up or changing an account.
pub(super) type Result<T> = std::result::Result<T, WorldError>;
