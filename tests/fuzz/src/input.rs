//! Parts of an input: its leading bytes, and the rest in pieces.

/// Takes the first byte; 0 if there is none.
pub fn take_byte(input: &mut &[u8]) -> u8 {
    let Some((first, rest)) = input.split_first() else {
        return 0;
    };
    *input = rest;
    *first
}

/// Takes cut lengths: a byte for their number, up to 15, and one byte for each.
pub fn take_cuts<'a>(input: &mut &'a [u8]) -> &'a [u8] {
    let wanted = usize::from(take_byte(input) % 16);
    let (lengths, rest) = input.split_at(wanted.min(input.len()));
    *input = rest;
    lengths
}

/// Splits bytes into pieces of these lengths, which repeat. Without a length over 0 there is one piece.
pub fn split<'a>(mut bytes: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    if lengths.iter().all(|length| *length == 0) {
        return vec![bytes];
    }
    let mut pieces = Vec::new();
    let mut lengths = lengths.iter().cycle();
    while let Some(length) = lengths.next().filter(|_| !bytes.is_empty()) {
        let (piece, rest) = bytes.split_at(usize::from(*length).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Returns the index of the piece in which the first `bytes` bytes end.
pub fn piece_at(pieces: &[&[u8]], bytes: usize) -> usize {
    let mut length = 0;
    pieces
        .iter()
        .position(|piece| {
            length += piece.len();
            length >= bytes
        })
        .expect("the pieces have so many bytes")
}
