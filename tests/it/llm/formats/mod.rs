//! The formats of LLM APIs: recorded answers of services, engines and gateways, in the shapes and key orders
//! that they send.
//!
//! `README.md` lists the public reports of wrong tracing that are rows here.

mod answer;
mod chat;
mod chat_ends;
mod chat_engines;
mod chat_failures;

mod completions;
mod framing;
mod gemini;
mod heads;
mod members;
mod messages;
mod messages_tools;
mod ollama;
mod others;
mod responses;
mod responses_failures;
mod row;
mod run;
mod settings;
mod whole;

/// Makes the tests that all rows of a module take part in.
macro_rules! rows {
    ($($module:ident),* $(,)?) => {$(
        mod $module {
            use super::super::$module::rows;
            use super::super::run;

            #[test]
            fn frames_give_the_expected_span_in_all_dialects() {
                run::in_frames(&rows());
            }

            #[test]
            fn keep_alives_in_front_change_nothing() {
                run::behind_keep_alives(&rows());
            }

            #[test]
            fn repetitions_change_nothing() {
                run::repeated(&rows());
            }

            #[test]
            fn cuts_change_nothing() {
                run::cut(&rows());
            }

            #[test]
            fn a_client_that_leaves_before_the_end_is_no_complete_answer() {
                run::left(&rows());
            }

            #[test]
            fn what_follows_the_end_changes_nothing() {
                run::lingering(&rows());
            }
        }
    )*};
}

mod all {
    rows!(
        chat,
        chat_ends,
        chat_engines,
        chat_failures,
        completions,
        gemini,
        messages,
        messages_tools,
        ollama,
        others,
        responses,
        responses_failures,
        whole,
    );
}
