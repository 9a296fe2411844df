//! TLS of the listener for callbacks: only who shows a certificate of the provider's is let in.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;

use crate::pix::client::IdentityFiles;
use crate::pix::client::identity::{IdentityError, chain, roots};

/// Our certificate, and the authorities in `ca` for whoever connects.
///
/// # Errors
/// [`IdentityError`]
pub fn server(files: &IdentityFiles, ca: &Path) -> Result<ServerConfig, IdentityError> {
    let (certificates, key) = chain(files)?;
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(roots(Some(ca))?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|_| IdentityError::NoCertificate { path: ca.to_owned() })?;
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("`ring` has TLS 1.2 and 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .map_err(|_| IdentityError::Apart { path: files.certificate.clone() })
}
