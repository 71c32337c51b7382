//! The status in a gRPC-Web body, read from the whole body.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::Status;

/// The longest trailers that are read, in bytes.
const MAX_TRAILERS: usize = 8 * 1_024;

/// Returns the status in the trailers, and how many bytes of the body it takes to read it.
pub fn read(body: &[u8]) -> Option<(Status, usize)> {
    let mut at = 0;
    loop {
        let header = body.get(at..at + 5)?;
        let length = header[1..]
            .iter()
            .fold(0, |length, byte| 256 * length + usize::from(*byte));
        let start = at + 5;
        match header[0] {
            0 | 1 => at = start + length,
            0x80 if (1..=MAX_TRAILERS).contains(&length) => {
                let block = body.get(start..start + length)?;
                return Some((status(block)?, start + length));
            }
            _ => return None,
        }
    }
}

/// Does the same for a body in base64, whose groups of four characters are decoded one by one.
pub fn read_text(body: &[u8]) -> Option<(Status, usize)> {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let base64 = GeneralPurpose::new(&STANDARD, config);
    let mut decoded = Vec::new();
    // For each decoded byte, the number of characters that it takes to decode it.
    let mut ends = Vec::new();
    for (index, group) in body.chunks_exact(4).enumerate() {
        let Ok(bytes) = base64.decode(group) else {
            break;
        };
        ends.extend(bytes.iter().map(|_| 4 * (index + 1)));
        decoded.extend(bytes);
    }
    let (status, end) = read(&decoded)?;
    Some((status, ends[end - 1]))
}

fn status(block: &[u8]) -> Option<Status> {
    let mut lines = Vec::new();
    for line in block.split(|byte| *byte == b'\n') {
        if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            lines.push((
                line[..colon].to_ascii_lowercase(),
                line[colon + 1..].trim_ascii(),
            ));
        }
    }
    let value = |wanted: &[u8]| lines.iter().find(|(name, _)| name == wanted);
    let (_, code) = value(b"grpc-status")?;
    let message = value(b"grpc-message").map(|(_, message)| *message);
    Some(Status::parse(code, message))
}
