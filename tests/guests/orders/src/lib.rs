//! A guest that places orders at a service of another host. What the host refuses comes back as the error of its
//! functions.

use wasi::http::outgoing_handler::handle;
use wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};

wit_bindgen::generate!({ path: "wit", generate_all });
export!(Orders);

struct Orders;

/// Bytes of one part of a body.
const PART: [u8; 64] = [b'x'; 64];

impl Guest for Orders {
    fn place(service: String, id: String, manner: Manner) -> Result<u16, String> {
        if manner == Manner::Compute {
            spin(50_000_000);
        }
        assert!(manner != Manner::AbortBefore, "before the order");
        // A part is taken once the one before it was sent: after several the order is under way.
        let parts = if manner == Manner::Forget { 4 } else { 1 };
        let sent = send(Method::Post, &service, &id, parts)?;
        match manner {
            Manner::AbortMeanwhile => panic!("the order is under way"),
            Manner::Forget => return Ok(0),
            Manner::Spin => spin(u64::MAX),
            _ => {}
        }
        let status = wait(&sent)?;
        assert!(manner != Manner::AbortAfter, "after the order");
        Ok(status)
    }

    fn place_many(service: String, id: String, times: u32) -> u32 {
        let placed =
            |n: u32| send(Method::Post, &service, &format!("{id}-{n}"), 0).and_then(|sent| wait(&sent));
        (0..times).map(|n| u32::from(placed(n).is_ok())).sum()
    }

    fn place_in_parts(service: String, id: String, parts: u32) -> Result<u16, String> {
        wait(&send(Method::Post, &service, &id, parts)?)
    }

    fn was_placed(service: String, id: String) -> Standing {
        match send(Method::Get, &service, &id, 0).and_then(|sent| wait(&sent)) {
            Ok(200) => Standing::Applied,
            Ok(404) => Standing::NotApplied,
            Ok(_) | Err(_) => Standing::Unknown,
        }
    }
}

/// Computes for so many steps.
fn spin(steps: u64) {
    let mut n = 0_u64;
    while n < steps {
        n = std::hint::black_box(n + 1);
    }
}

/// Sends a request about an order, with a body of so many parts.
fn send(method: Method, service: &str, id: &str, parts: u32) -> Result<FutureIncomingResponse, String> {
    let request = OutgoingRequest::new(Fields::new());
    let authority = service.strip_prefix("http://").ok_or("no http")?;
    request.set_method(&method).map_err(|()| "method")?;
    request.set_scheme(Some(&Scheme::Http)).map_err(|()| "scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "authority")?;
    request.set_path_with_query(Some(&format!("/orders/{id}"))).map_err(|()| "path")?;
    let body = if parts > 0 { Some(request.body().map_err(|()| "body")?) } else { None };
    let response = handle(request, None).map_err(code)?;
    if let Some(body) = body {
        let stream = body.write().map_err(|()| "stream")?;
        for _ in 0..parts {
            // The response says why a body was not wanted to its end.
            if stream.blocking_write_and_flush(&PART).is_err() {
                break;
            }
        }
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
    Ok(response)
}

fn wait(response: &FutureIncomingResponse) -> Result<u16, String> {
    response.subscribe().block();
    let response = response.get().ok_or("not ready")?.map_err(|()| "taken")?.map_err(code)?;
    // Read to its end, so that the connection is kept.
    let body = response.consume().map_err(|()| "body")?;
    let stream = body.stream().map_err(|()| "stream")?;
    while stream.blocking_read(1 << 10).is_ok() {}
    Ok(response.status())
}

fn code(code: ErrorCode) -> String {
    format!("{code:?}")
}
