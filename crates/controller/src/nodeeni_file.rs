//! Reads the NodeENIs of a YAML file as JSON values. It checks their kind and name, but not their fields: the CRD's schema does
//! that.

use serde_json::Value;

/// The NodeENIs of a YAML text. Any other object in it is an error. `title` names the text in errors.
pub fn parse(title: &str, text: &str) -> Result<Vec<Value>, String> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value: Value =
            serde::Deserialize::deserialize(document).map_err(|error| format!("{title} is not YAML: {error}"))?;
        match value["kind"].as_str() {
            _ if value.is_null() => {}
            Some("NodeENI") if value["metadata"]["name"].is_string() => objects.push(value),
            Some("NodeENI") => return Err(format!("{title}: a NodeENI has no metadata.name")),
            other => {
                return Err(format!(
                    "{title}: only NodeENIs are accepted, not {}",
                    other.unwrap_or("an object without a kind")
                ));
            }
        }
    }
    if objects.is_empty() {
        return Err(format!("{title} contains no NodeENI"));
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_nodeeni_is_refused_with_a_reason() {
        assert!(parse("f", "kind: Pod\n").unwrap_err().contains("only NodeENIs are accepted, not Pod"));
        assert!(parse("f", "").unwrap_err().contains("no NodeENI"));
        assert!(parse("f", ": : [").unwrap_err().contains("not YAML"));
    }
}
