//! A script: what the client, the service, the body, the handler and the server do in one exchange.

use std::fmt;

use bytes::Bytes;
use http::{Method, Request, Response, Version};

use super::oracle::{HandlerCall, Oracle, Settings};
use crate::support::body::{Says, ScriptedBody, Step};

/// One exchange.
#[derive(Clone)]
pub struct Script {
    /// The layer is the preset for language models.
    pub is_llm: bool,
    pub method: Method,
    pub version: Version,
    /// The content type of the request.
    pub protocol: &'static str,
    /// The Content-Length of the request.
    pub length: Option<&'static str>,
    /// `grpc-timeout`: it passes at once, or never.
    pub timeout: Option<&'static str>,
    /// How often the response future is pending before it does what `service` defines.
    pub pending: usize,
    pub service: Inner,
    pub acts: Vec<Act>,
    /// The call that the body's destructor makes.
    pub destructor: Option<HandlerCall>,
}

/// What the inner service does.
#[derive(Clone, Debug)]
pub enum Inner {
    PanicsInCall,
    PanicsInPoll,
    Errs,
    Answers(Answer),
}

/// A response.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub content_length: Option<String>,
    pub transfer_encoding: bool,
    pub content_type: Option<&'static str>,
    pub content_encoding: Option<&'static str>,
    pub grpc_status: Option<&'static str>,
    pub steps: Vec<Step>,
    /// The text of slices among the steps.
    pub text: Bytes,
    pub end_stream: Says,
    pub size: Option<u64>,
}

/// The next action of server or handler.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// The server polls the future, and once it has the response, the body.
    Poll,
    /// The server polls, and the handler makes a call during the poll.
    PollCalling(HandlerCall),
    /// The server asks for `is_end_stream` and `size_hint`.
    Ask,
    /// The handler makes a call, on this thread or another.
    Call(HandlerCall, Thread),
    /// The server drops what it holds.
    Drop,
    /// The server drops what it holds while its thread unwinds.
    DropUnwinding,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Thread {
    This,
    Another,
}

impl Script {
    pub fn request(&self) -> Request<()> {
        let mut request = Request::builder()
            .method(&self.method)
            .version(self.version)
            .uri("http://example.com/pkg.Service/Method?q=1")
            .header("content-type", self.protocol);
        for (name, value) in [
            ("content-length", self.length),
            ("grpc-timeout", self.timeout),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        request.body(()).expect("a request")
    }

    /// Starts the oracle of this exchange.
    pub fn oracle(&self) -> Oracle {
        self.oracle_over(self.version)
    }

    /// Starts the oracle of this exchange over another version of HTTP.
    pub fn oracle_over(&self, version: Version) -> Oracle {
        let settings = if self.is_llm {
            Settings::llm()
        } else {
            Settings::default()
        };
        let mut request = self.request();
        *request.version_mut() = version;
        Oracle::new(settings, &request, self.timeout == Some("1n"))
    }
}

impl Answer {
    pub fn body(&self) -> ScriptedBody {
        let body = ScriptedBody::new(self.steps.clone())
            .reading(self.text.clone())
            .saying(self.end_stream);
        match self.size {
            Some(size) => body.sized(size),
            None => body,
        }
    }

    pub fn response(&self, body: ScriptedBody) -> Response<ScriptedBody> {
        let mut response = Response::builder().status(self.status);
        if let Some(length) = &self.content_length {
            response = response.header("content-length", length);
        }
        if self.transfer_encoding {
            response = response.header("transfer-encoding", "chunked");
        }
        for (name, value) in [
            ("content-type", self.content_type),
            ("content-encoding", self.content_encoding),
            ("grpc-status", self.grpc_status),
        ] {
            if let Some(value) = value {
                response = response.header(name, value);
            }
        }
        response.body(body).expect("a response")
    }
}

impl fmt::Debug for Script {
    /// Prints one line for each part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        write!(
            f,
            "  request    {} {:?} {}",
            self.method, self.version, self.protocol
        )?;
        if let Some(length) = self.length {
            write!(f, ", content-length {length}")?;
        }
        match self.timeout {
            Some(timeout) => writeln!(f, ", grpc-timeout {timeout}")?,
            None => writeln!(f)?,
        }
        if self.is_llm {
            writeln!(f, "  layer      for language models")?;
        }
        write!(f, "  service    pending {} times, then ", self.pending)?;
        match &self.service {
            Inner::Answers(answer) => {
                writeln!(f, "{}", answer.status)?;
                for (name, value) in [
                    ("content-length", answer.content_length.as_deref()),
                    (
                        "transfer-encoding",
                        answer.transfer_encoding.then_some("chunked"),
                    ),
                    ("content-type", answer.content_type),
                    ("content-encoding", answer.content_encoding),
                    ("grpc-status", answer.grpc_status),
                ] {
                    if let Some(value) = value {
                        writeln!(f, "             {name}: {value}")?;
                    }
                }
                if !answer.text.is_empty() {
                    writeln!(f, "  text       {:?}", answer.text)?;
                }
                writeln!(
                    f,
                    "  body       {:?}, is_end_stream {:?}, exact size {:?}",
                    answer.steps, answer.end_stream, answer.size
                )?;
            }
            other => writeln!(f, "{other:?}")?,
        }
        if let Some(call) = self.destructor {
            writeln!(f, "             its destructor calls {call:?}")?;
        }
        for act in &self.acts {
            writeln!(f, "  then       {act:?}")?;
        }
        Ok(())
    }
}
