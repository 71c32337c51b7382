//! An axum extractor for the handle, which never rejects.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request;

use crate::handle::SpanHandle;

#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> FromRequestParts<S> for SpanHandle {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::from_extensions(&parts.extensions))
    }
}
