//! Tests of redaction in queries.

use super::*;

#[test]
fn values_of_sensitive_parameters_are_redacted() {
    for (rule, query, expected) in [
        ("the only one", "sig=abc", "sig=REDACTED"),
        ("among others", "a=1&sig=abc&b=2", "a=1&sig=REDACTED&b=2"),
        ("twice", "sig=a&sig=b", "sig=REDACTED&sig=REDACTED"),
        ("a value with an equals sign", "sig=a=b", "sig=REDACTED"),
        ("an empty value", "sig=", "sig=REDACTED"),
        ("no value", "sig", "sig"),
        ("a name that contains one is kept", "design=x", "design=x"),
        ("a name that begins with one is kept", "sigs=x", "sigs=x"),
        ("the beginning of one is kept", "si=x", "si=x"),
        ("names are case-sensitive", "SIG=x", "SIG=x"),
        ("stray separators stay", "&&sig=a&&", "&&sig=REDACTED&&"),
        ("a percent-encoded byte", "%73ig=x", "%73ig=REDACTED"),
        ("an encoded name of the same length", "%73ic=x", "%73ic=x"),
        (
            "a percent-encoded name",
            "%73%69%67=x",
            "%73%69%67=REDACTED",
        ),
        (
            "hexadecimal digits in either case",
            "X%2DAmz%2dSignature=x",
            "X%2DAmz%2dSignature=REDACTED",
        ),
        (
            "a percent sign without two digits",
            "%zzsig=x&%7=y",
            "%zzsig=x&%7=y",
        ),
        ("an empty query", "", ""),
        ("an equals sign alone", "=", "="),
        ("no name", "=x&sig=a", "=x&sig=REDACTED"),
        (
            "one beside a long value",
            "a=%41%2B+&sig=a",
            "a=%41%2B+&sig=REDACTED",
        ),
        ("a plus sign first", "+sig=x&sig=y", "+sig=x&sig=REDACTED"),
    ] {
        let redacted = SensitiveParameters::default().redact(query);
        assert_eq!(redacted, expected, "{rule}");
    }
    for name in SENSITIVE {
        let redacted = SensitiveParameters::default();
        let redacted = redacted.redact(&format!("{name}=x")).into_owned();
        assert_eq!(redacted, format!("{name}=REDACTED"));
    }
}

#[test]
fn listed_parameters_replace_the_standard_ones() {
    for (rule, names, query, expected) in [
        (
            "one",
            &["token"][..],
            "token=a&sig=b",
            "token=REDACTED&sig=b",
        ),
        ("no name", &[], "sig=b", "sig=b"),
        (
            "an empty name",
            &[""],
            "=a&b=c&=d",
            "=REDACTED&b=c&=REDACTED",
        ),
        (
            "a name with a percent sign",
            &["%x"],
            "%x=a&%25x=b",
            "%x=REDACTED&%25x=REDACTED",
        ),
        (
            "a name with a plus sign",
            &["a+b"],
            "a+b=a&a%2Bb=b",
            "a+b=REDACTED&a%2Bb=REDACTED",
        ),
        (
            "a name with a space first",
            &[" k"],
            "+k=a&%20k=b",
            "+k=REDACTED&%20k=REDACTED",
        ),
        (
            "a name with a space",
            &["my key"],
            "my+key=a&my%20key=b",
            "my+key=REDACTED&my%20key=REDACTED",
        ),
        (
            "a name beyond ASCII",
            &["ключ"],
            "%D0%BA%D0%BB%D1%8E%D1%87=a",
            "%D0%BA%D0%BB%D1%8E%D1%87=REDACTED",
        ),
    ] {
        let parameters = SensitiveParameters::from_names(names.iter().copied());
        assert_eq!(parameters.redact(query), expected, "{rule}");
    }
}

#[test]
fn added_parameters_join_the_standard_ones() {
    let mut parameters = SensitiveParameters::default();
    parameters.add(["token"]);
    parameters.add(["key"]);
    for name in SENSITIVE.into_iter().chain(["token", "key"]) {
        let redacted = parameters.redact(&format!("{name}=x")).into_owned();
        assert_eq!(redacted, format!("{name}=REDACTED"));
    }
    assert_eq!(parameters.redact("page=2"), "page=2");
}

#[test]
fn query_without_secrets_is_borrowed() {
    let parameters = SensitiveParameters::default();
    assert!(matches!(parameters.redact("a=1&b=2"), Cow::Borrowed(_)));
}

#[test]
fn query_is_truncated_before_and_after_redaction() {
    let parameters = SensitiveParameters::default();
    let long = "a".repeat(5_000);
    assert_eq!(parameters.redact(&long).len(), 1_024);
    let many = "sig=&".repeat(1_000);
    let redacted = parameters.redact(&many);
    assert_eq!(redacted.len(), 1_024);
    assert!(redacted.starts_with("sig=REDACTED&sig=REDACTED&"));
    // A truncated secret is redacted, too.
    let secret = format!("{}&sig={}", "a".repeat(1_000), "s".repeat(100));
    assert!(!parameters.redact(&secret).contains("=s"));
}

#[test]
fn separators_are_found_beside_any_byte() {
    for place in 0..8 {
        for other in 0..=u8::MAX {
            let mut bytes = [other; 8];
            bytes[place] = b'&';
            let expected = bytes.map(|byte| if byte == b'&' { 0x80 } else { 0 });
            assert_eq!(find_separators(bytes).to_le_bytes(), expected, "{bytes:?}");
        }
    }
}

#[test]
fn a_secret_is_redacted_at_any_place() {
    let parameters = SensitiveParameters::default();
    for before in 0..20 {
        for after in 0..20 {
            let (before, after) = ("b".repeat(before), "a".repeat(after));
            let query = format!("{before}&sig=x&{after}");
            let expected = format!("{before}&sig=REDACTED&{after}");
            assert_eq!(parameters.redact(&query), expected);
        }
    }
}
