//! An authority of a test's own, and the certificates that it makes.

use std::path::PathBuf;

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use uuid::Uuid;

/// An authority, and a folder for its files that goes with it.
pub(super) struct Papers {
    dir: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(super) struct Paper {
    pem: String,
    key_pem: String,
    der: Vec<u8>,
    key_der: Vec<u8>,
}

impl Papers {
    pub(super) fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("ibora-it-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&dir).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Authority of a test");
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        Self { dir, authority }
    }

    /// A certificate for `name`, good until the end of `until_year`.
    pub(super) fn issue(&self, name: &str, until_year: i32) -> Paper {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until_year, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.authority).expect("a certificate");
        Paper {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().to_vec(),
            key_der: key.serialize_der(),
        }
    }

    pub(super) fn authority(&self) -> CertificateDer<'static> {
        self.authority.der().clone()
    }

    pub(super) fn authority_file(&self) -> PathBuf {
        self.file("authority.pem", self.authority.pem().as_bytes())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }
}

impl Drop for Papers {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.dir).ok();
    }
}

impl Paper {
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn key_pem(&self) -> &str {
        &self.key_pem
    }

    pub(super) fn tls(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivatePkcs8KeyDer::from(self.key_der.clone());
        (vec![CertificateDer::from(self.der.clone())], key.into())
    }

    /// As a PKCS#12 file.
    pub(super) fn pkcs12(&self, password: &str, encryption: EncryptionAlgorithm) -> Vec<u8> {
        let key = PrivateKey::from_der(&self.key_der).expect("PKCS#8");
        let certificate = Certificate::from_der(&self.der).expect("X.509");
        let chain = PrivateKeyChain::new("1", key, [certificate]);
        let mut store = KeyStore::new();
        store.add_entry("ibora", KeyStoreEntry::PrivateKeyChain(chain));
        store.writer(password).encryption_algorithm(encryption).write().expect("a store")
    }
}
