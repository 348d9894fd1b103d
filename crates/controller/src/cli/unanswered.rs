//! Where a command asked EC2, for the message if EC2 did not answer. The SDK takes both from the environment.

/// The endpoint and the Region that were asked, as a sentence.
pub(super) fn asked(region: Option<&str>) -> String {
    let set =
        |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value));
    sentence(set("AWS_ENDPOINT_URL_EC2").or_else(|| set("AWS_ENDPOINT_URL")), region)
}

/// `endpoint`: the variable that names the endpoint, and its value.
fn sentence(endpoint: Option<(String, String)>, region: Option<&str>) -> String {
    let region = region.map_or_else(|| "no Region (set AWS_REGION)".to_owned(), |region| format!("Region {region}"));
    match endpoint {
        Some((variable, url)) => format!("EC2 was asked at {url} ({variable}), {region}"),
        None => format!("EC2 was asked at its public endpoint, {region}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_named_with_its_variable() {
        let own = Some(("AWS_ENDPOINT_URL".to_owned(), "http://127.0.0.1:1".to_owned()));
        let expected = "EC2 was asked at http://127.0.0.1:1 (AWS_ENDPOINT_URL), Region eu-west-1";
        assert_eq!(sentence(own, Some("eu-west-1")), expected);
        assert_eq!(sentence(None, None), "EC2 was asked at its public endpoint, no Region (set AWS_REGION)");
    }
}
