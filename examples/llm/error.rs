//! Errors as the servers of each API send them.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::request::Endpoint;

/// An error response.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl ApiError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            message: message.into(),
        }
    }

    pub(crate) fn no_model(model: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            kind: "not_found_error",
            message: format!("there is no model {model:?}"),
        }
    }

    /// Returns the error for a failure of the engine.
    pub(crate) fn engine(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: "internal_server_error",
            message: message.into(),
        }
    }

    /// Returns the body of an error response, or the data of the error event of a stream whose status is already
    /// sent.
    pub(crate) fn body(&self, endpoint: Endpoint) -> Value {
        let Self {
            status,
            kind,
            message,
        } = self;
        match endpoint {
            Endpoint::Chat | Endpoint::Completions | Endpoint::Responses => json!({ "error": {
                "message": message,
                "type": kind,
                "param": null,
                "code": status.as_u16(),
            } }),
            Endpoint::Messages => {
                let kind = if status.is_server_error() {
                    "api_error"
                } else {
                    kind
                };
                json!({ "type": "error", "error": { "type": kind, "message": message } })
            }
        }
    }

    pub(crate) fn into_response(self, endpoint: Endpoint) -> Response {
        (self.status, Json(self.body(endpoint))).into_response()
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self {
            status: rejection.status(),
            ..Self::invalid(rejection.body_text())
        }
    }
}
