//! Whether the API server does not serve a kind, because its CRD is not installed or not any more. A list that is answered with 404
//! does not prove it: a wrong path of the server's URL gives the same answer. Discovery tells the two apart.

use super::api_error::{Command, said};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResourceList};
use kube::Client;
use multi_eni_api::names::{GROUP, VERSION};

/// Asks the API server whether it does not serve the kind with this plural.
///
/// # Errors
/// Why the server's answer proves nothing.
pub(super) async fn is_missing(command: Command, kube: &Client, plural: &str) -> Result<bool, String> {
    let served = kube.list_api_groups().await.map_err(|error| said(command, "list the API groups", &error))?;
    if served.groups.is_empty() {
        return Err("the server lists no API group, as no API server does".to_owned());
    }
    if !has_version(&served) {
        return Ok(true);
    }
    match kube.list_api_group_resources(&format!("{GROUP}/{VERSION}")).await {
        Ok(resources) => Ok(!has_kind(&resources, plural)),
        // The last CRD of the group was removed between the two requests.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
        Err(error) => Err(said(command, &format!("list the kinds of {GROUP}"), &error)),
    }
}

fn has_version(served: &APIGroupList) -> bool {
    let mut groups = served.groups.iter().filter(|group| group.name == GROUP);
    groups.any(|group| group.versions.iter().any(|version| version.version == VERSION))
}

fn has_kind(served: &APIResourceList, plural: &str) -> bool {
    served.resources.iter().any(|resource| resource.name == plural)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    /// A server with these answers by path. Any other path is answered as kube-apiserver does it: 404 in plain text.
    pub fn server(answers: Vec<(&'static str, Value)>) -> Client {
        let answer = move |request: Request<Body>| {
            let found = answers.iter().find(|(path, _)| *path == request.uri().path());
            let (status, body) = match found {
                Some((_, body)) => (200, body.to_string()),
                None => (404, "404 page not found\n".to_owned()),
            };
            let response = Response::builder().status(status).body(Body::from(body.into_bytes()));
            std::future::ready(response)
        };
        Client::new(tower::service_fn(answer), "default")
    }

    pub fn groups(names: &[&str]) -> (&'static str, Value) {
        let group = |name: &&str| {
            let version = json!({ "groupVersion": format!("{name}/{VERSION}"), "version": VERSION });
            json!({ "name": name, "versions": [version], "preferredVersion": version })
        };
        let groups: Vec<Value> = names.iter().map(group).collect();
        ("/apis", json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
    }

    pub fn kinds(plurals: &[&str]) -> (&'static str, Value) {
        let kind = |name: &&str| json!({ "name": name, "singularName": "", "namespaced": false, "kind": "K", "verbs": ["list"] });
        let resources: Vec<Value> = plurals.iter().map(kind).collect();
        let list =
            json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "g/v", "resources": resources });
        ("/apis/networking.k8s.aws/v1alpha1", list)
    }

    #[tokio::test]
    async fn a_kind_is_missing_only_if_an_api_server_says_that_it_does_not_serve_it() {
        let other = "apiextensions.k8s.io";
        let rows = [
            (vec![groups(&[other])], Some(true), "no CRD of the group"),
            (vec![groups(&[other, GROUP]), kinds(&["nodeenis"])], Some(true), "one CRD of two"),
            (vec![groups(&[other, GROUP])], Some(true), "the last CRD goes at this moment"),
            (vec![groups(&[GROUP]), kinds(&["nodeenis", "eniattachments"])], Some(false), "both CRDs"),
            (vec![], None, "another path of the server, or another server"),
            (vec![("/apis", json!({ "status": "ok" }))], None, "no API server"),
        ];
        for (answers, expected, what) in rows {
            let found = is_missing(Command::Drain, &server(answers), "eniattachments").await;
            assert_eq!(found.as_ref().ok(), expected.as_ref(), "{what}: {found:?}");
        }
    }
}
