//! One attempt of one call: waits for a token, checks the fence (mutations only), sends, and records the outcome for the rate
//! limiter and the metrics. It never retries.

use crate::ec2::Ec2;
use crate::rate_limit::action::Action;
use crate::sdk_error::{Transmission, call_error};
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use jiff::Timestamp;
use multi_eni_api::ids::EniId;
use multi_eni_plan::attach_trace::Ec2Call;
use multi_eni_plan::ec2_errors::{Call, CallError, Class, classify};
use multi_eni_plan::gates::quota;
use std::error::Error;
use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

/// What a call is about, for the log.
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    /// An ENI.
    Eni(&'a EniId),
    /// The ENI that a Create with this ClientToken makes, and the place for the ID that EC2 answers.
    Created(&'a str, &'a OnceLock<String>),
    /// Several ENIs, or none.
    Many,
}

impl Ec2 {
    /// Sends a mutation. Fails with `NotLeader` if the call's timeout would outlast the Lease. A Create fails with `QuotaRefused`
    /// if EC2 refused another Create because of the quota while this Create waited.
    pub(super) async fn mutate<T, E, F>(
        &self,
        action: Action,
        about: About<'_>,
        send: impl FnOnce(Transmission) -> F,
    ) -> Result<T, CallError>
    where
        T: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        if let Some(report) = &self.report {
            report.note_queued(self.now());
        }
        self.inner.rate_limiter.wait(action, &self.ticket).await?;
        if !(self.inner.fence)(self.inner.options.call_timeout) {
            let node = self.node.as_deref();
            tracing::debug!(action = action.name(), ?about, node, code = "NotLeader", "EC2 call");
            return Err(CallError::NotLeader);
        }
        // The future is large and thousands of calls may wait, so it is allocated only at the call's turn.
        Box::pin(self.send(action, about, send)).await
    }

    /// Sends a call that only reads. `before` runs when the call has its token, immediately before the call is sent.
    pub(super) async fn read<T, E, F, S>(
        &self,
        action: Action,
        before: impl FnOnce() -> S,
        send: impl FnOnce(Transmission) -> F,
    ) -> Result<(S, T), CallError>
    where
        T: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        self.inner.rate_limiter.wait(action, &self.ticket).await?;
        let started = before();
        let answer = self.send(action, About::Many, send).await;
        self.note_answer(action, answer.as_ref().err());
        Ok((started, answer?))
    }

    async fn send<T, E, F>(
        &self,
        action: Action,
        about: About<'_>,
        send: impl FnOnce(Transmission) -> F,
    ) -> Result<T, CallError>
    where
        T: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let transmission = Transmission::default();
        let started = Instant::now();
        let sent = self.report.as_ref().map(|_| self.now());
        // The client has its own timeouts. This timeout holds for every client that the caller gives.
        let timeout = self.inner.options.call_timeout;
        let mut request_id = None;
        let result = match tokio::time::timeout(timeout, send(transmission.clone())).await {
            Ok(answer) => {
                request_id = answer.request_id().map(str::to_owned);
                answer.map_err(|error| call_error(error, transmission.begun()))
            }
            Err(_) if transmission.begun() => Err(CallError::Unknown(format!("timeout after {timeout:?}"))),
            Err(_) => Err(CallError::NotSent(format!("no credentials within {timeout:?}"))),
        };
        if transmission.begun() {
            self.inner.counts.sent(action.name());
        }
        let (took, error) = (started.elapsed(), result.as_ref().err());
        self.inner.requests.ended(action.name(), error.map_or("ok", CallError::code), took);
        self.log(action, about, error, (took, request_id.as_deref()));
        self.report(action, sent, error, request_id);
        if let Err(error) = &result
            && classify(Call::Describe, error) == Class::Throttled
        {
            self.inner.rate_limiter.throttled(action);
        }
        if result.as_ref().is_err_and(|error| error.code() == quota::CODE) {
            self.inner.rate_limiter.quota_refused();
        }
        result
    }

    /// Leaves the times of the call in the report of this handle, if it has one.
    fn report(&self, action: Action, sent: Option<Timestamp>, error: Option<&CallError>, request_id: Option<String>) {
        if let (Some(report), Some(sent)) = (&self.report, sent) {
            report.note_ended(Ec2Call {
                action: action.name(),
                queued: report.queued().unwrap_or(sent),
                sent,
                ended: self.now(),
                request_id,
                error: error.cloned(),
            });
        }
    }

    /// One line for each call that was sent. With EC2's request ID, AWS Support and CloudTrail find the call.
    fn log(
        &self,
        action: Action,
        about: About<'_>,
        error: Option<&CallError>,
        (took, request_id): (Duration, Option<&str>),
    ) {
        let (eni, client_token) = match about {
            About::Eni(eni) => (Some(eni.as_str()), None),
            About::Created(token, made) => (made.get().map(String::as_str), Some(token)),
            About::Many => (None, None),
        };
        let (action, code) = (action.name(), error.map_or("ok", CallError::code));
        // JSON has no numbers of 128 bits: they would be text.
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (error, node) = (error.map(ToString::to_string), self.node.as_deref());
        // A condition leaves out the encoded part of the message of a missing permission, and names this line.
        tracing::info!(action, eni, node, client_token, code, ms, request_id, error, "EC2 call");
    }
}
