//! `kubectl apply` refuses a NodeENI that can never work, with a message that explains why.

mod accepted;
mod fields;
mod routes;
mod terms;

use crate::harness::{Environment, Failure};
use std::io::Write;
use std::process::{Command, Stdio};

/// All rows: what is wrong, the spec, and a part of the refusal.
pub(super) fn rows<'a>() -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    fields::FIELDS.iter().chain(routes::ROUTES).chain(terms::TERMS).map(|(what, spec, words)| (*what, *spec, *words))
}

pub(super) fn manifest(spec: &str) -> String {
    format!("apiVersion: networking.k8s.aws/v1alpha1\nkind: NodeENI\nmetadata: {{name: bad}}\nspec: {{{spec}}}\n")
}

#[test]
fn each_is_refused_with_its_message() -> Result<(), Failure> {
    let environment = Environment::start()?;
    let long = format!("subnetID: subnet-12345678, nodeSelector: {{a: b}}, description: {}", "x".repeat(256));
    let rows = rows().chain([("a long description", long.as_str(), "at most 255 characters")]);
    for (what, spec, words) in rows {
        let refusal =
            environment.plane.apply(&manifest(spec))?.refusal().map_err(|e| format!("{what} was accepted: {e}"))?;
        assert!(refusal.contains(words), "{what}: {refusal}");
    }
    environment.assert_eq("accepted", environment.names("nodeenis")?.len(), 0);
    // Values at the bounds are accepted.
    for (name, spec) in accepted::ACCEPTED {
        environment.apply(&manifest(spec).replace("bad", name))?;
    }
    // The examples of the architecture page are accepted.
    environment.apply(include_str!("../../../manifests/multiple-nodeenis.yaml"))?;
    environment.apply(include_str!("../../../manifests/subnet-by-label.yaml"))?;
    environment.passed();
    Ok(())
}

/// `multi-eni iam-policy -f` has no API server, and evaluates the schema and its rules itself.
#[test]
fn iam_policy_refuses_and_accepts_the_same() -> Result<(), Failure> {
    let long = format!("subnetID: subnet-12345678, nodeSelector: {{a: b}}, description: {}", "x".repeat(256));
    for (what, spec, words) in rows().chain([("a long description", long.as_str(), "at most 255")]) {
        let (code, says) = iam_policy(&manifest(spec))?;
        assert!(code == Some(1) && says.contains("NodeENI bad would be refused"), "{what}: {code:?} {says}");
        // The words for a wrong type, an unknown field and a value that is not in an enum are not those of the API server.
        let is_of_rule =
            ["Unsupported value", "must be of type", "spec.deviceIndex", "supported values", "unknown field"];
        // A line of the terminal may end at a hyphen.
        let is_said = says.contains(words) || says.replace("- ", "-").contains(words);
        let is_the_same = is_of_rule.iter().any(|other| words.contains(other)) || is_said;
        assert!(is_the_same, "{what}: {words:?} is not in {says}");
    }
    for (name, spec) in accepted::ACCEPTED {
        let (code, says) = iam_policy(&manifest(spec))?;
        assert_eq!(code, Some(0), "{name}: {says}");
    }
    Ok(())
}

/// The exit code and the standard error of `multi-eni iam-policy -f -`.
fn iam_policy(manifest: &str) -> Result<(Option<i32>, String), Failure> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-eni"));
    command
        .args(["iam-policy", "-f", "-"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    child.stdin.take().ok_or("no standard input")?.write_all(manifest.as_bytes()).map_err(|e| e.to_string())?;
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    // The width of the terminal breaks the sentences.
    let says = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    Ok((output.status.code(), says.split_whitespace().collect::<Vec<_>>().join(" ")))
}
