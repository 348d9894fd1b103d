//! Maps an SDK error to [`CallError`]: answered by EC2, never sent, or outcome unknown. It is given the error and whether the
//! request was handed to the transport. It never maps a request that may have reached EC2 to "never sent".

use aws_sdk_ec2::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::dns::ResolveDnsError;
use multi_eni_plan::ec2_errors::CallError;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Records that a request was handed to the transport. A call that fails before cannot have reached EC2.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transmission(Arc<AtomicBool>);

impl Transmission {
    /// Whether the request was handed to the transport.
    pub fn begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Intercept for Transmission {
    fn name(&self) -> &'static str {
        "MultiEniTransmission"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.store(true, Ordering::Release);
        Ok(())
    }
}

/// Maps an SDK error. `begun` is whether the request was handed to the transport.
pub(crate) fn call_error<E, R>(error: SdkError<E, R>, begun: bool) -> CallError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    if let SdkError::ServiceError(context) = &error
        && let Some(code) = context.err().code()
    {
        let message = context.err().message().unwrap_or_default().to_owned();
        return CallError::Answered { code: code.to_owned(), message };
    }
    let words = causes(&error);
    if !begun || matches!(error, SdkError::ConstructionFailure(_)) {
        return CallError::NotSent(words);
    }
    match &error {
        SdkError::DispatchFailure(_) if never_connected(&error) => CallError::NotSent(words),
        _ => CallError::Unknown(words),
    }
}

/// The messages of the error and its causes. Uses their Display form only: the Debug form holds whole requests and responses.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !words.iter().any(|before| before.contains(&text)) {
            words.push(text);
        }
        next = cause.source();
    }
    words.join(": ")
}

/// Whether the causes show that no connection was made: it was refused, or the name was not resolved.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        let refused = cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused);
        if refused || cause.is::<ResolveDnsError>() || cause.to_string() == "dns error" {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::error::{ConnectorError, ErrorMetadata};

    type Failed = SdkError<aws_sdk_ec2::Error, ()>;

    fn io(kind: io::ErrorKind) -> Failed {
        SdkError::dispatch_failure(ConnectorError::io(Box::new(io::Error::from(kind))))
    }

    #[test]
    fn a_refused_connection_is_not_sent_and_a_broken_one_is_unknown() {
        assert!(matches!(call_error(io(io::ErrorKind::ConnectionRefused), true), CallError::NotSent(_)));
        assert!(matches!(call_error(io(io::ErrorKind::ConnectionReset), true), CallError::Unknown(_)));
        assert!(matches!(call_error(Failed::timeout_error("slow"), true), CallError::Unknown(_)));
        assert!(matches!(call_error(Failed::response_error("not XML", ()), true), CallError::Unknown(_)));
    }

    #[test]
    fn a_failure_before_the_transport_is_not_sent() {
        assert!(matches!(call_error(Failed::timeout_error("credentials"), false), CallError::NotSent(_)));
        assert!(matches!(call_error(Failed::construction_failure("bad"), true), CallError::NotSent(_)));
    }

    #[test]
    fn an_answer_keeps_ec2s_code_and_message() {
        #[derive(Debug, thiserror::Error)]
        #[error("refused")]
        struct Refused(ErrorMetadata);
        impl ProvideErrorMetadata for Refused {
            fn meta(&self) -> &ErrorMetadata {
                &self.0
            }
        }
        let meta = ErrorMetadata::builder().code("IncorrectState").message("no").build();
        let error: SdkError<Refused, ()> = SdkError::service_error(Refused(meta), ());
        let expected = CallError::Answered { code: "IncorrectState".into(), message: "no".into() };
        assert_eq!(call_error(error, true), expected);
        let nameless: SdkError<Refused, ()> = SdkError::service_error(Refused(ErrorMetadata::builder().build()), ());
        assert!(matches!(call_error(nameless, true), CallError::Unknown(_)));
    }
}
