//! Files as another program writes them: OpenSSL 3, a certificate of nobody.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// `openssl pkcs12 -export -legacy` with an empty password: RC2 and triple DES, as the provider
/// hands certificates out.
const LEGACY: &str = "\
MIIDggIBAzCCA0gGCSqGSIb3DQEHAaCCAzkEggM1MIIDMTCCAicGCSqGSIb3DQEHBqCCAhgwggIUAgEAMIICDQYJKoZI\
hvcNAQcBMBwGCiqGSIb3DQEMAQYwDgQIlJDbChSmgU4CAggAgIIB4NZTABh2gq7TCS5Xya0aqk3GjSjwWexs+Dse4aQG\
JXdf267sCyLcssT2GMLlCfEKoX/XTfUMvBRTjkNXBNAZh3o4GJFd2Xx3f6uFdXkoWRZTxiCW1zLf6jhDxpuCxBLJJnqg\
7xDv1ESlJGzpD/hGbG0q76yxANopccIntnd9+Uszl7+UPOGvC3clJIB2rN4NDDi+2/9X0+PuVp2KAgByMwwu21y4BhDK\
w7eG3mvT4zSDUvnP6cJuwjp7y6Xcahuy/AbZG11B/rgbMqvRZtceQOWuLJwc/RcT8NsukcmPJAZmhS8EzyIPmpSskUeA\
psw1FQq+n+y+Q7ztHKoDoze42AtXYEXmMa3nIIcMxuoxwkSnOcgS4Tyiq4EhQxq5UhngnAq1i0JdteMPZKTNtzC37G3a\
zOLG0jqOj3fHkn3yk90WgrRevr1UG9INNcg2rp1QQ/E14Z/G/hVelTfbLZc1Z+YGuorkipCY193BX6aZZnOJHP1g14LF\
LLRXjAGelgK4jAhFzwD3RNCTtCkt/LYKUAfQzgES/cisSfEfFKwlCjapY4ylpMP2flxE0kISzlQ8LshkkrnosaUkPybY\
HirQFToBog7UIGY9xQcwmRqbkoEZI/FRTLapXypaRbxrWWK7zjCCAQIGCSqGSIb3DQEHAaCB9ASB8TCB7jCB6wYLKoZI\
hvcNAQwKAQKggbQwgbEwHAYKKoZIhvcNAQwBAzAOBAgIpp1sDu7NVAICCAAEgZAbDtsUGC22OkWELgpWHqgOVcoB7OYV\
BmTSE/D/moNG2/GFz14YQ/vEnsEspBzwAnwSUFxSsINeOWC8YC2gRcSVTUk39oid3+nVWiOPF9EMgcJoZfS1wRbFP3Ce\
ZcD1L6762ji841C2UhPZVTumO/ey6+r0lrDziv3RmOZ0w1DyHw8GeC4UPG0/kLo4wC4B43IxJTAjBgkqhkiG9w0BCRUx\
FgQU9U4yMe2yjsj7xKxr2KaZHDuFO50wMTAhMAkGBSsOAwIaBQAEFGyScMef94k/ZgA55+CHK77TG9+DBAiqGxS8UWFX\
2gICCAA=\
";

/// `openssl pkcs12 -export` with the password `geheim`: PBKDF2 and AES.
const MODERN: &str = "\
MIIEDAIBAzCCA8IGCSqGSIb3DQEHAaCCA7MEggOvMIIDqzCCAmIGCSqGSIb3DQEHBqCCAlMwggJPAgEAMIICSAYJKoZI\
hvcNAQcBMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhL10TIO5B7wAICCAAwDAYIKoZIhvcNAgkFADAdBglg\
hkgBZQMEASoEEH+j4cw6SxM/mCzd6ZMCOLKAggHgUeb8TDTAweoVMYT/Y1wfJb0Vkm8HkkK4AC2uS/wJ9psVOihyGYJH\
WFVhAwKtIeU5KH+s01+vR+ze4Dvvf1ejLl2n1SppHU2PhfZFQZ29HwX1JEwAB+OMobw32/7XUkk1Mc8Jf/6wIHWb8N7B\
ru0OOPAsvPTbIg4lx92LHnnesWOIfUTu4UqHonkVCrUUM8VY5GW9csM2fSesnLk+gmO8dX+OXB+kUjTCryHJ4QzJ12ID\
iNRaVc+OrczL4O0Q/rE6DMqGOGCmXVx7jbaKgLomZvffE0HE6GADU+THVXpMn9bRt5qAWpSvGuyuYacm8+YmR8i13ahI\
+dr4Vmu4ySVAq3VS9aGcNcd0fbxFGsOk99UukKEHwC2DYaO/vrVZQx6Zslvaqv2bRkrcgRg6nzNu8YQSJ4koJbgq7s31\
/kZjuSI91oQJe+z5INbkkHoYNFFkkSgspiT5WTZfpLB6re6nzUDHSYm6H96N2qBxj6N9IhojaYcO45i3VkfFjvqckpHN\
qIgLjtZsCJ9cvZiV4StxL72DGngwtemG4gbtrerK12ZOWbJU7xnY23Q8gKo4OxCfoE7T8G/AgCVl+qP5C10B+q612iUW\
8DhhIk71qo9HtiKryHRag3unADt+HJVYg8fWMIIBQQYJKoZIhvcNAQcBoIIBMgSCAS4wggEqMIIBJgYLKoZIhvcNAQwK\
AQKgge8wgewwVwYJKoZIhvcNAQUNMEowKQYJKoZIhvcNAQUMMBwECBlhjdtaTv0rAgIIADAMBggqhkiG9w0CCQUAMB0G\
CWCGSAFlAwQBKgQQwTohSR1mvPQRnKFiIsLotASBkDFPVBlaP0TTGYVWoarkvHTjzBAQkJ/rMlukw5crbPpQiuP8HKt5\
ADN05LG5VslSSwwh9T128L91ebTbE8zyY3ItdPAQTyuagYHcbpeuegjeTlwT9lHUDmRJxpOEJnPDwI9HSrxlRSnKgcm7\
/Gw00EMHR0JpG6qyyd9xQswtlUwPNP6UuFr2j+9DhrWCsLMDtTElMCMGCSqGSIb3DQEJFTEWBBT1TjIx7bKOyPvErGvY\
ppkcO4U7nTBBMDEwDQYJYIZIAWUDBAIBBQAEIJQ1F1QaYJI0jmjKbR+gQGXvnAq7wwcfjiyJ9Sd3tZOFBAiVhuDvndm7\
/wICCAA=\
";

#[test]
fn files_of_openssl_in_old_and_new_form_are_read() {
    for (text, password) in [(LEGACY, None), (LEGACY, Some("")), (MODERN, Some("geheim"))] {
        let bytes = STANDARD.decode(text).expect("base64");
        let password = password.map(SecretString::from);
        let (chain, key) = pkcs12(Path::new("x.p12"), &bytes, password.as_ref()).expect("readable");
        assert_eq!(chain.len(), 1);
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_root_certificates(roots(None).expect("authorities of the web"));
        assert!(config.with_client_auth_cert(chain, key).is_ok(), "the key is the certificate's");
    }
    let bytes = STANDARD.decode(MODERN).expect("base64");
    let error = pkcs12(Path::new("x.p12"), &bytes, None).expect_err("another password");
    assert_eq!(error.to_string(), "x.p12 is no PKCS#12 file, or its password is another");
}
