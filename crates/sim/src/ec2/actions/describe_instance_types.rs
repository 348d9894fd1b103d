//! DescribeInstanceTypes. The answer has the network part only.

use super::{Call, Response};
use crate::ec2::api_error::ApiError;
use crate::ec2::catalog::{InstanceType, TYPES, instance_type};
use crate::ec2::filters::Filters;
use crate::ec2::pages::Page;
use crate::ec2::state::State;
use crate::ec2::xml::Element;

pub(super) const PARAMETERS: &[&str] =
    &["Filter", "IncludeUnsupportedInRegion", "InstanceType", "MaxResults", "NextToken"];

/// EC2's limit for the types in a request. A page has 5 to 100 types.
const MOST: usize = 100;

pub(super) fn describe(state: &mut State, call: &Call) -> Result<Response, ApiError> {
    let filters = Filters::read(&call.params, &["instance-type"])?;
    let names = call.params.list("InstanceType");
    if names.len() > MOST {
        return Err(ApiError::value(format!("At most {MOST} instance types may be described at once")));
    }
    let page = Page::read(&call.params, &names, (5, 100), &state.settings, state.now)?;
    let unknown: Vec<&str> = names.iter().map(String::as_str).filter(|name| instance_type(name).is_none()).collect();
    if !unknown.is_empty() {
        return Err(ApiError::new(
            "InvalidInstanceType",
            format!("The following supplied instance types do not exist: [{}]", unknown.join(", ")),
        ));
    }
    let all = TYPES.iter().map(|found| (found.name, found));
    let (items, next) = page.cut(all, |found: &&InstanceType| {
        (names.is_empty() || names.iter().any(|name| name == found.name))
            && filters.pass(&std::collections::BTreeMap::new(), |_| vec![found.name.to_owned()])
    });
    Ok(Response::list("instanceTypeSet", items.into_iter().map(element).collect(), next))
}

fn element(found: &InstanceType) -> Element {
    let cards = found.cards.iter().enumerate().map(|(index, most)| {
        Element::new("item").with("networkCardIndex", index).with("maximumNetworkInterfaces", most)
    });
    let network = Element::new("networkInfo")
        .with("maximumNetworkInterfaces", found.interfaces())
        .with("maximumNetworkCards", found.cards.len())
        .with("defaultNetworkCardIndex", 0)
        .child(Element::set("networkCards", cards))
        .with("ipv4AddressesPerInterface", found.ipv4_per_interface)
        .with("ipv6AddressesPerInterface", found.ipv4_per_interface)
        .with("ipv6Supported", true)
        .with("enaSupport", "required")
        .with("efaSupported", found.efa);
    Element::new("item").with("instanceType", found.name).with("currentGeneration", true).child(network)
}
