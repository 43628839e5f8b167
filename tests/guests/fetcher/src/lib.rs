//! A guest that sends HTTP requests over `wasi:http` and knows nothing of its host. What the host refuses comes back as
//! the error of its functions.

use wasi::cli::stdout::get_stdout;
use wasi::http::outgoing_handler::handle;
use wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use wasi::io::streams::StreamError;

wit_bindgen::generate!({ path: "wit", generate_all });
export!(Fetcher);

struct Fetcher;

/// What one write may carry.
const WRITE_BYTES_MAX: usize = 4096;

impl Guest for Fetcher {
    fn fetch(
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        body: String,
    ) -> Result<Response, String> {
        let sent = send(&method, &url, &headers, body.len() as u64, body.as_bytes(), None)?;
        let (status, headers, body) = read(&wait(sent)?)?;
        Ok(Response { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }

    fn repeat(method: String, url: String, times: u32) -> Vec<String> {
        (0..times).map(|_| told(status(&method, &url))).collect()
    }

    fn fetch_all(urls: Vec<String>) -> Vec<String> {
        let sent: Vec<_> = urls.iter().map(|url| send("GET", url, &[], 0, &[], None)).collect();
        sent.into_iter()
            .map(|sent| told(sent.and_then(wait).and_then(|found| read(&found)).map(|(status, ..)| status)))
            .collect()
    }

    fn upload(url: String, bytes: u64) -> Result<u16, String> {
        let sent = send("POST", &url, &[], bytes, &[0; WRITE_BYTES_MAX], None)?;
        Ok(wait(sent)?.status())
    }

    fn download(url: String) -> Result<u64, String> {
        let sent = send("GET", &url, &[], 0, &[], None)?;
        Ok(read(&wait(sent)?)?.2.len() as u64)
    }

    fn fetch_then_abort(method: String, url: String) {
        let found = status(&method, &url);
        panic!("{found:?}");
    }

    fn hurry(url: String, connect_ms: u64, head_ms: u64, part_ms: u64) -> Result<String, String> {
        let options = RequestOptions::new();
        let ns = |ms: u64| Some(ms * 1_000_000);
        let set = [
            options.set_connect_timeout(ns(connect_ms)),
            options.set_first_byte_timeout(ns(head_ms)),
            options.set_between_bytes_timeout(ns(part_ms)),
        ];
        if set.iter().any(Result::is_err) {
            return Err("an option is not supported".into());
        }
        let sent = send("GET", &url, &[], 0, &[], Some(options))?;
        Ok(String::from_utf8_lossy(&read(&wait(sent)?)?.2).into_owned())
    }

    fn drip(url: String) -> String {
        let mut got = String::new();
        match send("GET", &url, &[], 0, &[], None).and_then(wait) {
            Ok(response) => got = dripped(response),
            Err(error) => say(&format!("error: {error}")),
        }
        // As a tool would that does not give up.
        say(&format!("error: {:?}", status("GET", &url)));
        got
    }

    fn hunt(url: String, backwards: Vec<String>) -> Result<Vec<u32>, String> {
        let kept = read(&wait(send("GET", &url, &[], 0, &[], None)?)?)?;
        let found = backwards.iter().map(|text| places(text.as_bytes())).collect();
        // Held until here.
        drop(kept);
        Ok(found)
    }
}

/// Prints a line.
fn say(line: &str) {
    // What the host does not keep is not this tool's trouble.
    let _ = get_stdout().blocking_write_and_flush(format!("{line}\n").as_bytes());
}

/// Prints a response as it comes, and gives the body.
fn dripped(response: IncomingResponse) -> String {
    for (name, value) in response.headers().entries() {
        say(&format!("{name}: {}", String::from_utf8_lossy(&value)));
    }
    let Ok(body) = response.consume() else { return String::new() };
    let Ok(stream) = body.stream() else { return String::new() };
    let mut got = String::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(part) => {
                let part = String::from_utf8_lossy(&part).into_owned();
                say(&format!("part: {part}"));
                got.push_str(&part);
            }
            Err(StreamError::Closed) => break,
            Err(error) => {
                say(&format!("error: {error:?}"));
                return got;
            }
        }
    }
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    say(&format!(
        "trailers: {:?}",
        trailers.get().map(|got| got.map(|got| got.map(|got| got.map(|got| got.entries()))))
    ));
    got
}

/// How often a text is in the memory of this instance.
fn places(backwards: &[u8]) -> u32 {
    const PAGE: usize = 64 << 10;
    let end = core::arch::wasm32::memory_size(0) * PAGE - backwards.len();
    // Every address below `end` is memory; another instruction set would not say so.
    let byte = |at: usize| unsafe { core::ptr::read_volatile(at as *const u8) };
    let is_here =
        |at: &usize| backwards.iter().rev().enumerate().all(|(more, wanted)| byte(at + more) == *wanted);
    (1..end).filter(is_here).count() as u32
}

fn told(status: Result<u16, String>) -> String {
    status.map_or_else(|error| error, |status| status.to_string())
}

fn status(method: &str, url: &str) -> Result<u16, String> {
    let sent = send(method, url, &[], 0, &[], None)?;
    Ok(read(&wait(sent)?)?.0)
}

/// The parts of a URL: scheme, authority, and the rest.
fn split(url: &str) -> Result<(&str, &str, &str), String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    Ok((scheme, authority, if path.is_empty() { "/" } else { path }))
}

/// Starts a request whose body is `part` again and again until it has this size.
fn send(
    method: &str,
    url: &str,
    headers: &[(String, String)],
    size: u64,
    part: &[u8],
    options: Option<RequestOptions>,
) -> Result<FutureIncomingResponse, String> {
    let (scheme, authority, path) = split(url)?;
    let fields: Vec<(String, Vec<u8>)> =
        headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let fields = Fields::from_list(&fields).map_err(|error| format!("headers: {error:?}"))?;
    let request = OutgoingRequest::new(fields);
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(|()| "method")?;
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "path")?;
    let body = if size > 0 { Some(request.body().map_err(|()| "body")?) } else { None };
    let response = handle(request, options).map_err(code)?;
    if let Some(body) = body {
        write(&body, size, part)?;
        // As for `write`: the response tells.
        let _ = OutgoingBody::finish(body, None);
    }
    Ok(response)
}

fn write(body: &OutgoingBody, mut size: u64, part: &[u8]) -> Result<(), String> {
    let stream = body.write().map_err(|()| "stream")?;
    while size > 0 {
        let bytes = part.len().min(WRITE_BYTES_MAX).min(size as usize);
        // The response says why a body was not wanted to its end.
        if stream.blocking_write_and_flush(&part[..bytes]).is_err() {
            return Ok(());
        }
        size -= bytes as u64;
    }
    Ok(())
}

fn wait(response: FutureIncomingResponse) -> Result<IncomingResponse, String> {
    response.subscribe().block();
    response.get().ok_or("not ready")?.map_err(|()| "taken")?.map_err(code)
}

type Read = (u16, Vec<(String, String)>, Vec<u8>);

fn read(response: &IncomingResponse) -> Result<Read, String> {
    let text = |(name, value): (String, Vec<u8>)| (name, String::from_utf8_lossy(&value).into_owned());
    let headers = response.headers().entries().into_iter().map(text).collect();
    let body = response.consume().map_err(|()| "body")?;
    let stream = body.stream().map_err(|()| "stream")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    Ok((response.status(), headers, bytes))
}

fn code(code: ErrorCode) -> String {
    format!("{code:?}")
}
