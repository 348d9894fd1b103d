//! The chart's `pre-delete` hook as Helm renders it: its rights, and the command of its Job, which is run with exactly its arguments
//! and its environment.

use crate::harness::{Environment, Failure, rights};
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The hook, with its ServiceAccount and its rights installed.
pub(super) struct Hook {
    /// What Helm renders.
    pub manifests: String,
    /// The kubeconfig of its ServiceAccount.
    pub account: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Hook {
    /// Renders and applies the hook, in place of an earlier one.
    pub fn install(environment: &Environment, audit: bool) -> Result<Self, Failure> {
        let endpoint = &environment.account.endpoint;
        let set = format!(
            "drainOnUninstall.enabled=true,drainOnUninstall.audit={audit},aws.region=eu-central-1,\
             env[0].name=AWS_ENDPOINT_URL,env[0].value={endpoint}"
        );
        let only = ["--set", &set, "--show-only", "templates/drain-on-uninstall.yaml"];
        let manifests = environment.plane.helm_template("multi-eni", "multi-eni", &only)?;
        // The template of a Job cannot be changed.
        environment.kubectl(&["delete", "job", "multi-eni-drain", "-n", "multi-eni", "--ignore-not-found"])?;
        environment.apply(&manifests)?;
        let job = job(&manifests)?;
        assert!(manifests.contains("helm.sh/hook: pre-delete"), "{manifests}");
        let (namespace, pod) = (&job["metadata"]["namespace"], &job["spec"]["template"]["spec"]);
        let container = &pod["containers"][0];
        // The image's entry point is the binary.
        environment.assert_eq("the command of the hook", &container["command"], &Value::Null);
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| format!("no text: {value}"));
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let variable = |entry: &Value| -> Result<(String, String), String> {
            let value = match entry["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some("metadata.namespace") => text(namespace)?,
                Some(other) => return Err(format!("the harness does not resolve {other}")),
                None => text(&entry["value"])?,
            };
            Ok((text(&entry["name"])?, value))
        };
        let account = text(&pod["serviceAccountName"])?;
        Ok(Self {
            account: environment.plane.kubeconfig_for_service_account(&text(namespace)?, &account)?,
            args: list(&container["args"]).iter().map(text).collect::<Result<_, _>>()?,
            env: list(&container["env"]).iter().map(variable).collect::<Result<_, _>>()?,
            manifests,
        })
    }

    /// Runs the hook's command as rendered. Added is only what the cluster gives a Pod: the token of its ServiceAccount, and, with
    /// `credentials`, the AWS credentials. Returns the exit code and all output, with single spaces.
    pub fn run(&self, credentials: bool) -> Result<(i32, String), Failure> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni"));
        command.args(&self.args).env_clear().envs(self.env.iter().cloned()).env("KUBECONFIG", &self.account);
        if credentials {
            command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        }
        let output = command.stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), words(&String::from_utf8_lossy(&text))))
    }
}

impl Hook {
    /// The hook has the rights that its requests so far needed, and no others. Returns the number of its rights.
    pub fn assert_rights_are_used(&self, environment: &Environment) -> Result<usize, Failure> {
        let rights = rights::granted_by(&self.manifests)?;
        let requests = environment.plane.requests_of("multi-eni", "multi-eni-drain")?;
        environment.assert_eq("requests that are not granted", rights::not_covered(&rights, &requests), Vec::new());
        let is_used = |right: &&rights::Right| requests.iter().any(|request| right.covers(request));
        let unused: Vec<&rights::Right> = rights.iter().filter(|right| !is_used(right)).collect();
        environment.assert_eq("rights that nothing uses", unused, Vec::new());
        Ok(rights.len())
    }
}

/// The text with single spaces in place of line breaks, and without the frame of miette.
pub(super) fn words(text: &str) -> String {
    text.split_whitespace().filter(|word| !matches!(*word, "│" | "|")).collect::<Vec<_>>().join(" ")
}

fn job(manifests: &str) -> Result<Value, Failure> {
    for document in serde_yaml::Deserializer::from_str(manifests) {
        let object = Value::deserialize(document).map_err(|e| e.to_string())?;
        if object["kind"] == "Job" {
            return Ok(object);
        }
    }
    Err(format!("the hook has no Job:\n{manifests}").into())
}
