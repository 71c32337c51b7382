//! Strategies for the parts that the formats of LLM APIs share: texts, numbers of tokens, errors, and members
//! that no rule names.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// One event, line or whole answer: its name, and its data.
#[derive(Clone, Debug)]
pub struct Sent {
    pub name: &'static str,
    pub data: Data,
}

#[derive(Clone, Debug)]
pub enum Data {
    Json(Value),
    Text(&'static str),
    None,
}

impl Sent {
    pub fn json(value: Value) -> Self {
        Self {
            name: "",
            data: Data::Json(value),
        }
    }

    /// Returns an event whose name is also the type in its data.
    pub fn typed(name: &'static str, mut value: Value) -> Self {
        value["type"] = name.into();
        Self {
            name,
            data: Data::Json(value),
        }
    }

    pub fn text(text: &'static str) -> Self {
        Self {
            name: "",
            data: Data::Text(text),
        }
    }
}

/// Texts that were generated, often empty.
pub fn texts() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        "",
        "Hi",
        " there",
        "\u{e9}\u{1f600}\u{feff}",
        "[DONE]",
        "data: [DONE]\n\nevent: error\n\n",
        "{\"error\":\"no\"}",
        "\"\\\u{7f}\u{0}/",
    ]);
    let long = (200..3_000_usize).prop_map(|length| "\u{e4}b".repeat(length));
    prop_oneof![30 => known.prop_map(str::to_owned), 1 => long]
}

/// Ids, models, codes and reasons.
pub fn words() -> impl Strategy<Value = Value> {
    let long = (80..130_usize).prop_map(|length| Value::from("\u{e4}b".repeat(length)));
    prop_oneof![
        12 => select(vec!["a-1", "b", "claude", "stop", "length", "error"]).prop_map(Value::from),
        2 => select(vec![json!(""), json!(null), json!(7), json!({"id": "no"})]),
        1 => long,
    ]
}

/// Numbers of tokens, and values that are none.
pub fn counts() -> impl Strategy<Value = Value> {
    let limit = 1_u64 << 53;
    prop_oneof![
        8 => select(vec![0_u64, 1, 7, 1_234, limit]).prop_map(Value::from),
        1 => select(vec![
            json!(limit + 1),
            json!(u64::MAX),
            json!(-1),
            json!(1.5),
            json!(12.0),
            json!("7"),
            json!(null),
            json!([7]),
        ]),
    ]
}

/// Returns an object with some of these members.
pub fn counted(keys: &'static [&'static str]) -> impl Strategy<Value = Value> {
    vec(option::weighted(0.8, counts()), keys.len()).prop_map(|counts| {
        let members = keys.iter().zip(counts);
        let members = members.filter_map(|(key, count)| Some(((*key).to_owned(), count?)));
        Value::Object(members.collect())
    })
}

/// Values of a member `error`, half of which say nothing.
pub fn errors() -> impl Strategy<Value = Value> {
    let silent = select(vec![
        json!(null),
        json!(false),
        json!(""),
        json!({}),
        json!([]),
        json!(0),
        json!(0.03),
        json!({"code": 0, "message": "", "more": [null, false]}),
    ]);
    let member = || {
        prop_oneof![
            3 => words(),
            1 => select(vec![json!(500), json!(0), json!(-1), json!(true)]),
        ]
    };
    let keys = vec!["message", "code", "type", "status", "param", "error"];
    let members = vec((select(keys), member()), 1..4);
    let object = members.prop_map(|members| {
        let members = members.into_iter();
        Value::Object(
            members
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    });
    let odd = select(vec![
        json!(true),
        json!([[1]]),
        json!({"a": {"b": [0, "x"]}}),
    ]);
    prop_oneof![3 => silent, 3 => object, 1 => texts().prop_map(Value::from), 1 => odd]
}

/// Events that report a failure, in any format.
pub fn failures() -> impl Strategy<Value = Sent> {
    let beside = |error: Value, message: Value, code: Value| json!({"error": error, "message": message, "code": code});
    let all = (errors(), words(), words()).prop_map(move |(error, message, code)| {
        [
            Sent::json(json!({"error": error.clone()})),
            Sent::json(beside(error.clone(), message.clone(), code.clone())),
            Sent::typed("error", json!({"error": error.clone()})),
            Sent::typed("error", json!({"message": message, "code": code})),
            Sent::json(json!({"object": "error", "message": message, "type": "t"})),
            Sent::json(json!({"object": "fine_tuning.job", "error": error.clone()})),
            Sent::json(json!({"object": "error", "message": message, "code": 400})),
            Sent::json(json!({"base_resp": {"status_code": 1008, "status_msg": message}, "x": 1})),
            Sent::json(json!({"base_resp": {"status_code": 0, "status_msg": message}})),
            Sent {
                name: "error",
                data: Data::Text("trouble"),
            },
            Sent {
                name: "error",
                data: Data::Json(beside(error, message, code)),
            },
            Sent {
                name: "error",
                data: Data::None,
            },
        ]
    });
    (all, 0..12_usize).prop_map(|(all, which)| all[which].clone())
}

/// Events that belong to no format, or to none in particular.
pub fn others() -> impl Strategy<Value = Sent> {
    select(vec![
        Sent::typed("ping", json!({})),
        Sent::text("[DONE]"),
        Sent::text("trouble"),
        Sent::text("{\"choices\":[{\"delta\":"),
        Sent::text("{\"done\":true} x"),
        Sent::text("[1,{\"error\":\"no\"}]"),
        Sent::text(""),
        Sent::json(json!({})),
        Sent::json(json!({"of": 1})),
        Sent::typed("message_stop", json!({})),
        Sent::json(json!({"done": true})),
        Sent {
            name: "message_stop",
            data: Data::None,
        },
        Sent {
            name: "response.completed",
            data: Data::Text("{"),
        },
        Sent {
            name: "done",
            data: Data::Text("{}"),
        },
    ])
}

/// Members that no rule names, and a few that a rule names elsewhere.
fn extras() -> impl Strategy<Value = Map<String, Value>> {
    let inner = select(vec![
        json!({"error": "no", "done": true, "type": "message_stop", "choices": [{"text": "x"}]}),
        json!([[[{"id": "no", "usage": {"prompt_tokens": 3}}]]]),
        json!({"delta": {"content": "x"}, "model": "no"}),
        json!(1_732_000_000.25),
        json!(-3),
        json!("x"),
        json!(null),
        json!(true),
    ]);
    let huge = (2_000..9_000_usize).prop_map(|length| Value::from("x\\ ".repeat(length)));
    let value = prop_oneof![300 => inner, 1 => huge];
    let keys = vec![
        "obfuscation",
        "sequence_number",
        "system_fingerprint",
        "created",
        "timings",
        "erro",
        "errors",
        "\u{e9}",
        "",
        "a\"b\\",
    ];
    vec((select(keys), value), 0..4).prop_map(|members| {
        let members = members.into_iter();
        members
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    })
}

/// Members at the top that are a rule's, where they belong to another format.
fn intruders() -> impl Strategy<Value = Map<String, Value>> {
    let member = prop_oneof![
        errors().prop_map(|error| ("error", error)),
        select(vec![
            ("object", json!("")),
            ("object", json!("list")),
            ("message", json!("beside")),
            ("code", json!("c")),
        ]),
    ];
    option::weighted(0.08, member).prop_map(|member| {
        let members = member.into_iter();
        members
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    })
}

/// Adds members to an object, some of which can replace others.
pub fn with_extras(sent: impl Strategy<Value = Sent>) -> impl Strategy<Value = Sent> {
    (sent, extras(), intruders()).prop_map(|(mut sent, extras, intruders)| {
        if let Data::Json(Value::Object(members)) = &mut sent.data {
            for (key, value) in extras {
                members.entry(key).or_insert(value);
            }
            members.extend(intruders);
        }
        sent
    })
}
