//! `ibora pix check`: the configured provider, called by the program itself.

use tokio::process::Command;

use super::desk::{Asked, Reply};
use super::{Scene, bounds};

const NOBODY: &str = r#"{"parametros":{"paginacao":{"paginaAtual":0,"itensPorPagina":500,
    "quantidadeDePaginas":1,"quantidadeTotalDeItens":0}}}"#;

/// Exit code and all that was printed and logged, with everything logged that can be.
async fn checked(scene: &Scene) -> (Option<i32>, String) {
    let papers = &scene.papers;
    let settings = [
        ("log.level", "trace".to_owned()),
        ("pix.base_url", scene.desk.url()),
        ("pix.client_id", "canary-client".to_owned()),
        ("pix.client_secret", "canary-secret".to_owned()),
        ("pix.certificate", papers.path("ours.pem").display().to_string()),
        ("pix.ca", papers.authority_file().display().to_string()),
        ("pix.key", "canary@example.com".to_owned()),
        // A question that fails is not asked again: what is tested is what is said of it.
        ("pix.retries_max", "0".to_owned()),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_ibora"));
    command.args(["pix", "check"]).kill_on_drop(true);
    for (key, value) in settings {
        command.args(["--set".to_owned(), format!("{key}={value}")]);
    }
    let output = command.output().await.expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[actix::test]
async fn each_question_is_tried_and_what_is_missing_is_named() {
    let mut whole = true;
    for balance in [200, 403] {
        let script = move |asked: &Asked| {
            if asked.is_token() {
                return Reply::ok(
                    r#"{"access_token":"canary-token","token_type":"Bearer","expires_in":60}"#,
                );
            }
            match (asked.line.contains("/saldo"), balance) {
                (true, 200) => Reply::ok(r#"{"saldo":"10.00"}"#),
                (true, _) => Reply::error(403, "insufficient_scope"),
                (false, _) => Reply::ok(NOBODY),
            }
        };
        let scene = Scene::whole(bounds(), script).await;
        let (code, said) = checked(&scene).await;
        assert_eq!(code, Some(i32::from(!whole)), "{said}");
        assert_eq!(said.matches(" ok\n").count(), if whole { 6 } else { 5 }, "{said}");
        assert_eq!(said.contains("lacks the scope"), !whole, "{said}");
        assert_eq!(scene.desk.asked().len(), 6);
        assert!(!said.contains("canary") && !said.contains("inicio="), "{said}");
        whole = false;
    }
}
