//! Calls of the callback, lines of the access log, measurements and spans are as many as the requests, over real
//! connections and however the requests end.
