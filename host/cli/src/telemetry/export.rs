//! Exports traces over OTLP: HTTP with protobuf, in batches, on a separate thread.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tracing_opentelemetry::OpenTelemetryLayer;
use url::Url;

use super::TelemetryError;

/// A batch exporter of spans to a collector.
#[derive(Debug)]
pub(crate) struct Exporter {
    provider: SdkTracerProvider,
}

impl Exporter {
    pub(super) fn new(endpoint: &str) -> Result<Exporter, TelemetryError> {
        let failed = |reason: String| TelemetryError::Exporter { endpoint: endpoint.to_owned(), reason };
        // Checked here: the exporter would report a bad endpoint only when it sends.
        let collector = collector(endpoint).map_err(failed)?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(collector)
            .build()
            .map_err(|err| failed(err.to_string()))?;
        let resource = Resource::builder().with_service_name("airlock").build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Exporter { provider })
    }

    pub(super) fn layer<S>(&self) -> OpenTelemetryLayer<S, Tracer>
    where
        S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
    {
        tracing_opentelemetry::layer().with_tracer(self.provider.tracer("airlock"))
    }

    /// Sends the spans that are left. A failure is logged as a warning.
    pub(crate) fn shut_down(&self) {
        // Blocks until the last batch is sent or the exporter's own time limit ends.
        if let Err(err) = self.provider.shutdown() {
            tracing::warn!("the last traces were not delivered: {err}");
        }
    }
}

/// The URL for traces below an endpoint. URLs with a user are refused, so that the host is the one that a reader sees.
fn collector(endpoint: &str) -> Result<String, String> {
    let url = Url::parse(endpoint).map_err(|err| err.to_string())?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err("it must be an `http` or `https` URL".into());
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user || url.query().is_some() || url.fragment().is_some() {
        return Err("write it without a user, a query or `#`".into());
    }
    Ok(format!("{}/v1/traces", url.as_str().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_to_the_host_that_is_named() {
        assert_eq!(collector("http://127.0.0.1:4318/").unwrap(), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(collector("https://otel.example.com/x").unwrap(), "https://otel.example.com/x/v1/traces");
        for wrong in [
            "",
            "127.0.0.1:4318",
            "ftp://h",
            "http://127.0.0.1:4318@evil.example",
            "http://h/?x",
            "http://h/#x",
        ] {
            assert!(collector(wrong).is_err(), "{wrong}");
        }
    }
}
