//! Finds the members of a JSON object and the elements of a JSON array in a text, as ranges of bytes. The text must be valid JSON. So
//! a part of it can be replaced, and every other byte stays.

use std::ops::Range;

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The key.
    pub key: String,
    /// Where the value is.
    pub value: Range<usize>,
}

/// The members of the object that is the whole text. None: it is no object.
pub fn members(text: &str) -> Option<Vec<Member>> {
    let mut scanner = Scanner { text: text.as_bytes(), at: 0 };
    scanner.open(b'{')?;
    let mut found = Vec::new();
    while scanner.peek()? != b'}' {
        let key = scanner.value()?;
        let key = serde_json::from_str(text.get(key)?).ok()?;
        scanner.open(b':')?;
        found.push(Member { key, value: scanner.value()? });
        if scanner.peek()? == b',' {
            scanner.open(b',')?;
        }
    }
    Some(found)
}

/// The elements of the array at this place. None: there is no array.
pub fn elements(text: &str, array: &Range<usize>) -> Option<Vec<Range<usize>>> {
    let mut scanner = Scanner { text: text.as_bytes().get(..array.end)?, at: array.start };
    scanner.open(b'[')?;
    let mut found = Vec::new();
    while scanner.peek()? != b']' {
        found.push(scanner.value()?);
        if scanner.peek()? == b',' {
            scanner.open(b',')?;
        }
    }
    Some(found)
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at)?.is_ascii_whitespace() {
            self.at = self.at.saturating_add(1);
        }
        self.text.get(self.at).copied()
    }

    /// Goes past this byte.
    fn open(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at = self.at.saturating_add(1))
    }

    /// Goes past a value.
    fn value(&mut self) -> Option<Range<usize>> {
        self.peek()?;
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            let ends = |byte: &u8| byte.is_ascii_whitespace() || b",:]}".contains(byte);
            match self.text.get(self.at)? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth = depth.saturating_add(1);
                    self.at = self.at.saturating_add(1);
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at = self.at.saturating_add(1);
                }
                _ => self.at = self.at.saturating_add(1),
            }
            if depth == 0 && self.text.get(self.at).is_none_or(ends) {
                return Some(start..self.at);
            }
        }
    }

    /// Goes past a string.
    fn string(&mut self) -> Option<()> {
        loop {
            self.at = self.at.saturating_add(1);
            match self.text.get(self.at)? {
                b'\\' => self.at = self.at.saturating_add(1),
                b'"' => {
                    self.at = self.at.saturating_add(1);
                    return Some(());
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_and_elements_are_found_whatever_their_strings_have() {
        let text = r#" { "a" : [ {"x":"]}\"[,"} ,2,"\\" , [] ,{}, null ], "b\u0063":"}","d":-1.5e3 } "#;
        let found = members(text).unwrap();
        let values: Vec<(&str, &str)> =
            found.iter().map(|member| (member.key.as_str(), &text[member.value.clone()])).collect();
        assert_eq!(values[1..], [("bc", "\"}\""), ("d", "-1.5e3")]);
        let parts: Vec<&str> = elements(text, &found[0].value).unwrap().into_iter().map(|range| &text[range]).collect();
        assert_eq!(parts, [r#"{"x":"]}\"[,"}"#, "2", r#""\\""#, "[]", "{}", "null"]);
        assert_eq!(elements(text, &found[1].value), None);
    }

    #[test]
    fn what_is_no_object_is_none() {
        for text in ["", " ", "[]", "1", "\"{\"", "{", "{\"a\"", "{\"a\":", "{\"a\":[", "}", "{]"] {
            assert_eq!(members(text), None, "{text}");
        }
        assert_eq!(members("{}"), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_run_for_ever(text in "[\\[\\]{}\",:\\\\ a1ü]{0,40}") {
            let _ = members(&text);
            let _ = elements(&text, &(0..text.len()));
            let _ = elements(&text, &(text.len()..text.len() + 9));
        }
    }
}
