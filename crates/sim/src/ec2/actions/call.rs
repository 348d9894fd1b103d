//! What an action is given, [`Call`], and what it answers, [`Response`].

use crate::ec2::faults::Fault;
use crate::ec2::params::Params;
use crate::ec2::xml::Element;

/// A request that takes effect now.
pub(in crate::ec2) struct Call {
    pub params: Params,
    pub fault: Option<Fault>,
    /// A forced detach ends at once, without the usual delay.
    pub at_once: bool,
}

impl Call {
    /// A call as a test makes it by hand: without fault.
    pub fn by_hand(params: Params) -> Self {
        Self { params, fault: None, at_once: true }
    }
}

/// The answer to a call that succeeded.
#[derive(Default)]
pub(in crate::ec2) struct Response {
    pub body: Vec<Element>,
    /// The interface that a Create made.
    pub eni_id: Option<String>,
    /// The number of items in a Describe's answer.
    pub items: Option<usize>,
}

impl Response {
    /// `<return>true</return>`, the answer of calls that return no data.
    pub fn return_true() -> Self {
        Self { body: vec![Element::leaf("return", true)], ..Self::default() }
    }

    /// A page of a Describe's answer.
    pub fn list(set: &'static str, items: Vec<Element>, next_token: Option<String>) -> Self {
        let count = items.len();
        let mut body = vec![Element::set(set, items)];
        body.extend(next_token.map(|token| Element::leaf("nextToken", token)));
        Self { body, eni_id: None, items: Some(count) }
    }
}
