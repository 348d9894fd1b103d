//! The XML of EC2's answers, escaped by quick-xml.
//!
//! [`Element`] writes one element; [`answer`] and [`error`] write whole bodies. Nothing here knows what an action answers.

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::escape::escape;

use super::api_error::ApiError;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// An element whose content, text or elements, is written while it is built.
#[derive(Clone, Debug)]
pub(super) struct Element {
    name: &'static str,
    inside: String,
}

impl Element {
    pub fn new(name: &'static str) -> Self {
        Self { name, inside: String::new() }
    }

    /// An element that contains text.
    pub fn leaf(name: &'static str, text: impl ToString) -> Self {
        Self { name, inside: escape(text.to_string().as_str()).into_owned() }
    }

    /// A set: the items, as children.
    pub fn set(name: &'static str, items: impl IntoIterator<Item = Element>) -> Self {
        items.into_iter().fold(Self::new(name), Self::child)
    }

    /// Adds a child that contains text.
    pub fn with(mut self, name: &'static str, text: impl ToString) -> Self {
        let out = &mut self.inside;
        out.extend(["<", name, ">"]);
        out.push_str(&escape(text.to_string().as_str()));
        out.extend(["</", name, ">"]);
        self
    }

    /// Adds a child that contains text, if there is text.
    pub fn with_some(self, name: &'static str, text: Option<impl ToString>) -> Self {
        match text {
            Some(text) => self.with(name, text),
            None => self,
        }
    }

    /// Adds a child.
    pub fn child(mut self, child: Element) -> Self {
        child.write(&mut self.inside);
        self
    }

    /// Adds a child, if there is one.
    pub fn child_some(self, child: Option<Element>) -> Self {
        match child {
            Some(child) => self.child(child),
            None => self,
        }
    }

    /// Removes the elements in `without` and replaces the texts of the elements in `texts`, at any depth.
    pub fn shaped(mut self, without: &BTreeSet<&'static str>, texts: &BTreeMap<&'static str, String>) -> Self {
        for name in without {
            self.replace(name, None);
        }
        for (name, text) in texts {
            self.replace(name, Some(text));
        }
        self
    }

    fn replace(&mut self, name: &str, text: Option<&String>) {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let (mut out, mut rest) = (String::with_capacity(self.inside.len()), self.inside.as_str());
        while let Some((before, tail)) = rest.split_once(&open) {
            let Some((_, after)) = tail.split_once(&close) else { break };
            out.push_str(before);
            if let Some(text) = text {
                out.extend([open.as_str(), &escape(text.as_str()), close.as_str()]);
            }
            rest = after;
        }
        out.push_str(rest);
        self.inside = out;
    }

    fn write(&self, out: &mut String) {
        out.extend(["<", self.name, ">", self.inside.as_str(), "</", self.name, ">"]);
    }
}

/// `<{action}Response xmlns=…><requestId>…</requestId>…`. `action` is not escaped: it is the name of a known action.
pub(super) fn answer(action: &str, request_id: &str, body: &[Element]) -> Vec<u8> {
    let mut out = declared();
    out.extend(["<", action, "Response xmlns=\"", NAMESPACE, "\">"]);
    Element::leaf("requestId", request_id).write(&mut out);
    for element in body {
        element.write(&mut out);
    }
    out.extend(["</", action, "Response>"]);
    out.into_bytes()
}

/// `<Response><Errors><Error>…`
pub(super) fn error(error: &ApiError, request_id: &str) -> Vec<u8> {
    let mut out = declared();
    let element = Element::new("Error").with("Code", &error.code).with("Message", &error.message);
    Element::new("Response").child(Element::set("Errors", [element])).with("RequestID", request_id).write(&mut out);
    out.into_bytes()
}

/// A body that begins with the XML declaration.
fn declared() -> String {
    let mut out = String::with_capacity(2048);
    out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out
}
