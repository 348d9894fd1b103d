//! ENIAttachments from a file instead of the API server: one object, a list as `kubectl get enia -o yaml` writes it, or several
//! documents.

use multi_eni_api::ENIAttachment;
use serde::Deserialize;
use std::path::Path;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {message}")]
pub struct FileError {
    path: String,
    message: String,
}

/// Reads the ENIAttachments of a file.
///
/// # Errors
/// If the file cannot be read, or has something else.
pub fn read(path: &Path) -> Result<Vec<ENIAttachment>, FileError> {
    let error = |message: String| FileError { path: path.display().to_string(), message };
    let text = std::fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
    let mut found = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let value = serde_json::Value::deserialize(document).map_err(|e| error(e.to_string()))?;
        let items = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::Object(mut list)
                if list.get("kind").and_then(|kind| kind.as_str()).is_some_and(|kind| kind.ends_with("List")) =>
            {
                match list.remove("items") {
                    Some(serde_json::Value::Array(items)) => items,
                    _ => return Err(error("the list has no items".to_owned())),
                }
            }
            object => vec![object],
        };
        for item in items {
            found.push(serde_json::from_value(item).map_err(|e| error(format!("this is no ENIAttachment: {e}")))?);
        }
    }
    Ok(found)
}
