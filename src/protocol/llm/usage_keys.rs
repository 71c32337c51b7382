//! The members of objects with numbers of tokens.

use super::member::{Count, Member};

/// Returns a member of `usage`.
pub(super) fn usage_member(key: &[u8]) -> Member {
    Member::Count(match key {
        b"prompt_tokens_details" | b"input_tokens_details" => return Member::InputDetails,
        b"completion_tokens_details" | b"output_tokens_details" => return Member::OutputDetails,
        b"prompt_tokens" | b"input_tokens" => Count::Input,
        b"completion_tokens" | b"output_tokens" => Count::Output,
        b"total_tokens" => Count::Total,
        b"cache_read_input_tokens" => Count::CacheRead,
        b"cached_tokens" | b"prompt_cache_hit_tokens" => Count::Beside,
        b"cache_creation_input_tokens" => Count::CacheCreation,
        _ => return Member::Other,
    })
}

/// Returns a member of the details of the input.
pub(super) fn input_member(key: &[u8]) -> Member {
    match key {
        b"cached_tokens" => Member::Count(Count::CacheRead),
        b"cache_write_tokens" => Member::Count(Count::CacheCreation),
        _ => Member::Other,
    }
}

/// Returns a member of the details of the output.
pub(super) fn output_member(key: &[u8]) -> Member {
    match key {
        b"reasoning_tokens" | b"thinking_tokens" => Member::Count(Count::Reasoning),
        _ => Member::Other,
    }
}

/// Returns a member of Gemini's `usageMetadata`.
pub(super) fn metadata_member(key: &[u8]) -> Member {
    Member::Count(match key {
        b"promptTokenCount" => Count::Input,
        b"candidatesTokenCount" => Count::Output,
        b"cachedContentTokenCount" => Count::CacheRead,
        b"thoughtsTokenCount" => Count::Reasoning,
        b"toolUsePromptTokenCount" => Count::Beside,
        _ => return Member::Other,
    })
}
