use std::fmt::Write as _;

use super::*;

/// Reads a stream in pieces. Returns its fields with their values, and `-` for each empty line.
fn read(pieces: &[&[u8]]) -> String {
    let mut reader = FieldReader::new();
    let mut seen = String::new();
    let mut add = |part: &Part<'_>| match part {
        Part::EmptyLine => seen.push_str("- "),
        Part::Value {
            field,
            value,
            is_first,
            is_last,
        } => {
            if *is_first {
                let _ = write!(seen, "{field:?}=");
            }
            seen.push_str(&String::from_utf8_lossy(value));
            if *is_last {
                seen.push(' ');
            }
        }
    };
    for piece in pieces {
        let mut rest = *piece;
        while let Some(part) = reader.next(&mut rest) {
            add(&part);
        }
    }
    if let Some(part) = reader.finish() {
        add(&part);
    }
    seen
}

#[test]
fn fields_are_read_wherever_the_stream_is_cut() {
    for (stream, expected) in [
        ("data: one\n\ndata: two\n\n", "Data=one - Data=two - "),
        ("data: a\r\ndata:b\r\n\r\n", "Data=a Data=b - "),
        ("data: a\rdata: b\r\r", "Data=a Data=b - "),
        ("data:  a\n", "Data= a "),
        ("data:a: b\n", "Data=a: b "),
        ("event: error\ndata: x", "Event=error Data=x "),
        ("error: {}\n", "Error={} "),
        (
            ": comment\n:\nid: 7\nretry: 5\n",
            "Other=comment Other= Other=7 Other=5 ",
        ),
        ("data\nevent\n", "Data= Event= "),
        (
            "data :x\nData: x\ndatabase: x\n data: x\n",
            "Other=x Other=x Other=x Bare= data: x ",
        ),
        ("{\n \"a\": 1\r}\n\n", "Bare={ Bare= \"a\": 1 Bare=} - "),
        ("data: x\n]\n[", "Data=x Bare=] Bare=[ "),
        ("a-name-that-is-longer-than-others: x\n", "Other=x "),
        ("\u{feff}data: x\n\u{feff}data: y\n", "Data=x Other=y "),
        ("\u{feff}\ndata: x\n", "- Data=x "),
        ("\n\r\n\r\r", "- - - - "),
        ("data: x\n\u{feff}data: y\n", "Data=x Other=y "),
        ("data", "Data= "),
        ("data:", "Data= "),
        ("data: ", "Data= "),
        ("", ""),
    ] {
        let bytes = stream.as_bytes();
        assert_eq!(read(&[bytes]), expected, "{stream:?}");
        let by_byte: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(read(&by_byte), expected, "{stream:?} byte by byte");
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(
                read(&[first, b"", second]),
                expected,
                "{stream:?} cut at {cut}"
            );
        }
    }
}

#[test]
fn a_piece_that_ends_with_lf_leaves_the_reader_between_lines() {
    for (pieces, expected) in [
        (&[][..], false),
        (&["data: x\n"], true),
        (&["data: x\n\n"], true),
        (&["data: x"], false),
        (&["data: x\n", "da"], false),
        (&["data: x\n", "data:"], false),
        // An LF can follow.
        (&["data: x\r"], false),
        (&["data: x\r", "\n"], true),
    ] {
        let mut reader = FieldReader::new();
        for piece in pieces {
            let mut rest = piece.as_bytes();
            while reader.next(&mut rest).is_some() {}
        }
        assert_eq!(reader.is_between_lines(), expected, "{pieces:?}");
    }
}
