//! Builds the SDK's client, with retries off and explicit timeouts, for EC2 or for a simulator. It sends nothing.

use crate::options::Clock;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_ec2::config::{
    BehaviorVersion, Credentials, IdentityCache, Region, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_async::time::TimeSource;
use std::fmt;
use std::time::{Duration, SystemTime};

/// Why no client can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Neither the environment, nor a profile, nor instance metadata names a Region.
    #[error("no AWS Region is known: set AWS_REGION, for example AWS_REGION=eu-west-1")]
    NoRegion,
}

/// A client with the SDK's default credentials chain: environment, IRSA, Pod Identity, instance metadata. `AWS_REGION` and
/// `AWS_ENDPOINT_URL` are honoured. `call_timeout` bounds one call, including the time to get credentials.
///
/// Credentials are resolved at the first call, not here. A call without credentials fails with `CallError::NotSent`.
///
/// # Errors
/// [`ConnectError::NoRegion`] if no Region is known.
pub async fn client(call_timeout: Duration) -> Result<Client, ConnectError> {
    clients(call_timeout).await.map(|[client, _]| client)
}

/// Two clients as [`client`] builds one. They share their credentials, and each has connections of its own.
///
/// # Errors
/// [`ConnectError::NoRegion`] if no Region is known.
pub async fn clients(call_timeout: Duration) -> Result<[Client; 2], ConnectError> {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(call_timeout))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await;
    if config.region().is_none() {
        return Err(ConnectError::NoRegion);
    }
    // Each client makes its own default HTTP client, with a pool of connections.
    Ok([Client::new(&config), Client::new(&config)])
}

/// A client for a simulator in the same process, over the given HTTP client. It has static credentials and the time of `clock`.
pub fn client_over(
    http: SharedHttpClient,
    clock: Clock,
    region: &str,
    endpoint: &str,
    call_timeout: Duration,
) -> Client {
    Client::from_conf(simulated(clock, region, endpoint, call_timeout).http_client(http).build())
}

/// A client for a simulator at `endpoint`, over TCP. It has static credentials and the time of `clock`.
pub fn client_at(endpoint: &str, clock: Clock, region: &str, call_timeout: Duration) -> Client {
    Client::from_conf(simulated(clock, region, endpoint, call_timeout).build())
}

fn simulated(clock: Clock, region: &str, endpoint: &str, call_timeout: Duration) -> aws_sdk_ec2::config::Builder {
    aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("simulated", "simulated", None, None, "simulator"))
        .identity_cache(IdentityCache::no_cache())
        .time_source(ClockTime(clock))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(call_timeout))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

fn timeouts(call_timeout: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_timeout(call_timeout)
        .operation_attempt_timeout(call_timeout)
        .connect_timeout(call_timeout.min(Duration::from_secs(3)))
        .read_timeout(call_timeout)
        .build()
}

/// Gives the SDK the injected clock, so that request signatures carry simulated time.
struct ClockTime(Clock);

impl fmt::Debug for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClockTime")
    }
}

impl TimeSource for ClockTime {
    fn now(&self) -> SystemTime {
        SystemTime::from((self.0)())
    }
}
