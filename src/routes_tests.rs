use super::*;
use crate::problem::Kind;
use std::collections::BTreeSet;
use streamchain_protocol::ids::Seq;

fn find(path: &str) -> Option<&'static str> {
    Resource::find(path).map(|resource| resource.path)
}

fn read(path: &str) -> PathParameters {
    PathParameters::read(find(path).unwrap(), path).unwrap()
}

fn kind(path: &str) -> Kind {
    PathParameters::read(find(path).unwrap(), path)
        .unwrap_err()
        .kind()
}

#[test]
fn a_path_is_a_resource_or_nothing() {
    assert_eq!(find("/v1/streams"), Some("/v1/streams"));
    assert_eq!(find("/v1/health"), Some(HEALTH));
    let receipt = "/v1/streams/demo/messages/7/receipt";
    assert_eq!(find(receipt), Some("/v1/streams/{stream}/messages/{seq}/receipt"));
    assert_eq!(read(receipt).seq().unwrap(), Seq(7));
    let message = "/v1/streams/demo/messages/7";
    assert_eq!(find(message), Some("/v1/streams/{stream}/messages/{seq}"));
    for nothing in [
        "/v1",
        "/v1/",
        "/v1/else",
        "/v1/streams/demo/",
        "/v1/streams/demo/else",
        "/v2/streams",
        "/v1/streams/demo/messages/7/else",
    ] {
        assert_eq!(find(nothing), None, "{nothing}");
    }
}

#[test]
fn a_part_out_of_shape_is_named() {
    assert_eq!(kind("/v1/streams/UPPER"), Kind::BadStreamName);
    assert_eq!(kind("/v1/streams/-/messages"), Kind::BadStreamName);
    assert_eq!(kind("/v1/streams/a%20b/sessions"), Kind::BadStreamName);
    assert_eq!(kind("/v1/sessions/12"), Kind::BadId);
    assert_eq!(kind("/v1/sessions/abc"), Kind::BadId);
    assert_eq!(kind("/v1/relays/-x"), Kind::BadId);
    assert_eq!(kind("/v1/streams/demo/messages/-1/receipt"), Kind::BadRequest);
    assert_eq!(
        kind("/v1/streams/demo/messages/9007199254740992/receipt"),
        Kind::BadRequest
    );
}

/// Every method of every path that the API's description has.
fn described() -> BTreeSet<(String, String)> {
    let description: serde_json::Value =
        serde_json::from_str(include_str!("../web/static/openapi.json")).unwrap();
    let methods = ["get", "post", "put", "patch", "delete"];
    let paths = description["paths"].as_object().unwrap();
    let of_path = |(path, operations): (&String, &serde_json::Value)| {
        let described = methods
            .into_iter()
            .filter(|method| operations.get(method).is_some());
        let described = described.map(|method| (path.clone(), method.to_ascii_uppercase()));
        described.collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn every_route_is_described_and_nothing_else_is() {
    let routed: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|route| (route.path.to_owned(), route.method.to_owned()))
        .collect();
    assert_eq!(routed.len(), ROUTES.len(), "a route is stated once");
    assert!(routed.len() > 10);
    let described = described();
    let undescribed: Vec<_> = routed.difference(&described).collect();
    assert!(
        undescribed.is_empty(),
        "not in web/static/openapi.json: {undescribed:?}"
    );
    let unrouted: Vec<_> = described.difference(&routed).collect();
    assert!(unrouted.is_empty(), "described, but no such route: {unrouted:?}");
}

#[test]
fn every_template_finds_itself_and_reads_its_parameters() {
    let samples = [
        ("{stream}", "demo"),
        ("{seq}", "7"),
        ("{member}", "0x1111111111111111111111111111111111111111"),
        (
            "{session}",
            "00000000000000000000000000000000000000000000000000000000",
        ),
        ("{relay}", "r1"),
        ("{producer}", "00000000000000000000000000000000"),
        ("{key}", "0000000000000000"),
        ("{webhook}", "0000000000000000"),
        ("{round}", "7"),
        ("{bucket}", "255"),
    ];
    for route in ROUTES {
        let path = samples.iter().fold(route.path.to_owned(), |path, (name, value)| {
            path.replace(name, value)
        });
        assert!(!path.contains('{'), "{path} has a parameter that nothing reads");
        assert_eq!(find(&path), Some(route.path));
        let at = read(&path);
        let present = [
            at.stream().is_ok(),
            at.seq().is_ok(),
            at.member().is_ok(),
            at.session().is_ok(),
            at.relay().is_ok(),
            at.producer().is_ok(),
            at.key().is_ok(),
            at.webhook().is_ok(),
            at.round().is_ok(),
            at.bucket().is_ok(),
        ];
        let expected = samples.map(|(name, _)| route.path.contains(name));
        assert_eq!(present, expected, "{path}");
    }
}

#[test]
fn methods_are_allowed_by_resource() {
    let session = Resource::find(&format!("/v1/sessions/{}", "0".repeat(56))).unwrap();
    assert!(session.route("DELETE").is_some() && session.route("PATCH").is_none());
    let streams = Resource::find("/v1/streams").unwrap();
    assert!(streams.route("HEAD").is_some() && streams.route("PUT").is_none());
    assert_eq!(streams.allow(), "GET, HEAD, POST, OPTIONS");
    let allow = |path| Resource::find(path).unwrap().allow();
    assert_eq!(allow("/v1/streams/demo"), "GET, HEAD, PATCH, OPTIONS");
    assert_eq!(allow("/v1/health"), "GET, HEAD, OPTIONS");
    assert_eq!(allow("/v1/config"), "GET, HEAD, OPTIONS");
    assert!(Resource::find("/v1/config").unwrap().route("QUERY").is_none());
    assert_eq!(allow("/v1/streams/demo/sessions"), "POST, OPTIONS");
    assert_eq!(allow("/v1/streams/demo/messages"), "GET, HEAD, POST, OPTIONS");
    assert_eq!(session.allow(), "DELETE, OPTIONS");
    assert_eq!(allow("/v1/relays/r1"), "PUT, DELETE, OPTIONS");
    let led = format!("/v1/relays/r1/streams/0x{}", "00".repeat(20));
    assert_eq!(allow(&led), "PUT, DELETE, OPTIONS");
    assert_eq!(allow("/v1/keys/0000000000000000"), "DELETE, OPTIONS");
    assert_eq!(allow("/v1/auth/nonce"), "POST, OPTIONS");
}
