//! Certificates: of the provider, of us, and of the provider when it calls us.
//!
//! Two authorities, as in life: one signs who may speak with the provider, the other signs the
//! provider's own certificate for callbacks. Files are made anew at each start; keys are readable
//! by their owner alone.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use p12_keystore::{KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use time::{Duration, OffsetDateTime};

use super::SimulatorError;

/// A certificate with its key, as PEM in one file.
#[derive(Debug, Clone)]
pub struct Identity {
    pub path: PathBuf,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// Everything that a start makes.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// Signs the server, the clients, and a server of ours for callbacks.
    pub ca: PathBuf,
    /// Signs the provider's certificate for callbacks.
    pub webhook_ca: PathBuf,
    /// Who we are to the provider.
    pub client: Identity,
    /// The same as PKCS#12, without a password.
    pub client_p12: PathBuf,
    /// A client whose time is over.
    pub expired_client: Identity,
    /// A server certificate for a listener of ours that takes callbacks.
    pub webhook_server: Identity,
    /// The provider's own for callbacks, and one of it whose time is over.
    pub provider: Identity,
    pub expired_provider: Identity,
    server: Identity,
    root: CertificateDer<'static>,
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

impl Certificates {
    /// Makes all of them in `dir`.
    ///
    /// # Errors
    /// [`SimulatorError`].
    pub fn make(dir: &Path) -> Result<Self, SimulatorError> {
        let failed = |source| SimulatorError::Write { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let ca = authority("Ibora simulated provider CA")?;
        let callbacks = authority("Ibora simulated provider callbacks CA")?;
        let (valid, over) = (Duration::days(-1), Duration::days(-400));
        let issue = |name: &str, by: &Issuer, from| issue(dir, name, by, from);
        let client = issue("client", &ca, valid)?;
        let client_p12 = write(dir, "client.p12", &pkcs12(&client)?)?;
        Ok(Self {
            client,
            client_p12,
            expired_client: issue("client-expired", &ca, over)?,
            server: issue("server", &ca, valid)?,
            webhook_server: issue("webhook-server", &ca, valid)?,
            provider: issue("provider", &callbacks, valid)?,
            expired_provider: issue("provider-expired", &callbacks, over)?,
            root: ca.der().clone(),
            ca: write(dir, "ca.pem", ca.pem().as_bytes())?,
            webhook_ca: write(dir, "webhook-ca.pem", callbacks.pem().as_bytes())?,
        })
    }

    /// TLS of the provider: only who has a certificate of its authority may speak.
    pub(super) fn server_config(&self) -> Result<ServerConfig, SimulatorError> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(self.roots()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier.build()?);
        Ok(config.with_single_cert(vec![self.server.certificate.clone()], self.server.key())?)
    }

    /// TLS of callbacks: with the provider's certificate, and without any.
    pub(super) fn outgoing(&self) -> Result<[ClientConfig; 2], SimulatorError> {
        let builder = || -> Result<_, SimulatorError> {
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
            let config = config.with_safe_default_protocol_versions()?;
            Ok(config.with_root_certificates(self.roots()?))
        };
        let chain = vec![self.provider.certificate.clone()];
        let known = builder()?.with_client_auth_cert(chain, self.provider.key())?;
        Ok([known, builder()?.with_no_client_auth()])
    }

    fn roots(&self) -> Result<RootCertStore, SimulatorError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        Ok(roots)
    }
}

impl Identity {
    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

fn authority(name: &str) -> Result<Issuer, SimulatorError> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// A certificate good for a year from `from`, for both ends of a connection on this machine.
fn issue(dir: &Path, name: &str, by: &Issuer, from: Duration) -> Result<Identity, SimulatorError> {
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, format!("ibora {name}"));
    params.not_before = OffsetDateTime::now_utc() + from;
    params.not_after = params.not_before + Duration::days(366);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, by)?;
    let both = format!("{}{}", certificate.pem(), key.serialize_pem());
    Ok(Identity {
        path: write(dir, &format!("{name}.pem"), both.as_bytes())?,
        certificate: certificate.der().clone(),
        key: key.serialize_der(),
    })
}

fn pkcs12(identity: &Identity) -> Result<Vec<u8>, SimulatorError> {
    let certificate = p12_keystore::Certificate::from_der(&identity.certificate)?;
    let key = PrivateKey::from_der(&identity.key)?;
    let chain = PrivateKeyChain::new(vec![1], key, [certificate]);
    let mut store = KeyStore::new();
    store.add_entry("client", KeyStoreEntry::PrivateKeyChain(chain));
    Ok(store.writer("").write()?)
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, SimulatorError> {
    let path = dir.join(name);
    let failed = |source| SimulatorError::Write { path: path.clone(), source };
    fs::remove_file(&path).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(failed(error)),
    })?;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    Ok(path)
}
