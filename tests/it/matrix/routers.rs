//! The positions of the layer in an axum application.

use std::fmt;

use axum::Router;
use axum::body::Body;
use axum::routing::any_service;
use http::Response;
use tower::ServiceBuilder;

use super::handler::Handler;
use super::observers::ObservedLayer;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Position {
    /// Around the whole application, with the body mapped back to axum's.
    Outside,
    /// `Router::layer`, after the routes.
    Router,
    /// `Router::route_layer`.
    Route,
    /// `MethodRouter::layer`.
    Method,
    /// `Router::layer` of a router that is nested in another.
    Nested,
    /// `Router::layer` of a router that has only a fallback.
    Fallback,
}

impl Position {
    pub const ALL: [Self; 6] = [
        Self::Outside,
        Self::Router,
        Self::Route,
        Self::Method,
        Self::Nested,
        Self::Fallback,
    ];

    pub fn path(self) -> &'static str {
        if self == Self::Nested {
            "/branch/leaf"
        } else {
            "/leaf"
        }
    }

    /// The route that the layer sees, if any.
    pub fn route(self) -> Option<&'static str> {
        match self {
            Self::Outside | Self::Fallback => None,
            Self::Router | Self::Route | Self::Method => Some("/leaf"),
            Self::Nested => Some("/branch/leaf"),
        }
    }

    /// Whether the layer sees a request that matches no route.
    pub fn sees_fallback(self) -> bool {
        matches!(self, Self::Outside | Self::Router | Self::Fallback)
    }

    pub fn router(self, layer: ObservedLayer, handler: &Handler) -> Router {
        match self {
            Self::Outside => {
                let outside = ServiceBuilder::new()
                    .map_response(|response: Response<_>| response.map(Body::new))
                    .layer(layer)
                    .service(plain(handler));
                Router::new().fallback_service(outside)
            }
            Self::Router => plain(handler).layer(layer),
            Self::Route => plain(handler).route_layer(layer),
            Self::Method => Router::new().route("/leaf", any_service(handler.clone()).layer(layer)),
            Self::Nested => Router::new().nest("/branch", plain(handler).layer(layer)),
            Self::Fallback => Router::new().fallback_service(handler.clone()).layer(layer),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "outside",
            Self::Router => "layer",
            Self::Route => "route_layer",
            Self::Method => "method",
            Self::Nested => "nested",
            Self::Fallback => "fallback",
        })
    }
}

/// Returns an application without the layer that responds on every path.
pub fn plain(handler: &Handler) -> Router {
    Router::new()
        .route("/leaf", any_service(handler.clone()))
        .fallback_service(handler.clone())
}
