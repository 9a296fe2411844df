//! Who we are to the provider, and whom we take for it: certificates from files.
//!
//! The client's door calls it once, at the start, and so does the listener for callbacks. What must
//! hold: no error repeats what stood in a file, and no other TLS than that of rustls with `ring` is
//! spoken.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p12_keystore::Pkcs12Archive;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::options::IdentityFiles;

/// Why there is no identity to call with.
#[derive(Debug, Error)]
pub enum IdentityError {
    #[error("cannot read {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is no PEM", path.display())]
    Pem { path: PathBuf },
    #[error("{} has no certificate", path.display())]
    NoCertificate { path: PathBuf },
    #[error("{} has no private key", path.display())]
    NoKey { path: PathBuf },
    #[error("{} is no PKCS#12 file, or its password is another", path.display())]
    Pkcs12 { path: PathBuf },
    #[error("the private key is not that of the certificate in {}", path.display())]
    Apart { path: PathBuf },
}

/// A certificate with those that vouch for it, and its key.
pub(in crate::pix) type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// How connections to the provider are secured: our certificate, and the authorities of `ca`.
pub(super) fn tls(files: &IdentityFiles, ca: Option<&Path>) -> Result<ClientConfig, IdentityError> {
    let (certificates, key) = chain(files)?;
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("`ring` has TLS 1.2 and 1.3")
        .with_root_certificates(roots(ca)?)
        .with_client_auth_cert(certificates, key)
        .map_err(|_| IdentityError::Apart { path: files.certificate.clone() })
}

/// What the files hold, as PEM or PKCS#12.
pub(in crate::pix) fn chain(files: &IdentityFiles) -> Result<Chain, IdentityError> {
    let path = &files.certificate;
    let bytes = read(path)?;
    if is_pem(&bytes) {
        return Ok((certificates(path, &bytes)?, key(files, &bytes)?));
    }
    pkcs12(path, &bytes, files.password.as_ref())
}

/// The authorities in a file, or those of the web.
pub(in crate::pix) fn roots(ca: Option<&Path>) -> Result<RootCertStore, IdentityError> {
    let Some(path) = ca else {
        return Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, &read(path)?)? {
        roots.add(certificate).map_err(|_| IdentityError::Pem { path: path.to_owned() })?;
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    std::fs::read(path).map_err(|source| IdentityError::File { path: path.to_owned(), source })
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(10).any(|part| part == b"-----BEGIN")
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|_| IdentityError::Pem { path: path.to_owned() })?;
    if found.is_empty() {
        return Err(IdentityError::NoCertificate { path: path.to_owned() });
    }
    Ok(found)
}

/// The key, from its own file or from that of the certificate.
fn key(files: &IdentityFiles, beside: &[u8]) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let path = files.key.as_ref().unwrap_or(&files.certificate);
    let own = files.key.as_ref().map(|path| read(path)).transpose()?;
    PrivateKeyDer::from_pem_slice(own.as_deref().unwrap_or(beside))
        .map_err(|_| IdentityError::NoKey { path: path.clone() })
}

/// The first key of the file and its certificate, then those that vouch for it.
fn pkcs12(
    path: &Path,
    bytes: &[u8],
    password: Option<&SecretString>,
) -> Result<Chain, IdentityError> {
    let password = password.map_or("", |password| password.expose_secret());
    let archive = Pkcs12Archive::from_pkcs12(bytes, password)
        .map_err(|_| IdentityError::Pkcs12 { path: path.to_owned() })?;
    let none = || IdentityError::NoCertificate { path: path.to_owned() };
    let key = archive.keys.first();
    let key = key.ok_or_else(|| IdentityError::NoKey { path: path.to_owned() })?;
    let id = key.local_key_id.as_ref().map(|id| id.0.as_slice());
    let of_key = |bag: &&p12_keystore::CertificateBag| bag.local_key_id.as_deref() == id;
    let bags = &archive.certs;
    let mut last = &bags.iter().find(of_key).or_else(|| bags.first()).ok_or_else(none)?.cert;
    let mut chain = vec![der(last)];
    let above = |below: &p12_keystore::Certificate| {
        bags.iter().map(|bag| &bag.cert).find(|cert| cert.subject() == below.issuer())
    };
    // One that vouches for itself ends the chain; so does a ring of certificates.
    while let Some(next) = above(last).filter(|next| !chain.contains(&der(next))) {
        chain.push(der(next));
        last = next;
    }
    Ok((chain, PrivatePkcs8KeyDer::from(key.key.as_der().to_vec()).into()))
}

fn der(certificate: &p12_keystore::Certificate) -> CertificateDer<'static> {
    CertificateDer::from(certificate.as_der().to_vec())
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
