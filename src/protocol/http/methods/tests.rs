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

#[test]
fn rpc_method_is_known_by_its_form_or_by_the_list() {
    let all = RpcMethods::default();
    let listed = RpcMethods::from_names(["b.B/Two", "/a.A/One"]);
    let none = RpcMethods::from_names([""; 0]);
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
        assert_eq!(all.find(path).is_some(), by_form, "{path}");
        assert_eq!(listed.find(path).is_some(), by_list, "{path}");
        assert_eq!(none.find(path), None, "{path}");
    }
}
