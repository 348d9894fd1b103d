//! The fields of an object that the API server does not know, from the message with which it refuses the object. It says so in two
//! forms: for a server-side apply, and for every other write.

/// In front of the fields of a server-side apply that are not in the schema.
const APPLY: &str = "failed to create typed patch object (";
/// In front of the fields of another write.
const STRICT: &str = "strict decoding error: ";

/// The paths of the unknown fields, such as `spec.mtuu`. Empty: the message says something else, or something besides.
pub fn unknown_fields(message: &str) -> Vec<&str> {
    let of_apply = || -> Option<Vec<&str>> {
        let (_, rest) = message.strip_prefix(APPLY)?.split_once("): ")?;
        let lines = rest.strip_prefix("errors:").unwrap_or(rest).trim().lines();
        lines.map(|line| line.trim().strip_prefix('.')?.strip_suffix(": field not declared in schema")).collect()
    };
    let of_others = || -> Option<Vec<&str>> {
        let (_, rest) = message.split_once(STRICT)?;
        rest.split(", ").map(|part| part.strip_prefix("unknown field \"")?.strip_suffix('"')).collect()
    };
    of_apply().or_else(of_others).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_are_found_in_both_forms() {
        let apply = "failed to create typed patch object (/a; networking.k8s.aws/v1alpha1, Kind=NodeENI): ";
        let strict = "NodeENI in version \"v1alpha1\" cannot be handled as a NodeENI: strict decoding error: ";
        for (message, expected) in [
            (format!("{apply}.spec.foo: field not declared in schema"), &["spec.foo"][..]),
            (
                format!(
                    "{apply}errors:\n  .spec.foo: field not declared in schema\n  .spec.nodeConfig.routes[0].via: field not declared in schema"
                ),
                &["spec.foo", "spec.nodeConfig.routes[0].via"],
            ),
            (
                format!("{strict}unknown field \"spec.foo\", unknown field \"spec.nodeConfig.bar\""),
                &["spec.foo", "spec.nodeConfig.bar"],
            ),
        ] {
            assert_eq!(unknown_fields(&message), expected, "{message}");
        }
    }

    #[test]
    fn a_message_that_says_more_is_left_as_it_is() {
        for message in [
            "",
            "NodeENI.networking.k8s.aws \"a\" is invalid: spec.mtu: Invalid value: \"integer\": mtu must be from 576 to 9001 bytes",
            "failed to create typed patch object (/a; g/v1, Kind=NodeENI): errors:\n  .spec.foo: field not declared in schema\n  .spec.mtu: expected numeric, got string",
            "strict decoding error: unknown field \"spec.foo\", duplicate field \"spec.mtu\"",
            "failed to create typed patch object (/a; g/v1, Kind=NodeENI): ",
        ] {
            assert!(unknown_fields(message).is_empty(), "{message}");
        }
    }
}
