//! TLS to other hosts: the trusted roots of this machine.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

/// Why there is no TLS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TlsError {
    /// No certificate of a root is found.
    #[error("this machine has no trusted certificates, without which no host can be reached over TLS{0}")]
    NoRoots(String),
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Library(String),
}

/// The settings of every connection. The roots are read once in a process: reading them takes tens of milliseconds.
///
/// # Errors
/// When this machine has no trusted roots.
pub(super) fn config() -> Result<Arc<ClientConfig>, TlsError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    // An error is not kept: the operator may install the roots and reload.
    let config = read()?;
    Ok(CONFIG.get_or_init(|| config).clone())
}

fn read() -> Result<Arc<ClientConfig>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(TlsError::NoRoots(why));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Library(error.to_string()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
