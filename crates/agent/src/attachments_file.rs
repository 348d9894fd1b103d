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

/// Reads the ENIAttachments of a file: those of one Node, as the API server would list them, or all without the Node's name.
///
/// # Errors
/// If the file cannot be read, or has something else.
pub fn read(path: &Path, node: Option<&str>) -> Result<Vec<ENIAttachment>, FileError> {
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
            let object: ENIAttachment =
                serde_json::from_value(item).map_err(|e| error(format!("this is no ENIAttachment: {e}")))?;
            if node.is_none_or(|node| object.spec.node_name == node) {
                found.push(object);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use multi_eni_api::EniAttachmentSpec;
    use serde_json::json;

    #[test]
    fn with_the_name_of_a_node_only_its_eniattachments_are_read() {
        let object = |name: &str, node: &str| {
            ENIAttachment::new(name, EniAttachmentSpec { node_name: node.to_owned(), ..EniAttachmentSpec::default() })
        };
        let list = json!({ "kind": "List", "items": [object("a", "n1"), object("b", "n2")] });
        let path = std::env::temp_dir().join(format!("multi-eni-attachments-{}.yaml", std::process::id()));
        std::fs::write(&path, list.to_string()).unwrap();
        let names = |node: Option<&str>| -> Vec<Option<String>> {
            read(&path, node).unwrap().into_iter().map(|object| object.metadata.name).collect()
        };
        assert_eq!(names(Some("n1")), [Some("a".to_owned())]);
        assert_eq!(names(None).len(), 2);
        std::fs::remove_file(&path).unwrap();
    }
}
