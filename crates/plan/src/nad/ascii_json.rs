//! JSON in ASCII. YAML takes some characters beyond ASCII for the end of a line.

use serde::Serialize;
use std::fmt::Write as _;

/// JSON in ASCII with indentation.
pub(super) fn pretty(value: &impl Serialize) -> String {
    // A value of plain structs always has a JSON form.
    ascii(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// JSON with the characters beyond ASCII escaped. They occur only in its strings.
pub(super) fn ascii(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        if matches!(c, ' '..='~' | '\n') {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String never fails.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        out
    })
}
