//! Decides where traces go, as the OpenTelemetry specification says, and what the log may show of that address. It is given the
//! flag and a lookup of variables, and reads no variable itself.

use http::Uri;

/// The path of traces below a collector's address.
const PATH: &str = "v1/traces";

/// What has set where traces go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// The flag, for this process alone.
    Flag,
    /// A variable, which an injector may set for every pod of a cluster.
    Variable,
}

/// The URL to which traces are sent, and what has set it. None: nothing is sent. `flag` is the address of a collector; without
/// it the `variable` OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is, and then OTEL_EXPORTER_OTLP_ENDPOINT, again the address
/// of a collector. The path of traces is appended to such an address. OTEL_SDK_DISABLED=true and OTEL_TRACES_EXPORTER=none turn
/// the traces off in any case.
pub fn traces_url(flag: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Option<(String, SetBy)> {
    let is = |name, value: &str| variable(name).is_some_and(|text| text.trim().eq_ignore_ascii_case(value));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let of_collector = |base: String| format!("{}/{PATH}", base.trim_end_matches('/'));
    if let Some(flag) = given(flag.map(str::to_owned)) {
        return Some((of_collector(flag), SetBy::Flag));
    }
    let traces = given(variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
    let url = traces.or_else(|| given(variable("OTEL_EXPORTER_OTLP_ENDPOINT")).map(of_collector))?;
    Some((url, SetBy::Variable))
}

/// An address as the log and errors may show it: without user information and query, where a key may be.
pub fn without_secrets(url: &str) -> String {
    let parsed = url.parse::<Uri>().ok();
    if let Some(uri) = &parsed
        && let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host())
    {
        let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        return format!("{scheme}://{host}{port}{}", uri.path());
    }
    // Where there is no URL, nobody knows which part before an @ is a password.
    if url.contains('@') { "…".to_owned() } else { url.split(['?', '#']).next().unwrap_or_default().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

    fn url(flag: Option<&str>, variables: &[(&str, &str)]) -> Option<(String, SetBy)> {
        traces_url(flag, |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_flag_goes_first_then_the_variable_for_traces_and_the_path_is_appended_to_a_collector() {
        let (http, traces) = ("http://collector:4318", "http://other/traces");
        let of_collector = "http://collector:4318/v1/traces";
        let is_set = |url: &str, by| Some((url.to_owned(), by));
        assert_eq!(url(None, &[]), None);
        assert_eq!(url(Some(""), &[(COLLECTOR, ""), (TRACES, " ")]), None);
        assert_eq!(url(Some(http), &[]), is_set(of_collector, SetBy::Flag));
        assert_eq!(url(Some(http), &[(COLLECTOR, "x"), (TRACES, traces)]), is_set(of_collector, SetBy::Flag));
        assert_eq!(url(None, &[(COLLECTOR, http)]), is_set(of_collector, SetBy::Variable));
        assert_eq!(url(Some(" "), &[(COLLECTOR, http), (TRACES, "")]), is_set(of_collector, SetBy::Variable));
        assert_eq!(url(None, &[(COLLECTOR, http), (TRACES, traces)]), is_set(traces, SetBy::Variable));
        let below = is_set("https://collector/otlp/v1/traces", SetBy::Flag);
        assert_eq!(url(Some("https://collector/otlp/"), &[]), below);
    }

    #[test]
    fn the_standard_switches_turn_traces_off_also_those_of_the_flag() {
        for (name, value, is_on) in [
            ("OTEL_SDK_DISABLED", "true", false),
            ("OTEL_SDK_DISABLED", " True", false),
            ("OTEL_SDK_DISABLED", "false", true),
            ("OTEL_SDK_DISABLED", "1", true),
            ("OTEL_TRACES_EXPORTER", "none", false),
            ("OTEL_TRACES_EXPORTER", "otlp", true),
        ] {
            assert_eq!(url(Some("http://c"), &[(name, value)]).is_some(), is_on, "{name}={value}");
            assert_eq!(url(None, &[(name, value), (COLLECTOR, "http://c")]).is_some(), is_on, "{name}={value}");
        }
    }

    #[test]
    fn what_is_shown_of_an_address_has_no_user_and_no_query() {
        for (url, shown) in [
            ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
            ("https://user:pw@collector/otlp/v1/traces?api-key=k", "https://collector/otlp/v1/traces"),
            ("http://collector/a?key=b@c", "http://collector/a"),
            ("http://[::1]:4318/v1/traces#k", "http://[::1]:4318/v1/traces"),
            ("grpc://user:pw@collector/v1/traces", "grpc://collector/v1/traces"),
            ("collector:4317/v1/traces", "collector:4317/v1/traces"),
            ("collector:4317?api-key=k/v1/traces", "collector:4317"),
            ("user:pw@collector:4317", "…"),
            ("http://user:p?w@collector", "http://user/"),
            ("http://a b:p?w@collector", "…"),
        ] {
            assert_eq!(without_secrets(url), shown, "{url}");
        }
    }
}
