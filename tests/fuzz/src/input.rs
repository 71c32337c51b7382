//! Inputs: what their first bytes mean.

/// Takes the first byte off; 0 if there is none.
pub fn byte(input: &mut &[u8]) -> u8 {
    let Some((first, rest)) = input.split_first() else {
        return 0;
    };
    *input = rest;
    *first
}

/// Takes off how to cut: a number of lengths, up to 15, and as many lengths.
pub fn cuts<'a>(input: &mut &'a [u8]) -> &'a [u8] {
    let wanted = usize::from(byte(input) % 16);
    let (lengths, rest) = input.split_at(wanted.min(input.len()));
    *input = rest;
    lengths
}

/// Cuts into pieces of these lengths, which begin anew at their end; whole if there is none but 0.
pub fn cut<'a>(mut bytes: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
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

/// The piece in which so many bytes are there.
pub fn piece_of(pieces: &[&[u8]], bytes: usize) -> usize {
    let mut there = 0;
    pieces
        .iter()
        .position(|piece| {
            there += piece.len();
            there >= bytes
        })
        .expect("so many bytes are there")
}
