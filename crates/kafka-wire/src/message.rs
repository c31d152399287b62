//! What all requests have in common, for callers that are generic over the API.

use crate::messages::{ApiKey, Request, Response};

/// A request of one API, with the type of its response.
pub trait RequestMessage: Into<Request> {
    const API_KEY: ApiKey;
    type Response: TryFrom<Response, Error = Response> + Into<Response>;
}
