//! Tests of the known methods of HTTP and gRPC.

use super::*;

fn is_known(methods: &HttpMethods, method: &str) -> bool {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    match methods.find(&method) {
        KnownMethod::Standard(standard) => standard.name() == method.as_str(),
        KnownMethod::Listed => true,
        KnownMethod::Unknown => false,
    }
}

#[test]
fn standard_methods_are_known_by_exact_name() {
    let methods = HttpMethods::default();
    for method in STANDARD {
        assert!(is_known(&methods, method), "{method}");
    }
    for method in ["get", "Get", "FOO", "PROPFIND", "_OTHER"] {
        assert!(!is_known(&methods, method), "{method}");
    }
}

#[test]
fn listed_methods_replace_the_standard_ones() {
    for (rule, list, known, unknown) in [
        ("one", Some("PURGE"), &["PURGE"][..], &["GET"][..]),
        ("several", Some("GET,PURGE"), &["GET", "PURGE"], &["POST"]),
        (
            "spaces",
            Some(" GET ,\tPURGE "),
            &["GET", "PURGE"],
            &["POST"],
        ),
        ("case", Some("get"), &["get"], &["GET"]),
        ("no list", None, &["GET", "QUERY"], &["PURGE"]),
        ("an empty list", Some(""), &["GET"], &["PURGE"]),
        ("commas alone", Some(" , ,"), &["GET"], &["PURGE"]),
        (
            "an invalid name is left out",
            Some("a b,GET"),
            &["GET"],
            &["POST"],
        ),
    ] {
        let methods = HttpMethods::from_comma_separated(list);
        for method in known {
            assert!(is_known(&methods, method), "{rule}: {method}");
        }
        for method in unknown {
            assert!(!is_known(&methods, method), "{rule}: {method}");
        }
    }
    assert!(
        !is_known(&HttpMethods::from_names([""; 0]), "GET"),
        "no name"
    );
}

#[test]
fn a_standard_method_has_a_static_name_also_if_it_was_listed() {
    for methods in [HttpMethods::default(), HttpMethods::from_names(["GET"])] {
        let KnownMethod::Standard(method) = methods.find(&Method::GET) else {
            panic!("GET is a standard method");
        };
        assert_eq!(method.name(), "GET");
    }
}

fn rpc_methods(set: impl FnOnce(&mut RpcMethods)) -> RpcMethods {
    let mut methods = RpcMethods::default();
    set(&mut methods);
    methods
}

#[test]
fn rpc_method_is_known_by_its_form_or_by_the_list() {
    let all = RpcMethods::default();
    let listed = rpc_methods(|methods| methods.set_methods(["b.B/Two", "/a.A/One"]));
    let none = rpc_methods(|methods| methods.set_methods([""; 0]));
    assert!(all.has_any() && listed.has_any() && !none.has_any());
    for (path, by_form, by_list) in [
        ("/a.A/One", true, true),
        ("/b.B/Two", true, true),
        ("/b.B/One", true, false),
        ("/a.A/one", true, false),
        ("a.A/One", false, false),
        ("/a.A/One/", false, false),
        ("/a.A", false, false),
        ("//One", false, false),
        ("/a.A/", false, false),
        ("/", false, false),
        ("", false, false),
    ] {
        let name = path.strip_prefix('/').unwrap_or(path);
        let expected = by_form.then_some(FoundMethod::OfForm(name));
        assert_eq!(all.find(path), expected, "{path}");
        let expected = by_list.then_some(FoundMethod::Listed(name));
        assert_eq!(listed.find(path), expected, "{path}");
        assert_eq!(none.find(path), None, "{path}");
    }
}

#[test]
fn rpc_method_of_a_listed_service_is_known_beside_listed_methods() {
    use FoundMethod::{Listed, OfForm, OfService};
    let services = rpc_methods(|methods| methods.set_services(["b.B", "/a.A"]));
    let both = rpc_methods(|methods| {
        methods.set_methods(["a.A/One", "c.C/One"]);
        methods.set_services(["a.A"]);
    });
    let no_methods = rpc_methods(|methods| {
        methods.set_methods([""; 0]);
        methods.set_services(["a.A"]);
    });
    assert!(services.has_any() && both.has_any() && no_methods.has_any());
    for (path, by_services, by_both, by_service) in [
        (
            "/a.A/One",
            Some(OfService("a.A/One")),
            Some(Listed("a.A/One")),
            true,
        ),
        (
            "/a.A/Two",
            Some(OfService("a.A/Two")),
            Some(OfService("a.A/Two")),
            true,
        ),
        ("/b.B/Two", Some(OfService("b.B/Two")), None, false),
        (
            "/c.C/One",
            Some(OfForm("c.C/One")),
            Some(Listed("c.C/One")),
            false,
        ),
        ("/a.A/One/", None, None, false),
        ("/a.A", None, None, false),
    ] {
        assert_eq!(services.find(path), by_services, "{path}");
        assert_eq!(both.find(path), by_both, "{path}");
        assert_eq!(no_methods.find(path).is_some(), by_service, "{path}");
    }
}

#[test]
fn rpc_path_prefix_is_removed_if_the_path_has_it() {
    let name = Some(FoundMethod::OfForm("a.A/One"));
    for (prefix, path, expected) in [
        ("/api", "/api/a.A/One", name),
        ("api/", "/api/a.A/One", name),
        ("/api/v1/", "/api/v1/a.A/One", name),
        ("/api", "/a.A/One", name),
        (
            "/api",
            "/apiary/One",
            Some(FoundMethod::OfForm("apiary/One")),
        ),
        ("/api", "/api/One", None),
        ("/api", "/api/api/a.A/One", None),
        ("/api", "/other/a.A/One", None),
        ("/api", "/api", None),
        ("", "/a.A/One", name),
        ("", "//a.A/One", None),
        ("/", "/a.A/One", name),
    ] {
        let methods = rpc_methods(|methods| methods.set_prefix(prefix));
        assert_eq!(methods.find(path), expected, "{prefix} {path}");
    }
}

#[test]
fn only_a_long_method_is_truncated() {
    for (length, kept) in [(3, 3), (1_024, 1_024), (1_025, 1_024), (3_000, 1_024)] {
        let method = Method::from_bytes("M".repeat(length).as_bytes()).expect("a method");
        assert_eq!(truncated_method(&method).as_str().len(), kept, "{length}");
    }
}
