//! When there can be no private server: the error says why, and nothing was broken on the way.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use ibora::postgres::{EmbeddedOptions, EmbeddedPostgres, PostgresError};

use super::dir::{Dir, own_uid, rotated, stop};

#[tokio::test]
async fn of_two_engines_on_one_directory_the_second_is_refused() {
    let dir = Dir::new();
    let (a, b) = tokio::join!(
        EmbeddedPostgres::start(dir.options()),
        EmbeddedPostgres::start(dir.options())
    );
    let (server, refused) = match (a, b) {
        (Ok(server), Err(error)) | (Err(error), Ok(server)) => (server, error),
        both => panic!("exactly one has the directory: {both:?}"),
    };
    assert!(matches!(&refused, PostgresError::InUse { data_dir } if *data_dir == dir.path));
    let refused = dir.refusal().await;
    assert!(matches!(refused, PostgresError::InUse { .. }), "later, too: {refused}");
    assert!(server.is_running(), "the first one does not notice");
    stop(server).await;
}

#[tokio::test]
async fn data_of_another_major_version_is_left_alone() {
    let dir = Dir::new();
    stop(dir.start().await).await;
    let version = dir.path.join("pgdata/PG_VERSION");
    let real = fs::read_to_string(&version).expect("exists");
    fs::write(&version, "9\n").expect("written");
    let refused = dir.refusal().await;
    assert!(matches!(refused, PostgresError::WrongMajor { made_by: 9, .. }), "{refused}");
    fs::write(&version, "not a number").expect("written");
    let refused = dir.refusal().await;
    assert!(matches!(refused, PostgresError::NotACluster { .. }), "{refused}");
    fs::write(&version, real).expect("written");
    stop(dir.start().await).await;
}

/// Only root can give files away; a plain user's refusal is the same comparison.
#[tokio::test]
async fn restored_data_of_root_is_refused_with_the_owner_it_needs() {
    let dir = Dir::new();
    stop(dir.start().await).await;
    let cluster = dir.path.join("pgdata");
    let owner = fs::metadata(&cluster).expect("exists").uid();
    if own_uid() != 0 {
        assert_eq!(owner, own_uid(), "nobody else to belong to");
        return;
    }
    chown(&cluster, Some(0), None).expect("root may");
    let refused = dir.refusal().await;
    let PostgresError::WrongOwner { path, owner: 0, expected } = refused else {
        panic!("{refused}");
    };
    assert_eq!((path, expected), (cluster, owner));
}

#[tokio::test]
async fn missing_programs_are_named_and_the_way_to_install_them() {
    let dir = Dir::new();
    let options = EmbeddedOptions { binaries: Some(dir.path.clone()), ..dir.options() };
    let refused = EmbeddedPostgres::start(options).await.expect_err("an empty directory");
    assert!(matches!(refused, PostgresError::BinariesIncomplete { program: "postgres", .. }));
    let advice = PostgresError::BinariesMissing.to_string();
    assert!(advice.contains("apt-get install postgresql"));
    assert!(advice.contains("create_main_cluster = false"));
}

#[tokio::test]
async fn server_that_cannot_start_shows_the_end_of_its_log() {
    let dir = Dir::new();
    stop(dir.start().await).await;
    let conf = dir.path.join("pgdata/postgresql.conf");
    let real = fs::read_to_string(&conf).expect("exists");
    fs::write(&conf, format!("{real}\nno_such_setting = 1\n")).expect("written");
    let PostgresError::StartFailed { tail, .. } = dir.refusal().await else {
        panic!("the server refuses its settings");
    };
    assert!(tail.contains("no_such_setting"), "{tail}");
    fs::write(&conf, real).expect("written");
    let secrets = dir.path.join("postgres.secrets");
    let kept = fs::read_to_string(&secrets).expect("exists");
    fs::remove_file(&secrets).expect("removed");
    let refused = dir.refusal().await;
    assert!(matches!(refused, PostgresError::SecretsLost { .. }), "{refused}");
    let others: String = kept.lines().map(|line| format!("{}\n", rotated(line))).collect();
    fs::write(&secrets, others).expect("written");
    let refused = dir.refusal().await;
    assert!(matches!(refused, PostgresError::SecretsRefused { .. }), "{refused}");
    assert!(!dir.path.join("pgdata/postmaster.pid").exists(), "a failed start leaves no server");
    fs::write(&secrets, kept).expect("written");
    stop(dir.start().await).await;
}

#[tokio::test]
async fn directory_that_the_servers_user_cannot_enter_is_named() {
    let dir = Dir::new();
    let closed = dir.path.join("closed");
    fs::create_dir(&closed).expect("made");
    let data_dir = closed.join("data");
    fs::set_permissions(&closed, Permissions::from_mode(0o600)).expect("set");
    let options = EmbeddedOptions { data_dir, ..dir.options() };
    let refused = EmbeddedPostgres::start(options).await.expect_err("closed");
    match (own_uid(), &refused) {
        (0, PostgresError::NotEnterable { path, .. }) => assert_eq!(*path, closed),
        (uid, PostgresError::Io { path, .. }) if uid != 0 => assert!(path.starts_with(&closed)),
        (_, other) => panic!("{other}"),
    }
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).expect("set");
}
