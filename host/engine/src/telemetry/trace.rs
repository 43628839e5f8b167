//! The parent of a call's span, when the caller names one.

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes a span the child of the caller's span, given as W3C trace context in HTTP headers or `_meta`.
pub(crate) fn adopt(span: &tracing::Span, traceparent: &str, tracestate: Option<&str>) {
    let parent = TraceContextPropagator::new().extract(&Carrier { traceparent, tracestate });
    // Fails when no exporter collects spans. Nothing uses the parent then.
    let _ = span.set_parent(parent);
}

/// The two values of a trace context, in the form that the propagator reads.
struct Carrier<'a> {
    traceparent: &'a str,
    tracestate: Option<&'a str>,
}

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.traceparent),
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}
