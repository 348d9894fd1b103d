//! What an operation on the environment returns.

/// What an operation changed, in words for the trace; or why it changed nothing, because it was refused or found no target.
pub type OperationResult = Result<String, String>;
