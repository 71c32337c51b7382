use super::*;

/// Reads the tokens of a text in pieces of `size` bytes, as words.
fn tokens(text: &[u8], size: usize) -> Result<String, String> {
    let mut reader = Tokens::default();
    let mut words = Vec::new();
    for mut piece in text.chunks(size) {
        while let Some(token) = reader.next(&mut piece, 1_000) {
            let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
            words.push(match token {
                Token::Key(key) => text(key) + ":",
                Token::String(string) => format!("'{}'", text(string)),
                Token::Number(digits) => text(digits),
                Token::True => "true".to_owned(),
                Token::False => "false".to_owned(),
                Token::Null => "null".to_owned(),
                Token::OpenObject => "{".to_owned(),
                Token::OpenArray => "[".to_owned(),
                Token::Close => ")".to_owned(),
            });
        }
    }
    let words = words.join(" ");
    if reader.is_complete() {
        Ok(words)
    } else {
        Err(words)
    }
}

#[test]
fn whole_texts_are_read_in_pieces_of_any_size() {
    for (text, expected) in [
        (
            r#"{"a":"b","c":[1,-2.5e+3,{}],"d":null}"#,
            "{ a: 'b' c: [ 1 -2.5e+3 { ) ) d: null )",
        ),
        (" [ true , false,\r\n\tnull ] ", "[ true false null )"),
        (
            r#"{"":"","\u0061\n":"\"\\\/\b\f\r\t\u00e4"}"#,
            "{ : '' a\n: '\"\\/\u{8}\u{c}\r\tä' )",
        ),
        (
            r#"["\ud83d\ud83d\ude00","\ud83d","\ude00x","\ud83d\n"]"#,
            "[ '\u{fffd}😀' '\u{fffd}' '\u{fffd}x' '\u{fffd}\n' )",
        ),
        (
            r#"{"a":0,"b":10,"c":-0.0,"d":1E5}"#,
            "{ a: 0 b: 10 c: -0.0 d: 1E5 )",
        ),
        ("\"text\"", "'text'"),
        ("[[[]],[]]", "[ [ [ ) ) [ ) )"),
    ] {
        for size in [1, 2, 3, 5, 100] {
            let seen = tokens(text.as_bytes(), size);
            assert_eq!(seen.as_deref(), Ok(expected), "{text} by {size}");
        }
    }
}

#[test]
fn malformed_texts_are_not_complete() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "{]",
        "[}",
        "[1}",
        "{\"a\":1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "{,}",
        "{a:1}",
        "[1 2]",
        "[01]",
        "[1.]",
        "[.5]",
        "[-]",
        "[1e]",
        "[+1]",
        "[1-1]",
        "[tru]",
        "[truee]",
        "[nul",
        "{}x",
        "[] []",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"\\",
        "{\"a\":1 \"b\":2}",
        "{1:2}",
        "nulll",
    ] {
        for size in [1, 2, 100] {
            assert!(tokens(text.as_bytes(), size).is_err(), "{text} by {size}");
        }
    }
}

#[test]
fn a_key_is_kept_up_to_one_byte_more_than_the_longest_known_one() {
    let mut reader = Tokens::default();
    for length in [MAX_KEY - 1, MAX_KEY, MAX_KEY + 1, MAX_KEY + 2] {
        reader.reset();
        let key = "k".repeat(length);
        let mut kept = 0;
        for mut piece in format!("{{\"{key}\":1}}").as_bytes().chunks(1) {
            while let Some(token) = reader.next(&mut piece, 0) {
                if let Token::Key(key) = token {
                    kept = key.len();
                }
            }
        }
        assert_eq!(kept, length.min(MAX_KEY + 1));
    }
}

#[test]
fn values_nested_too_deeply_are_malformed() {
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert!(tokens(nested(127).as_bytes(), 10).is_ok());
    assert!(tokens(nested(128).as_bytes(), 10).is_err());
}

#[test]
fn texts_are_limited_and_may_be_invalid_utf_8() {
    let text = b"{\"long\":\"abc\xff\\ndef\",\"n\":123456789012345678901234567890123456789012}";
    let mut reader = Tokens::default();
    for size in [1, 100] {
        reader.reset();
        let mut seen = Vec::new();
        for mut piece in text.chunks(size) {
            while let Some(token) = reader.next(&mut piece, 4) {
                if let Token::String(text) | Token::Number(text) = token {
                    seen.push(text.to_vec());
                }
            }
        }
        assert_eq!(seen, [&b"abc\xff"[..], b""], "by {size}");
        assert!(reader.is_complete());
    }
    for (length, read) in [(MAX_NUMBER, MAX_NUMBER), (MAX_NUMBER + 1, 0)] {
        let text = format!("[{}]", "1".repeat(length));
        let expected = format!("[ {} )", "1".repeat(read));
        for size in [1, 100] {
            let words = tokens(text.as_bytes(), size);
            assert_eq!(words.as_ref(), Ok(&expected), "{length} digits by {size}");
        }
    }
    assert_eq!(number::integer(b"9007199254740992"), Some(1 << 53));
    assert_eq!(number::integer(b"9007199254740993"), None);
    assert_eq!(number::integer(b"-1"), None);
    assert_eq!(number::integer(b"1.5"), None);
    assert_eq!(number::integer(b"-1.0"), None);
    assert_eq!(number::integer(b"12.0"), Some(12));
    assert_eq!(number::integer(b"2.56e2"), Some(256));
    assert_eq!(number::integer(b"9007199254740994.0"), None);
    assert_eq!(number::integer(b"99999999999999999999"), None);
    assert_eq!(number::float(b"1e999"), None);
}
