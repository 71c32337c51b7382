//! Named kinds of responses, for the tests against real servers.

use http::{Method, Request, Response, Version};

use super::body::Step::{self, Data, Error, Panic, Pending, Trailers};
use super::body::{Says, ScriptedBody};

/// A request and the response to it.
#[derive(Clone, Debug)]
pub struct Shape {
    pub name: &'static str,
    pub method: Method,
    pub version: Version,
    pub request_headers: &'static [(&'static str, &'static str)],
    pub status: u16,
    pub headers: &'static [(&'static str, &'static str)],
    pub steps: Vec<Step>,
    pub says: Says,
    pub size: Option<u64>,
    /// The handler panics instead of answering.
    pub handler_panics: bool,
}

impl Shape {
    /// Returns a 200 to a GET, whose body reports neither its size nor its end.
    fn new(name: &'static str, steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            name,
            method: Method::GET,
            version: Version::HTTP_11,
            request_headers: &[],
            status: 200,
            headers: &[],
            steps: steps.into_iter().collect(),
            says: Says::Always(false),
            size: None,
            handler_panics: false,
        }
    }

    /// Returns a 200 to a GET, whose body is one frame and reports its size and end, as `Full` does.
    fn full(name: &'static str, bytes: usize) -> Self {
        Self {
            says: Says::Truth,
            size: Some(bytes as u64),
            ..Self::new(name, (bytes > 0).then_some(Data(bytes)))
        }
    }

    fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn headers(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }

    fn sized(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// Returns the response. Panics if the handler of the shape does.
    pub fn respond<B>(&self, _: &Request<B>) -> Response<ScriptedBody> {
        if self.handler_panics {
            std::panic::resume_unwind(Box::new("the handler panics"));
        }
        let body = ScriptedBody::new(self.steps.clone()).saying(self.says);
        let body = match self.size {
            Some(size) => body.sized(size),
            None => body,
        };
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(*name, *value);
        }
        response.body(body).expect("a response")
    }
}

const LENGTH_0: &[(&str, &str)] = &[("content-length", "0")];
const LENGTH_10: &[(&str, &str)] = &[("content-length", "10")];
const LENGTH_15: &[(&str, &str)] = &[("content-length", "15")];
const LENGTH_20: &[(&str, &str)] = &[("content-length", "20")];

/// Returns the shapes for every protocol. What the client receives depends on the server.
pub fn all() -> Vec<Shape> {
    let stream = || [Data(5), Pending, Data(5), Pending, Data(5)];
    let then = |last: Step| stream().into_iter().chain([last]);
    vec![
        Shape::full("full", 15),
        Shape::full("empty", 0),
        Shape::new("stream", stream()),
        Shape::new("stream of no frames", []),
        Shape::new("stream with empty frames", [Data(0), Data(5), Data(0)]),
        Shape {
            says: Says::Truth,
            ..Shape::new("stream that knows its end", stream())
        },
        Shape::new("stream of a known size", stream()).sized(15),
        Shape::new("size hint too large", stream()).sized(20),
        Shape::new("size hint too small", stream()).sized(10),
        Shape::new("content-length", stream()).headers(LENGTH_15),
        Shape::new("content-length, then an error", then(Error)).headers(LENGTH_15),
        Shape::new("content-length, then more data", then(Data(5))).headers(LENGTH_15),
        Shape::new("content-length too large", stream()).headers(LENGTH_20),
        Shape::new("content-length too small", stream()).headers(LENGTH_10),
        Shape::new("content-length 0, but data", stream()).headers(LENGTH_0),
        Shape::full("204", 0).status(204),
        Shape::full("204 with a body", 15).status(204),
        Shape::full("205 with a body", 15).status(205),
        Shape::full("304", 0).status(304),
        Shape::full("304 with a body", 15).status(304),
        Shape::full("HEAD", 15).method(Method::HEAD),
        Shape::new("HEAD with a stream", stream()).method(Method::HEAD),
        Shape::full("404", 15).status(404),
        Shape::full("400", 15).status(400),
        Shape::full("500", 15).status(500),
        Shape {
            request_headers: &[("te", "trailers")],
            ..Shape::new("trailers", then(Trailers(&[("x-sum", "1")])))
                .headers(&[("trailer", "x-sum")])
        },
        Shape::new("trailers without te", then(Trailers(&[("x-sum", "1")]))),
        Shape::new(
            "content-length and trailers",
            then(Trailers(&[("x-sum", "1")])),
        )
        .headers(LENGTH_15),
        Shape::new("error at once", [Error]),
        Shape::new("error midway", [Data(5), Pending, Error]),
        Shape::new("body panics at once", [Panic]),
        Shape::new("body panics midway", [Data(5), Pending, Panic]),
        Shape {
            handler_panics: true,
            ..Shape::new("handler panics", [])
        },
    ]
}

/// Returns shapes that are meaningful only with a real server. Some of them break the server.
pub fn odd() -> Vec<Shape> {
    let stream = || [Data(5), Pending, Data(5), Pending, Data(5)];
    let full = |name, headers| Shape::full(name, 15).headers(headers);
    vec![
        Shape::full("103", 0).status(103),
        Shape {
            says: Says::Truth,
            ..Shape::new("empty of unknown size", [])
        },
        full("full, content-length too large", LENGTH_20),
        full("full, content-length too small", LENGTH_10),
        Shape::new(
            "content-length that cuts a frame",
            [Data(4), Data(4), Data(4)],
        )
        .headers(LENGTH_10),
        Shape::new("size hint that cuts a frame", [Data(4), Data(4), Data(4)]).sized(10),
        Shape::new("204 with a stream", stream()).status(204),
        Shape::new("304 with a stream", stream()).status(304),
        Shape::new("HEAD with an error", [Error]).method(Method::HEAD),
        Shape::new("204 with an error", [Error]).status(204),
    ]
}

/// Returns the shapes that exist only in HTTP/1.
pub fn http1() -> Vec<Shape> {
    vec![
        Shape {
            version: Version::HTTP_10,
            ..Shape::new("HTTP/1.0 stream", [Data(5), Pending, Data(5)])
        },
        Shape {
            version: Version::HTTP_10,
            ..Shape::full("HTTP/1.0 full", 15)
        },
        Shape {
            version: Version::HTTP_10,
            ..Shape::new("HTTP/1.0 error midway", [Data(5), Pending, Error])
        },
    ]
}
