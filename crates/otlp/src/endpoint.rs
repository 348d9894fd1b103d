//! Decides where traces go, as the OpenTelemetry specification of the OTLP exporter says.

/// The path of traces below a collector's address.
const PATH: &str = "v1/traces";

/// The URL to which traces are sent. None: nothing is sent. `collector` is the address of a collector, of `--otlp-endpoint` or
/// OTEL_EXPORTER_OTLP_ENDPOINT; the path of traces is appended. `traces` is OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, which is for
/// traces alone: it goes first, and is used as it is.
pub fn traces_url(collector: Option<&str>, traces: Option<&str>) -> Option<String> {
    let given = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    given(traces).or_else(|| given(collector).map(|base| format!("{}/{PATH}", base.trim_end_matches('/'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_for_traces_goes_first_and_the_path_is_appended_to_the_general_one() {
        for (collector, traces, url) in [
            (None, None, None),
            (Some(""), Some(" "), None),
            (Some("http://collector:4318"), None, Some("http://collector:4318/v1/traces")),
            (Some("https://collector/otlp/"), Some(""), Some("https://collector/otlp/v1/traces")),
            (Some("http://collector:4318"), Some("http://other/traces"), Some("http://other/traces")),
            (None, Some("http://other/traces"), Some("http://other/traces")),
        ] {
            assert_eq!(traces_url(collector, traces).as_deref(), url, "{collector:?} {traces:?}");
        }
    }
}
