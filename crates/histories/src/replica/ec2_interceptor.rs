//! The HTTP client of one process for EC2. Each request carries the process's name, and a dead process sends nothing.

use super::process::Process;
use crate::interceptor::Interceptor;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use multi_eni_sim::ec2::{Ec2, Settings};
use std::sync::Arc;

/// The HTTP client of one process.
pub fn client(interceptor: &Arc<Interceptor>, process: &Arc<Process>) -> SharedHttpClient {
    let home = interceptor.environment.ec2.clone();
    // EC2 of another account, which has none of this cluster's resources.
    let other = Ec2::new(interceptor.environment.clock, Settings { records: 0, ..Settings::default() });
    SharedHttpClient::new(Ec2Interceptor { home, other, process: process.clone() })
}

#[derive(Debug)]
struct Ec2Interceptor {
    home: Ec2,
    other: Ec2,
    process: Arc<Process>,
}

impl HttpClient for Ec2Interceptor {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let (home, other) = (self.home.connector(settings.clone()), self.other.connector(settings.clone()));
        SharedHttpConnector::new(Ec2Connector { home, other, process: self.process.clone() })
    }
}

#[derive(Debug)]
struct Ec2Connector {
    home: SharedHttpConnector,
    other: SharedHttpConnector,
    process: Arc<Process>,
}

impl HttpConnector for Ec2Connector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        if self.process.is_dead() || !self.process.machine.reaches_ec2() {
            // The request gets no answer, and the SDK's own timeout ends it.
            return HttpConnectorFuture::new(std::future::pending());
        }
        request.headers_mut().insert("user-agent", self.process.name());
        let account = if self.process.machine.is_elsewhere() { &self.other } else { &self.home };
        account.call(request)
    }
}
