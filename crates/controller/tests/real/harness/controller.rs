//! The `multi-eni controller` binary as a process that a story starts, stops, kills and queries.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use multi_eni_control_plane::{Process, free_address};

/// One replica.
#[derive(Debug)]
pub struct ControllerProcess {
    process: Process,
    health: SocketAddr,
    metrics: SocketAddr,
}

impl ControllerProcess {
    /// Starts `multi-eni controller --leader-elect` as the pod `name` in `namespace`, with its log in `dir/name.log`.
    ///
    /// The process gets `env` and nothing of this process's environment, so no AWS credential or kubeconfig of the developer who
    /// runs the tests can reach it.
    pub fn start(
        name: &str,
        namespace: &str,
        dir: &Path,
        kubeconfig: &Path,
        env: &[(&str, &str)],
    ) -> Result<Self, String> {
        let (health, metrics) = (free_address()?, free_address()?);
        // The default addresses, with other ports.
        let every = |at: SocketAddr| SocketAddr::from((Ipv6Addr::UNSPECIFIED, at.port())).to_string();
        let program = Path::new(env!("CARGO_BIN_EXE_multi-eni"));
        let process = Process::start(name, program, &dir.join(format!("{name}.log")), |command| {
            command.args(["controller", "--leader-elect"]);
            command.args(["--health-addr", &every(health), "--metrics-addr", &every(metrics)]);
            command.env_clear().env("PATH", "/usr/bin:/bin").env("RUST_BACKTRACE", "1");
            command.env("KUBECONFIG", kubeconfig).env("POD_NAME", name).env("POD_NAMESPACE", namespace);
            command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
            command.env("AWS_EC2_METADATA_DISABLED", "true");
            command.envs(env.iter().copied());
        })?;
        Ok(Self { process, health, metrics })
    }

    /// Waits until `/readyz` answers 200.
    pub fn wait_ready(&mut self, timeout: Duration) -> Result<(), String> {
        let health = self.health;
        self.process.wait_until(timeout, || get(health, "/readyz").is_ok_and(|(status, _)| status == 200))
    }

    /// What the pages answer over IPv6, as kubelet and Prometheus ask on an IPv6-only cluster: `/readyz` and `/metrics`.
    pub fn over_ipv6(&self) -> Result<[(u16, String); 2], String> {
        let local = |at: SocketAddr| SocketAddr::from((Ipv6Addr::LOCALHOST, at.port()));
        Ok([get(local(self.health), "/readyz")?, get(local(self.metrics), "/metrics")?])
    }

    /// Sends SIGKILL, which is what a crash between any two calls looks like.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// Sends SIGTERM and waits for the end of the process.
    pub fn sigterm(&mut self, timeout: Duration) -> Result<ExitStatus, String> {
        self.process.terminate()?;
        self.process.wait_end(timeout)
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.process.ended()
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> Result<String, String> {
        get(self.metrics, "/metrics").map(|(_, body)| body)
    }

    /// The last lines of its log, under a heading.
    pub fn tail(&self) -> String {
        self.process.tail()
    }

    /// The whole log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// One GET without an HTTP client: three fixed paths of our own server need none.
fn get(address: SocketAddr, path: &str) -> Result<(u16, String), String> {
    let failed = |e: std::io::Error| format!("GET {address}{path}: {e}");
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit).map_err(failed)?;
    stream.set_read_timeout(Some(limit)).map_err(failed)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| format!("GET {address}{path}: not HTTP: {head}"))?, body.to_owned()))
}
