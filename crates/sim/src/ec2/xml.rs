//! XML answers: a small tree, written by quick-xml.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use super::refusal::Refusal;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// An element with either text or children.
#[derive(Clone, Debug)]
pub(super) struct Element {
    name: &'static str,
    text: Option<String>,
    children: Vec<Element>,
}

impl Element {
    pub fn new(name: &'static str) -> Self {
        Self { name, text: None, children: Vec::new() }
    }

    pub fn leaf(name: &'static str, text: impl ToString) -> Self {
        Self { name, text: Some(text.to_string()), children: Vec::new() }
    }

    /// A set: one `<item>` for each.
    pub fn set(name: &'static str, items: impl IntoIterator<Item = Element>) -> Self {
        Self { name, text: None, children: items.into_iter().collect() }
    }

    pub fn with(mut self, name: &'static str, text: impl ToString) -> Self {
        self.children.push(Self::leaf(name, text));
        self
    }

    pub fn with_some(self, name: &'static str, text: Option<impl ToString>) -> Self {
        match text {
            Some(text) => self.with(name, text),
            None => self,
        }
    }

    pub fn child(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    pub fn child_some(self, child: Option<Element>) -> Self {
        match child {
            Some(child) => self.child(child),
            None => self,
        }
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        writer.write_event(Event::Start(BytesStart::new(self.name)))?;
        if let Some(text) = &self.text {
            writer.write_event(Event::Text(BytesText::new(text)))?;
        }
        for child in &self.children {
            child.write(writer)?;
        }
        writer.write_event(Event::End(BytesEnd::new(self.name)))
    }
}

/// `<{action}Response xmlns=…><requestId>…</requestId>…`
pub(super) fn answer(action: &str, request_id: &str, body: &[Element]) -> io::Result<Vec<u8>> {
    let name = format!("{action}Response");
    let mut writer = declared()?;
    let mut start = BytesStart::new(name.as_str());
    start.push_attribute(("xmlns", NAMESPACE));
    writer.write_event(Event::Start(start))?;
    Element::leaf("requestId", request_id).write(&mut writer)?;
    for element in body {
        element.write(&mut writer)?;
    }
    writer.write_event(Event::End(BytesEnd::new(name.as_str())))?;
    Ok(writer.into_inner())
}

/// `<Response><Errors><Error>…`
pub(super) fn refusal(refusal: &Refusal, request_id: &str) -> io::Result<Vec<u8>> {
    let mut writer = declared()?;
    let error = Element::new("Error").with("Code", &refusal.code).with("Message", &refusal.message);
    Element::new("Response").child(Element::set("Errors", [error])).with("RequestID", request_id).write(&mut writer)?;
    Ok(writer.into_inner())
}

fn declared() -> io::Result<Writer<Vec<u8>>> {
    let mut writer = Writer::new(Vec::with_capacity(1024));
    writer.get_mut().extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    Ok(writer)
}
