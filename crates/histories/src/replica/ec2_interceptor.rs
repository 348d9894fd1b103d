//! Where a replica's calls leave for EC2: they carry the process's name, and a dead process sends nothing.

use super::life::Life;
use crate::interceptor::Interceptor;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use multi_eni_sim::ec2::{Ec2, Settings};
use std::sync::Arc;

/// The HTTP client of one process.
pub fn client(interceptor: &Arc<Interceptor>, life: &Arc<Life>) -> SharedHttpClient {
    let home = interceptor.environment.ec2.clone();
    // Another account has nothing of this cluster's.
    let other = Ec2::new(interceptor.environment.clock, Settings { records: 0, ..Settings::default() });
    SharedHttpClient::new(Gate { home, other, life: life.clone() })
}

#[derive(Debug)]
struct Gate {
    home: Ec2,
    other: Ec2,
    life: Arc<Life>,
}

impl HttpClient for Gate {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let (home, other) = (self.home.connector(settings.clone()), self.other.connector(settings.clone()));
        SharedHttpConnector::new(Connector { home, other, life: self.life.clone() })
    }
}

#[derive(Debug)]
struct Connector {
    home: SharedHttpConnector,
    other: SharedHttpConnector,
    life: Arc<Life>,
}

impl HttpConnector for Connector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        if self.life.is_dead() || !self.life.machine.reaches_ec2() {
            // Packets that nobody answers: the SDK's own timeout ends it.
            return HttpConnectorFuture::new(std::future::pending());
        }
        request.headers_mut().insert("user-agent", self.life.name());
        let account = if self.life.machine.is_elsewhere() { &self.other } else { &self.home };
        account.call(request)
    }
}
